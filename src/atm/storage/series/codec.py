"""Encode histograms as the bytes of a row, and merge many of them quickly.

HdrHistogram's V2 encoding, used between programs, is a stream of variable-length numbers, too slow for a window of two
hours with thousands of histograms. Here a histogram with many buckets is stored dense, as counts of equal width from
its first bucket to its last: empty buckets compress well, and as one large integer, with eight bytes per bucket,
histograms are merged by integer addition. One with few buckets is stored as pairs. Each is encoded separately, so a
reader decodes only those it needs.

Layout, little-endian, for each histogram: index of its name (u8; bit 7 set: dense), type of a count (u8: `B`, `H`, `I`
or `Q`; bit 7 set: compressed by zlib), number of buckets (u32), first bucket (u32), length of the rest (u32); then, if
not dense, the distance of each bucket from the previous one (u16 each); then the counts.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import accumulate

from atm.dataclass import dataclass
from atm.metrics.histogram import HIGHEST_NS, Histogram, index_of
from atm.metrics.interval import HISTOGRAMS
from atm.metrics.scenario_interval import ITERATION_TIMES

GENERATOR_HISTOGRAMS = ("schedule_lag", "connect", "tls", "dns")
"""The histograms of a `GeneratorInterval`, by field name."""

NAMES = HISTOGRAMS + GENERATOR_HISTOGRAMS + ITERATION_TIMES
"""The position of a name is part of the format: append, never reorder."""

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
    """Encode the histograms that have samples, by the names in `NAMES`."""
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
            distances = array(
                "H", (current - previous for previous, current in zip([first, *indices], indices, strict=False))
            )
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


def decode(data: bytes, names: Container[str] = NAMES) -> dict[str, Histogram]:
    """Decode the named histograms from the output of `encode`. Raises ValueError for other data."""
    return merged((data,), names)


def merged(encoded: Iterable[bytes], names: Container[str] = NAMES) -> dict[str, Histogram]:
    """Merge the named histograms of many rows; those without samples are left out. Raises ValueError."""
    sparse: dict[str, dict[int, int]] = {}
    # By name: first bucket and integer, so that empty buckets below the first cost nothing.
    dense: dict[str, tuple[int, int]] = {}
    for data in encoded:
        for part in _parts(data, names):
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
    """An encoded histogram of a row."""

    name: str
    is_dense: bool
    kind: str
    number: int
    first: int
    body: bytes

    def as_integer(self) -> int:
        """Return an integer with eight bytes per bucket from the first; adding such integers merges histograms.

        A bucket would only overflow into the next one at 2^64 requests.
        """
        width = _WIDTHS[self.kind]
        if len(self.body) != self.number * width:
            raise ValueError("a histogram whose length is not what it says")
        wide = bytearray(self.number * _SLOT)
        for byte in range(width):
            wide[byte::_SLOT] = self.body[byte::width]
        return int.from_bytes(wide, "little")

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield bucket and count pairs."""
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


def _parts(data: bytes, names: Container[str]) -> Iterator[_Part]:
    position = 0
    try:
        while position < len(data):
            name, mark, number, first, length = _HEAD.unpack_from(data, position)
            position += _HEAD.size
            if position + length > len(data) or number > _BUCKETS or first >= _BUCKETS:
                raise ValueError("histograms that are cut short")
            histogram_name = NAMES[name & ~_DENSE]
            if histogram_name in names:
                body = data[position : position + length]
                kind = chr(mark & ~_COMPRESSED)
                if kind not in _WIDTHS:
                    raise ValueError(f"counts of an unknown type {kind!r}")
                unpacked = zlib.decompress(body) if mark & _COMPRESSED else body
                yield _Part(histogram_name, bool(name & _DENSE), kind, number, first, unpacked)
            position += length
    except (struct.error, zlib.error, IndexError, OverflowError) as error:
        raise ValueError(f"not the histograms of a row: {error}") from error


def _slots(total: int, base: int) -> Iterator[tuple[int, int]]:
    """Return the non-empty buckets of a sum of integers."""
    slots = array("Q")
    slots.frombytes(total.to_bytes((total.bit_length() + 63) // 64 * _SLOT, "little"))
    if sys.byteorder == "big":
        slots.byteswap()
    return ((index, count) for index, count in enumerate(slots, base) if count)


def _little(values: array[int]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
