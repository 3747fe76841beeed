"""A sparse HdrHistogram: the same buckets and the same bytes as the HdrHistogram libraries, in little memory.

Layout and V2 encoding after HdrHistogram (hdrhistogram.org): lowest discernible value 1, three significant digits, so
2,048 sub-buckets; any value that is read back is within 0.1 % of the sample that it stands for. The libraries allocate
all 35,000 counters up front (280 kB); an interval has six histograms for each endpoint, most of them with a few dozen
buckets in use, so counts are kept in a dict here.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator, Mapping

HIGHEST_NS = 3_600_000_000_000
"""One hour in nanoseconds: longer samples are clamped to it (and counted by whoever records them)."""

_MAGNITUDE = 11
_HALF = 1024
_HEADER = struct.Struct(">iiiiqqd")
_COOKIE = 0x1C849313
_COMPRESSED_COOKIE = 0x1C849314


def index_of(value: int) -> int:
    """The bucket that holds `value` (ns, 0 to `HIGHEST_NS`)."""
    shift = value.bit_length() - _MAGNITUDE
    return value if shift <= 0 else (shift << 10) + (value >> shift)


def lowest_of(index: int) -> int:
    """The smallest value that falls into bucket `index`."""
    shift = (index >> 10) - 1
    return index if shift <= 0 else ((index & (_HALF - 1)) + _HALF) << shift


def highest_of(index: int) -> int:
    """The largest value that falls into bucket `index`."""
    shift = (index >> 10) - 1
    return index if shift <= 0 else lowest_of(index) + (1 << shift) - 1


class Histogram:
    """Counts of integer nanoseconds in HdrHistogram's buckets. Merge histograms, never percentiles."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts) if counts else {}
        """Bucket index to number of samples; no zeros."""
        self.total: int = sum(self.counts.values())
        """How many samples there are."""

    def record(self, value: int, count: int = 1) -> None:
        """Add `count` samples of `value` ns; values outside 0 to `HIGHEST_NS` are clamped."""
        index = index_of(min(max(value, 0), HIGHEST_NS))
        self.counts[index] = self.counts.get(index, 0) + count
        self.total += count

    def merge(self, other: Histogram) -> None:
        """Add the samples of `other` to this one."""
        counts = self.counts
        for index, count in other.counts.items():
            counts[index] = counts.get(index, 0) + count
        self.total += other.total

    @classmethod
    def merged(cls, *histograms: Histogram) -> Histogram:
        """A new histogram with the samples of all of them."""
        result = cls()
        for histogram in histograms:
            result.merge(histogram)
        return result

    def __len__(self) -> int:
        return self.total

    def __bool__(self) -> bool:
        return self.total > 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"Histogram({self.total} samples)"

    @property
    def minimum(self) -> int | None:
        """The smallest sample in ns, as its bucket's lowest value; None without samples."""
        return lowest_of(min(self.counts)) if self.counts else None

    @property
    def maximum(self) -> int | None:
        """The largest sample in ns, as its bucket's highest value; None without samples."""
        return highest_of(max(self.counts)) if self.counts else None

    @property
    def mean(self) -> float | None:
        """The mean in ns, each sample standing at the middle of its bucket; None without samples."""
        if not self.total:
            return None
        return sum((lowest_of(i) + highest_of(i)) * n for i, n in self.counts.items()) / (2 * self.total)

    def percentile(self, percent: float, beyond: int = 0) -> float | None:
        """The smallest value (ns) with at least ⌈percent·N/100⌉ samples at or below it; None without samples.

        `beyond` further samples are taken to lie at infinity (failures, for the adjusted latency), so the answer may
        be `math.inf`. `percent` is in 0 to 100; 0 gives the smallest sample's bucket.
        """
        total = self.total + beyond
        if not total:
            return None
        # The product is rounded first, so that 99.9 % of 1,000 is 999 and not 999.0000000000001.
        rank = max(1, math.ceil(round(percent * total / 100, 9)))
        if rank > self.total:
            return math.inf
        for index, cumulative in self.cumulative():
            if cumulative >= rank:
                return float(highest_of(index))
        raise AssertionError("a rank within the total is always reached")

    def cumulative(self) -> Iterator[tuple[int, int]]:
        """Bucket indices in rising order, each with the number of samples in it and below."""
        seen = 0
        for index in sorted(self.counts):
            seen += self.counts[index]
            yield index, seen

    def count_at_or_below(self, value: int) -> int:
        """How many samples lie in buckets whose highest value is at most `value` ns."""
        return sum(count for index, count in self.counts.items() if highest_of(index) <= value)

    def encode(self) -> bytes:
        """HdrHistogram's V2 compressed encoding: what standard HDR tools read, and what leaves the engines."""
        payload = bytearray()
        following = 0
        for index in sorted(self.counts):
            if index > following:
                _append_zigzag(payload, following - index)
            _append_zigzag(payload, self.counts[index])
            following = index + 1
        header = _HEADER.pack(_COOKIE, len(payload), 0, 3, 1, HIGHEST_NS, 1.0)
        compressed = zlib.compress(header + bytes(payload), 1)
        return struct.pack(">ii", _COMPRESSED_COOKIE, len(compressed)) + compressed

    @classmethod
    def decode(cls, data: bytes) -> Histogram:
        """Read what `encode` wrote, or any V2 compressed histogram with the same digits and unit.

        Raises ValueError where the bytes are something else or are cut short.
        """
        try:
            cookie, length = struct.unpack_from(">ii", data)
            if cookie != _COMPRESSED_COOKIE or length != len(data) - 8:
                raise ValueError("not a V2 compressed HdrHistogram")
            raw = zlib.decompress(data[8:])
            cookie, length, offset, digits, lowest, _highest, _ratio = _HEADER.unpack_from(raw)
        except (struct.error, zlib.error) as error:
            raise ValueError(f"not a V2 compressed HdrHistogram: {error}") from error
        if cookie != _COOKIE or offset != 0 or digits != 3 or lowest != 1 or length != len(raw) - _HEADER.size:
            raise ValueError("an HdrHistogram, but not with three digits and a unit of 1 ns")
        counts: dict[int, int] = {}
        index = 0
        for number in _zigzags(raw, _HEADER.size):
            if number < 0:
                index -= number
            elif number:
                counts[index] = number
                index += 1
            else:
                index += 1
        if counts and max(counts) > index_of(HIGHEST_NS):
            raise ValueError("an HdrHistogram with counts beyond its highest value")
        return cls(counts)


def _append_zigzag(payload: bytearray, number: int) -> None:
    coded = (number << 1) ^ (number >> 63)
    while coded > 0x7F:
        payload.append((coded & 0x7F) | 0x80)
        coded >>= 7
    payload.append(coded)


def _zigzags(raw: bytes, position: int) -> Iterator[int]:
    coded = shift = 0
    for byte in memoryview(raw)[position:]:
        # The ninth byte carries eight bits (LEB128-64b9B), so a count never takes a tenth.
        if shift == 56:
            coded |= byte << shift
        else:
            coded |= (byte & 0x7F) << shift
            if byte & 0x80:
                shift += 7
                continue
        yield (coded >> 1) ^ -(coded & 1)
        coded = shift = 0
    if shift:
        raise ValueError("an HdrHistogram that is cut short")
