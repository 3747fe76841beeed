"""A sparse HdrHistogram: buckets and encoding of the HdrHistogram libraries in less memory.

Layout and V2 encoding after HdrHistogram (hdrhistogram.org): lowest discernible value 1, three significant digits, thus
2,048 sub-buckets; a value read back is within 0.1 % of the recorded sample. The libraries allocate all 35,000 counters
up front (280 kB); an interval has six histograms per endpoint, most of them with a few dozen buckets in use, so counts
are stored in a dict here.
"""

from __future__ import annotations

import math
import struct
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import accumulate
from typing import Self

HIGHEST_NS = 3_600_000_000_000
"""One hour in nanoseconds: longer samples are clamped to it (the caller counts them)."""

_MAGNITUDE = 11
_HALF = 1024
_HEADER = struct.Struct(">iiiiqqd")
_COOKIE = 0x1C849313
_COMPRESSED_COOKIE = 0x1C849314
_LONGEST_PAYLOAD = 640 * 1024
"""Above the size of all buckets with nine-byte counts; anything that decompresses to more is refused."""
_HIGHEST_OF_FORMAT = (1 << 63) - 1


def index_of(value: int) -> int:
    """Return the bucket of `value` (ns, 0 to `HIGHEST_NS`)."""
    shift = value.bit_length() - _MAGNITUDE
    return value if shift <= 0 else (shift << 10) + (value >> shift)


def lowest_of(index: int) -> int:
    """Return the smallest value in bucket `index`."""
    shift = (index >> 10) - 1
    return index if shift <= 0 else ((index & (_HALF - 1)) + _HALF) << shift


def highest_of(index: int) -> int:
    """Return the largest value in bucket `index`."""
    shift = (index >> 10) - 1
    return index if shift <= 0 else lowest_of(index) + (1 << shift) - 1


class Histogram:
    """Counts of integer nanoseconds in HdrHistogram's buckets. Merge histograms, never percentiles."""

    __slots__ = ("counts", "total")

    HIGHEST = HIGHEST_NS
    """The largest value."""
    FACTOR = 1.0
    """From the recorded integers to values, for readers of the encoding."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts) if counts else {}
        """Bucket index to number of samples; no zeros."""
        self.total: int = sum(self.counts.values())
        """Number of samples."""

    def record(self, value: int, count: int = 1) -> None:
        """Add `count` (at least 1) samples of `value` ns; values outside 0 to `HIGHEST_NS` are clamped."""
        if value < 0:
            value = 0
        elif value > HIGHEST_NS:
            value = HIGHEST_NS
        # index_of, inlined: called several times per request.
        shift = value.bit_length() - _MAGNITUDE
        index = value if shift <= 0 else (shift << 10) + (value >> shift)
        counts = self.counts
        counts[index] = counts.get(index, 0) + count
        self.total += count

    def merge(self, other: Histogram) -> None:
        """Add the samples of `other`."""
        counts = self.counts
        if counts:
            get = counts.get
            for index, count in other.counts.items():
                counts[index] = get(index, 0) + count
        else:
            counts.update(other.counts)
        self.total += other.total

    def subtract(self, other: Histogram) -> None:
        """Subtract the samples of `other`, all of which were merged into this one before.

        Raises ValueError if they were not; this histogram is then unusable.
        """
        counts = self.counts
        for index, count in other.counts.items():
            left = counts.get(index, 0) - count
            if left > 0:
                counts[index] = left
            elif left == 0:
                del counts[index]
            else:
                raise ValueError("samples to subtract that were never added")
        self.total -= other.total

    def copy(self) -> Histogram:
        """Return an independent copy."""
        return Histogram(self.counts)

    @classmethod
    def merged(cls, *histograms: Histogram) -> Histogram:
        """Return a new histogram with the samples of all of them."""
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
        """Return the smallest sample in ns, as its bucket's lowest value; None without samples."""
        return lowest_of(min(self.counts)) if self.counts else None

    @property
    def maximum(self) -> int | None:
        """Return the largest sample in ns, as its bucket's highest value; None without samples."""
        return highest_of(max(self.counts)) if self.counts else None

    @property
    def mean(self) -> float | None:
        """Return the mean in ns, each sample at the middle of its bucket; None without samples."""
        if not self.total:
            return None
        # Twice the middle of each bucket, `lowest_of` + `highest_of` inlined: called for summaries every second.
        twice = 0
        for index, count in self.counts.items():
            shift = (index >> 10) - 1
            lowest = index if shift <= 0 else ((index & (_HALF - 1)) + _HALF) << shift
            twice += count * (2 * lowest + ((1 << shift) - 1 if shift > 0 else 0))
        return twice / (2 * self.total)

    def percentile(self, percent: float, beyond: int = 0) -> float | None:
        """Return the smallest value (ns) with at least ⌈percent·N/100⌉ samples at or below it; None without samples.

        `beyond` adds samples at infinity (failures, for the adjusted latency), so the result may be `math.inf`.
        `percent` is in 0 to 100, else ValueError; 0 gives the smallest sample's bucket.
        """
        return self.percentiles((percent,), beyond)[0]

    def percentiles(self, percents: Sequence[float], beyond: int = 0) -> list[float | None]:
        """Return `percentile` of each of `percents`, in order, in one pass."""
        total = self.total + beyond
        if not total:
            return [None] * len(percents)
        answers: list[float | None] = [math.inf] * len(percents)
        indices = sorted(self.counts)
        seen = list(accumulate(map(self.counts.__getitem__, indices)))
        for place, percent in enumerate(percents):
            rank = rank_of(percent, total)
            if rank <= self.total:
                answers[place] = float(highest_of(indices[bisect_left(seen, rank)]))
        return answers

    def cumulative(self) -> Iterator[tuple[int, int]]:
        """Yield bucket indices in ascending order, each with the number of samples in it and below."""
        indices = sorted(self.counts)
        return zip(indices, accumulate(map(self.counts.__getitem__, indices)), strict=True)

    def count_at_or_below(self, value: int) -> int:
        """Return the number of samples in buckets whose highest value is at most `value` ns."""
        return sum(count for index, count in self.counts.items() if highest_of(index) <= value)

    def encode(self) -> bytes:
        """Return HdrHistogram's V2 compressed encoding, readable by standard HDR tools; engines report it."""
        payload = bytearray()
        following = 0
        for index in sorted(self.counts):
            if index > following:
                _append_zigzag(payload, following - index)
            _append_zigzag(payload, self.counts[index])
            following = index + 1
        highest = min(self.HIGHEST, _HIGHEST_OF_FORMAT)
        header = _HEADER.pack(_COOKIE, len(payload), 0, 3, 1, highest, self.FACTOR)
        compressed = zlib.compress(header + bytes(payload), 1)
        return struct.pack(">ii", _COMPRESSED_COOKIE, len(compressed)) + compressed

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode the output of `encode`, or any V2 compressed histogram with the same digits and unit.

        Raises ValueError on truncated or other data.
        """
        try:
            cookie, length = struct.unpack_from(">ii", data)
            if cookie != _COMPRESSED_COOKIE or length != len(data) - 8:
                raise ValueError("not a V2 compressed HdrHistogram")
            unpacker = zlib.decompressobj()
            raw = unpacker.decompress(data[8:], _LONGEST_PAYLOAD)
            if not unpacker.eof or unpacker.unused_data:
                raise ValueError("an HdrHistogram that is truncated or too long")
            cookie, length, offset, digits, lowest, _highest, _ratio = _HEADER.unpack_from(raw)
        except (struct.error, zlib.error) as error:
            raise ValueError(f"not a V2 compressed HdrHistogram: {error}") from error
        if cookie != _COOKIE or offset != 0 or digits != 3 or lowest != 1 or length != len(raw) - _HEADER.size:
            raise ValueError("an HdrHistogram, but not with three digits and a unit of 1 ns")
        counts = _counts(memoryview(raw)[_HEADER.size :])
        if counts and max(counts) > index_of(cls.HIGHEST):
            raise ValueError("an HdrHistogram with counts beyond the largest value")
        return cls(counts)


@lru_cache(maxsize=256)
def _share(percent: float) -> tuple[int, int]:
    """Return `percent` / 100 as an exact decimal fraction: 99.9 is 999/1000, not the nearest binary number."""
    share = Fraction(repr(float(percent))) / 100
    if not 0 <= share <= 1:
        raise ValueError(f"a percentile must be in 0 to 100, not {percent}")
    return share.numerator, share.denominator


def rank_of(percent: float, total: int) -> int:
    """Return ⌈percent·total/100⌉ in integers, at least 1."""
    numerator, denominator = _share(percent)
    return max(1, -(-total * numerator // denominator))


def _append_zigzag(payload: bytearray, number: int) -> None:
    coded = (number << 1) ^ (number >> 63)
    septets = 0
    # Eight septets at most: the ninth byte carries eight bits (LEB128-64b9B), so a number never takes ten.
    while coded > 0x7F and septets < 8:
        payload.append((coded & 0x7F) | 0x80)
        coded >>= 7
        septets += 1
    payload.append(coded)


def _counts(payload: memoryview) -> dict[int, int]:
    """Read the counts by bucket: zigzag numbers, of which a negative one is a run of empty buckets."""
    counts: dict[int, int] = {}
    index = coded = shift = 0
    for byte in payload:
        if byte > 0x7F and shift < 56:
            coded |= (byte & 0x7F) << shift
            shift += 7
            continue
        # The ninth byte carries eight bits, see _append_zigzag.
        if shift:
            byte = coded | (byte << shift)
            coded = shift = 0
        if byte & 1:
            index += (byte >> 1) + 1
        else:
            if byte:
                counts[index] = byte >> 1
            index += 1
    if shift:
        raise ValueError("a truncated HdrHistogram")
    return counts
