"""Random decisions as functions of (seed, request number): the same in every engine, thread and worker.

The generator is splitmix64 (Steele, Lea, Flood 2014; finaliser: Stafford) used as a hash: the state of
draw `stream` of request `n` is `seed + n * GAMMA + stream * STREAM`, all modulo 2^64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum

_MASK = 0xFFFF_FFFF_FFFF_FFFF
GAMMA = 0x9E37_79B9_7F4A_7C15
STREAM = 0xD1B5_4A32_D192_ED03
LONGEST_THINK_NS = 3_600_000_000_000


class Stream(IntEnum):
    """The purpose of a draw, so that no two decisions of one request share a number."""

    UUID_HIGH = 1
    UUID_LOW = 2
    RANDOM_INT = 3
    SELECTION = 4
    ARRIVAL = 5
    ROW = 6
    LANE = 7
    """The seed of a lane, by its index."""
    FIRST_PLACE = 16
    """Places of a program are streams from here on."""


def draw(seed: int, number: int, stream: int) -> int:
    """Return 64 random bits for decision `stream` of request `number` (1-based)."""
    state = (seed + number * GAMMA + stream * STREAM) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return state ^ (state >> 31)


def lane_seed(seed: int, lane: int) -> int:
    """Return the seed of a lane's arrivals and selections, so that lanes do not repeat each other.

    `lane` is its 0-based index; the first lane uses the plan's seed.
    """
    return draw(seed, lane, Stream.LANE) if lane else seed


def below(bits: int, bound: int) -> int:
    """Map 64 random bits to 0..bound-1 by multiply and shift (bias below 2^-32 for bounds up to 2^32)."""
    return (bits * bound) >> 64


def uuid4(seed: int, number: int) -> str:
    """Return the `{{uuid}}` of request `number`: RFC 9562 version 4, lower case."""
    return _uuid4(draw(seed, number, Stream.UUID_HIGH), draw(seed, number, Stream.UUID_LOW))


def _uuid4(high: int, low: int) -> str:
    high = (high & ~0xF000) | 0x4000
    low = (low & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_int(seed: int, number: int) -> int:
    """Return the `{{random_int}}` of request `number`: 0 to 999,999."""
    return below(draw(seed, number, Stream.RANDOM_INT), 1_000_000)


def arrival_uniform(seed: int, number: int) -> float:
    """Return a uniform number in (0, 1] for the gap before arrival `number`; the gap at unit rate is `-log` of it."""
    return _unit(draw(seed, number, Stream.ARRIVAL))


def _unit(bits: int) -> float:
    """Map 64 random bits to (0, 1]."""
    return ((bits >> 11) + 1) * 2.0**-53


_ROUND = 1 << 20
"""Places of a plan are below this, so that those of two rounds are different streams."""
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


def draw_at(seed: int, iteration: int, place: int, round_: int) -> int:
    """Return 64 random bits for a place of a program in a round of an iteration, see `program.py`."""
    return draw(seed, iteration, Stream.FIRST_PLACE + place + round_ * _ROUND)


def uuid4_at(seed: int, iteration: int, place: int, round_: int) -> str:
    """Return a version 4 UUID from the draws at `place` and `place + 1`."""
    return _uuid4(draw_at(seed, iteration, place, round_), draw_at(seed, iteration, place + 1, round_))


def random_string(first: int, length: int) -> str:
    """Return lower-case letters and digits; character i (1-based) is draw (`first`, i, 0)."""
    return "".join(_ALPHABET[below(draw(first, number, 0), 36)] for number in range(1, length + 1))


def weighted_index(bits: int, weights: Sequence[int]) -> int:
    """Return the index that 64 random bits select: the first whose cumulative weight exceeds `below(bits, total)`."""
    drawn = below(bits, sum(weights))
    for index, weight in enumerate(weights):
        if drawn < weight:
            return index
        drawn -= weight
    raise ValueError("no weight is positive")


def think_ns(distribution: str, first_ns: int, second_ns: int, bits: int, more_bits: int) -> int:
    """Return a think time in ns (`program.ThinkOp`), 0 to one hour; `more_bits` are used by `normal` only.

    With u = (bits / 2^11 + 1) / 2^53 in (0, 1]: exponential is -ln u times the mean, normal is the Box-Muller transform
    sqrt(-2 ln u) * cos(2 pi v) with v from `more_bits`.
    """
    if distribution == "fixed":
        return first_ns
    if distribution == "uniform":
        return first_ns + below(bits, second_ns - first_ns + 1)
    unit = _unit(bits)
    if distribution == "exponential":
        value = -math.log(unit) * first_ns
    else:
        value = first_ns + second_ns * math.sqrt(-2 * math.log(unit)) * math.cos(2 * math.pi * _unit(more_bits))
    return min(max(math.floor(value + 0.5), 0), LONGEST_THINK_NS)


def row_of(pick: str, seed: int, table: int, rows: int, number: int) -> int:
    """Return the 0-based row of data table `table` for user or iteration `number` (1-based).

    `random` draws with replacement. `in_order` and `shuffled` give every row once per pass of `rows` numbers; the
    permutation of a pass is a Feistel network of four rounds on the smallest even number of bits that holds `rows`,
    walked until the result is a row (Black and Rogaway 2002, "cycle walking").
    """
    if pick == "random":
        return below(draw(seed, number, Stream.ROW + (table << 40)), rows)
    passed, position = divmod(number - 1, rows)
    if pick == "in_order":
        return position
    half = max(((rows - 1).bit_length() + 1) // 2, 1)
    mask = (1 << half) - 1
    key = draw(seed, passed + 1, Stream.ROW + (table << 40))
    while True:
        left, right = position >> half, position & mask
        for step in range(1, 5):
            left, right = right, left ^ (draw(key, right + 1, step) & mask)
        position = left << half | right
        if position < rows:
            return position
