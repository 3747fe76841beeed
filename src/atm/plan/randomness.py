"""Random decisions as functions of (seed, request number): the same in every engine, thread and worker.

The generator is splitmix64 (Steele, Lea, Flood 2014; finaliser: Stafford) used as a hash: the state of
draw `stream` of request `n` is `seed + n * GAMMA + stream * STREAM`, all modulo 2^64.
"""

from __future__ import annotations

from enum import IntEnum

_MASK = 0xFFFF_FFFF_FFFF_FFFF
GAMMA = 0x9E37_79B9_7F4A_7C15
STREAM = 0xD1B5_4A32_D192_ED03


class Stream(IntEnum):
    """The purpose of a draw, so that no two decisions of one request share a number."""

    UUID_HIGH = 1
    UUID_LOW = 2
    RANDOM_INT = 3
    SELECTION = 4
    ARRIVAL = 5


def draw(seed: int, number: int, stream: Stream) -> int:
    """Return 64 random bits for decision `stream` of request `number` (1-based)."""
    state = (seed + number * GAMMA + stream * STREAM) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return state ^ (state >> 31)


def below(bits: int, bound: int) -> int:
    """Map 64 random bits to 0..bound-1 by multiply and shift (bias below 2^-32 for bounds up to 2^32)."""
    return (bits * bound) >> 64


def uuid4(seed: int, number: int) -> str:
    """Return the `{{uuid}}` of request `number`: RFC 9562 version 4, lower case."""
    high = (draw(seed, number, Stream.UUID_HIGH) & ~0xF000) | 0x4000
    low = (draw(seed, number, Stream.UUID_LOW) & 0x3FFF_FFFF_FFFF_FFFF) | 0x8000_0000_0000_0000
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_int(seed: int, number: int) -> int:
    """Return the `{{random_int}}` of request `number`: 0 to 999,999."""
    return below(draw(seed, number, Stream.RANDOM_INT), 1_000_000)


def arrival_uniform(seed: int, number: int) -> float:
    """Return a uniform number in (0, 1] for the gap before arrival `number`; the gap at unit rate is `-log` of it."""
    return ((draw(seed, number, Stream.ARRIVAL) >> 11) + 1) * 2.0**-53
