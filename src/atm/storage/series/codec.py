"""Histograms as bytes of a row, and many such bytes added up.

Between programs a histogram travels in HdrHistogram's V2 encoding. That is a stream of variable-length numbers, and a
window of two hours takes thousands of histograms. Here one with many buckets is kept dense, as counts of equal width
from its first bucket to its last: compressed, the empty ones cost next to nothing, and as one large integer each, with
eight bytes to a bucket, all of them are added up by single additions. One with few buckets is kept as pairs. Each
stands by itself, so a reader decodes only those it needs.

Layout, little-endian, for each histogram: index of its name (u8; bit 7 set: dense), type of a count (u8: `B`, `H`, `I`
or `Q`; bit 7 set: compressed by zlib), number of buckets (u32), the first one (u32), bytes that follow (u32), then the
counts, and where it is not dense, before them the distance of each bucket from the last one (u16 each).
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from atm.metrics.histogram import HIGHEST_NS, Histogram, index_of
from atm.metrics.interval import HISTOGRAMS

GENERATOR_HISTOGRAMS = ("schedule_lag", "connect", "tls", "dns")
"""The histograms of a `GeneratorInterval`, by field name."""

NAMES = HISTOGRAMS + GENERATOR_HISTOGRAMS
"""A name's position is part of the format: append, never reorder."""

_HEAD = struct.Struct("<BBIII")
_DENSE = 0x80
_COMPRESSED = 0x80
_FEW_BUCKETS = 48
_WORTH_COMPRESSING = 96
_SLOT = 8
_WIDTHS = {"B": 1, "H": 2, "I": 4, "Q": 8}
_BUCKETS = index_of(HIGHEST_NS) + 1
_INDEX = {name: position for position, name in enumerate(NAMES)}


def encode(histograms: Mapping[str, Histogram]) -> bytes:
    """The histograms that have samples, by the names of `NAMES`."""
    parts: list[bytes] = []
    for name, histogram in histograms.items():
        if not histogram:
            continue
        counts = histogram.counts
        highest = max(counts.values())
        kind = next(code for code, width in _WIDTHS.items() if highest < 1 << 8 * width)
        position, mark = _INDEX[name], ord(kind)
        indices = sorted(counts)
        first = indices[0]
        if len(indices) < _FEW_BUCKETS:
            number = len(indices)
            distances = array("H", (here - before for before, here in zip([first, *indices], indices, strict=False)))
            body = _little(distances) + _little(array(kind, [counts[index] for index in indices]))
        else:
            number = indices[-1] - first + 1
            dense = array(kind, bytes(number * _WIDTHS[kind]))
            for index, count in counts.items():
                dense[index - first] = count
            body = _little(dense)
            position |= _DENSE
        if len(body) > _WORTH_COMPRESSING:
            body = zlib.compress(body, 1)
            mark |= _COMPRESSED
        parts += (_HEAD.pack(position, mark, number, first, len(body)), body)
    return b"".join(parts)


def decode(data: bytes, wanted: Container[str] = NAMES) -> dict[str, Histogram]:
    """Read what `encode` wrote, leaving out what is not wanted. Raises ValueError on anything else."""
    return added_up((data,), wanted)


def added_up(many: Iterable[bytes], wanted: Container[str] = NAMES) -> dict[str, Histogram]:
    """The histograms of many rows, merged by name; those that are wanted and have samples. Raises ValueError."""
    sparse: dict[str, dict[int, int]] = {}
    # By name, the first bucket of the integer and the integer: the empty buckets below are not dragged along.
    dense: dict[str, tuple[int, int]] = {}
    for data in many:
        for part in _parts(data, wanted):
            if part.is_dense:
                base, total = dense.get(part.name, (part.first, 0))
                lowest = min(base, part.first)
                total <<= _SLOT * 8 * (base - lowest)
                dense[part.name] = lowest, total + (part.as_integer() << _SLOT * 8 * (part.first - lowest))
            else:
                counts = sparse.setdefault(part.name, {})
                for index, count in part.pairs():
                    counts[index] = counts.get(index, 0) + count
    for name, (base, total) in dense.items():
        counts = sparse.setdefault(name, {})
        for index, count in _slots(total, base):
            counts[index] = counts.get(index, 0) + count
    return {name: Histogram(counts) for name, counts in sparse.items()}


@dataclass(slots=True)
class _Part:
    """One histogram as it lies in a row."""

    name: str
    is_dense: bool
    kind: str
    number: int
    first: int
    body: bytes

    def as_integer(self) -> int:
        """Eight bytes for each bucket from the first on: such integers are added like histograms are merged.

        A count that left its eight bytes would run into the next bucket's; 2^64 requests are more than anybody sends.
        """
        width = _WIDTHS[self.kind]
        if len(self.body) != self.number * width:
            raise ValueError("a histogram whose length is not what it says")
        wide = bytearray(self.number * _SLOT)
        for byte in range(width):
            wide[byte::_SLOT] = self.body[byte::width]
        return int.from_bytes(wide, "little")

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Bucket and count of each."""
        distances, counts = array("H"), array(self.kind)
        distances.frombytes(self.body[: 2 * self.number])
        counts.frombytes(self.body[2 * self.number :])
        if sys.byteorder == "big":
            distances.byteswap()
            counts.byteswap()
        if len(counts) != self.number or len(distances) != self.number:
            raise ValueError("a histogram whose length is not what it says")
        indices = accumulate(distances, initial=self.first)
        next(indices)
        return zip(indices, counts, strict=True)


def _parts(data: bytes, wanted: Container[str]) -> Iterator[_Part]:
    position = 0
    try:
        while position < len(data):
            name, mark, number, first, length = _HEAD.unpack_from(data, position)
            position += _HEAD.size
            if position + length > len(data) or number > _BUCKETS or first >= _BUCKETS:
                raise ValueError("histograms that are cut short")
            found = NAMES[name & ~_DENSE]
            if found in wanted:
                body = data[position : position + length]
                kind = chr(mark & ~_COMPRESSED)
                if kind not in _WIDTHS:
                    raise ValueError(f"counts of an unknown type {kind!r}")
                unpacked = zlib.decompress(body) if mark & _COMPRESSED else body
                yield _Part(found, bool(name & _DENSE), kind, number, first, unpacked)
            position += length
    except (struct.error, zlib.error, IndexError, OverflowError) as error:
        raise ValueError(f"not the histograms of a row: {error}") from error


def _slots(total: int, base: int) -> Iterator[tuple[int, int]]:
    """The buckets that are not empty, of integers that were added up."""
    slots = array("Q")
    slots.frombytes(total.to_bytes((total.bit_length() + 63) // 64 * _SLOT, "little"))
    if sys.byteorder == "big":
        slots.byteswap()
    return ((index, count) for index, count in enumerate(slots, base) if count)


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
