"""Compute when each request starts, as pure functions of the load; time is an argument.

All times are integer nanoseconds since the start of the run (the intended start of the first request, warm-up
included), rounded half up from the exact value. A profile is a piecewise linear level (arrivals per second, or users).
The intended start of an arrival is the exact inverse of the integral of the rate at its cumulative intensity S: S = 0,
1, 2, … for even arrivals, and the running sum of -ln(uniform) for Poisson (a non-homogeneous Poisson process by time
change, Çinlar 1975).

Where the rate is 0 the integral is flat and its inverse an interval; its later end is used, so that no arrival is
scheduled inside a pause: segments are half-open, and an arrival on the border belongs to the next segment.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import count, tee
from math import ceil, inf, log, sqrt

from atm.plan.load_plan import Load, Segment
from atm.plan.randomness import arrival_uniform
from atm.plan.share import WHOLE, Share

SECOND = 1_000_000_000
"""Nanoseconds in a second."""
NEVER = 1 << 62
"""Later than any time, in nanoseconds."""


class Profile:
    """A piecewise linear level over time, its integral and the integral's inverse. Times in ns from its start."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        # Exact fractions, so that rounding errors do not accumulate at the borders of many segments.
        total = Fraction(0)
        elapsed = 0
        self._segments: list[Segment] = []
        self._starts: list[int] = []
        self._integrals: list[float] = []
        for segment in segments:
            if segment.duration_ns == 0:
                continue
            self._segments.append(segment)
            self._starts.append(elapsed)
            self._integrals.append(float(total))
            if segment.duration_ns is None:
                break
            elapsed += segment.duration_ns
            total += (Fraction(segment.start) + Fraction(segment.end)) / 2 * segment.duration_ns / SECOND
        endless = bool(self._segments) and self._segments[-1].duration_ns is None
        self.duration_ns: int | None = None if endless else elapsed
        """None for a profile without an end."""
        self.integral: float = _endless_integral(self._segments[-1], float(total)) if endless else float(total)
        """Integral over the whole profile; infinite if it never ends and never falls to 0."""

    def level_at(self, elapsed_ns: int) -> float:
        """Return the level at a time; at a jump the later one; 0 outside the profile."""
        if elapsed_ns < 0 or (self.duration_ns is not None and elapsed_ns >= self.duration_ns):
            return 0.0
        index = bisect_right(self._starts, elapsed_ns) - 1
        segment = self._segments[index]
        if segment.duration_ns is None:
            return segment.start
        share = (elapsed_ns - self._starts[index]) / segment.duration_ns
        return segment.start + (segment.end - segment.start) * share

    def integral_to(self, elapsed_ns: int) -> float:
        """Return the integral up to a time, in units of level times seconds (arrivals, for a rate)."""
        if elapsed_ns <= 0 or not self._segments:
            return 0.0
        if self.duration_ns is not None and elapsed_ns >= self.duration_ns:
            return self.integral
        index = bisect_right(self._starts, elapsed_ns) - 1
        level = self._segments[index].start
        within = elapsed_ns - self._starts[index]
        return self._integrals[index] + (level + self.level_at(elapsed_ns)) * within / (2 * SECOND)

    def inverse(self, integral: float) -> int | None:
        """Return the latest time (ns) at which the integral does not exceed `integral`; None at or past the end."""
        if integral >= self.integral:
            return None
        index = self._index(integral)
        moment = int(self._starts[index] + self._within(index, integral) + 0.5)
        return None if self.duration_ns is not None and moment >= self.duration_ns else moment

    def inverses(self, integrals: Iterator[float]) -> Iterator[int]:
        """Apply `inverse` to a non-decreasing series, up to the end of the profile; amortised O(1) per value."""
        end = inf if self.duration_ns is None else self.duration_ns
        borders = [*self._integrals[1:], self.integral]
        index = 0
        for integral in integrals:
            if integral >= self.integral:
                return
            while integral >= borders[index]:
                index += 1
            moment = int(self._starts[index] + self._within(index, integral) + 0.5)
            if moment >= end:
                return
            yield moment

    def _index(self, integral: float) -> int:
        # The last segment that starts at or below `integral`: earlier ones with the same integral were pauses.
        return bisect_right(self._integrals, integral) - 1

    def _within(self, index: int, integral: float) -> float:
        """Return the ns into segment `index` at which the integral is reached."""
        segment = self._segments[index]
        area = integral - self._integrals[index]
        duration = segment.duration_ns
        if duration is None or segment.start == segment.end:
            return area * SECOND / segment.start
        if area <= 0:
            return 0.0
        # a·t + k·t²/2 = area. This form of the root never subtracts nearly equal numbers, for either sign of k.
        slope = (segment.end - segment.start) * SECOND / duration
        root = sqrt(max(0.0, segment.start * segment.start + 2 * slope * area))
        return min(2 * area * SECOND / (segment.start + root), duration)


class Pacer:
    """The intended starts of an open load: warm-up first (even, at a constant rate), then the segments.

    Request numbers are 1-based and continue from warm-up into the measured load.
    """

    def __init__(self, load: Load, seed: int = 0) -> None:
        self._seed = seed
        self._poisson = load.arrival == "poisson"
        self._warm_up_ns = load.warm_up_ns
        self._warm_up = Profile((Segment(load.warm_up_level, load.warm_up_level, load.warm_up_ns),))
        self._measured = Profile(load.segments)
        self.warm_up_arrivals: int = _even_arrivals(self._warm_up, load.warm_up_ns)
        """Number of warm-up arrivals; the first measured one has this number plus 1."""
        self.end_ns: int | None = _plus(self._measured.duration_ns, load.warm_up_ns)
        """The end of the last segment; None for an endless load."""

    def starts(self, first: int = 1) -> Iterator[int]:
        """Yield the intended starts of arrivals `first`, `first` + 1, … to the end of the load; amortised O(1) each."""
        for number in range(first, self.warm_up_arrivals + 1):
            moment = self._warm_up.inverse(float(number - 1))
            if moment is not None:
                yield moment
        skipped = max(0, first - 1 - self.warm_up_arrivals)
        offset = self._warm_up_ns
        for moment in self._measured.inverses(self._intensities(skipped)):
            yield moment + offset

    def arrivals(self, share: Share = WHOLE, total: int | None = None) -> Iterator[tuple[int, int]]:
        """Yield the number and the intended start of each arrival of a share, to the end of the load.

        Of several shares, the last of `total` measured arrivals of all is yielded whatever its share is, because it
        decides the end of sending, and none after it. The only share has all arrivals, without regard to `total`.
        Amortised O(1) each, except that random arrivals of other shares are drawn too.
        """
        if share.of == 1:
            return zip(count(1), self.starts(), strict=False)
        return self._arrivals_of(share, None if total is None else self.warm_up_arrivals + total - 1)

    def _arrivals_of(self, share: Share, last: int | None) -> Iterator[tuple[int, int]]:
        """Yield those of a share, and the one with the 0-based index `last`, after which there are no others."""
        before = self.warm_up_arrivals
        for index in map(share.index, range(share.count(before))):
            moment = self._warm_up.inverse(float(index))
            if moment is not None:
                yield index + 1, moment
        drawn = self._poisson_of(share, last) if self._poisson else self._even_of(share, last)
        numbered, spaced = tee(drawn)
        moments = self._measured.inverses(intensity for _, intensity in spaced)
        for (index, _), moment in zip(numbered, moments, strict=False):
            yield index + 1, moment + self._warm_up_ns

    def _even_of(self, share: Share, last: int | None) -> Iterator[tuple[int, float]]:
        before = self.warm_up_arrivals
        for index in map(share.index, count(share.count(before))):
            if last is not None and index >= last:
                yield last, float(last - before)
                return
            yield index, float(index - before)

    def _poisson_of(self, share: Share, last: int | None) -> Iterator[tuple[int, float]]:
        residues = frozenset(share.residues)
        for index, intensity in zip(count(self.warm_up_arrivals), self._poisson_intensities(0), strict=False):
            if index == last:
                yield index, intensity
                return
            if index % share.of in residues:
                yield index, intensity

    def expected_arrivals(self, elapsed_ns: int) -> float:
        """Return the integral of the rate from the start of the run, warm-up included: the mean number of arrivals."""
        return self._warm_up.integral_to(elapsed_ns) + self._measured.integral_to(elapsed_ns - self._warm_up_ns)

    def gap_ns(self, elapsed_ns: int) -> int:
        """Return 1/rate at a time (added to the window after the last of N arrivals); 0 if the rate is 0."""
        if elapsed_ns < self._warm_up_ns:
            rate = self._warm_up.level_at(elapsed_ns)
        else:
            rate = self._measured.level_at(elapsed_ns - self._warm_up_ns)
        return int(SECOND / rate + 0.5) if rate > 0 else 0

    def _intensities(self, skipped: int) -> Iterator[float]:
        if not self._poisson:
            return map(float, count(skipped))
        return self._poisson_intensities(skipped)

    def _poisson_intensities(self, skipped: int) -> Iterator[float]:
        intensity = 0.0
        first = self.warm_up_arrivals + 1
        for number in count(first):
            intensity -= log(arrival_uniform(self._seed, number))
            if number - first >= skipped:
                yield intensity


def peak_users(load: Load) -> int:
    """Return the most users of a closed load at any time."""
    levels = [level for segment in load.segments for level in (segment.start, segment.end)]
    peak = max([*levels, load.warm_up_level] if load.warm_up_ns else levels)
    return max(1, int(peak + 0.5)) if peak > 0 else 0


def user_changes(load: Load) -> Iterator[tuple[int, int]]:
    """Yield every time (ns since the start of the run) at which the number of users changes, with the new number.

    Starts with the number at 0. If the load ends, the last item is (end, 0).
    """
    warm_up = Segment(load.warm_up_level, load.warm_up_level, load.warm_up_ns)
    before: int | None = None
    elapsed = 0
    for segment in (warm_up, *load.segments):
        for within, users in _segment_users(segment):
            if users != before:
                yield elapsed + within, users
                before = users
        if segment.duration_ns is None:
            return
        elapsed += segment.duration_ns
    if before != 0:
        yield elapsed, 0


def _segment_users(segment: Segment) -> Iterator[tuple[int, int]]:
    start, end, duration = segment.start, segment.end, segment.duration_ns
    if duration == 0:
        return
    rising = duration is not None and end > start
    users = int(start + 0.5)
    yield 0, users if users or (start == 0 and not rising) else 1
    if duration is None or start == end:
        return
    last = int(end + 0.5)
    step = 1 if rising else -1
    # Rising, `users` is reached at the level users - 0.5; falling, it is left just below that.
    for reached in range(users + step, last + step, step):
        border = reached - 0.5 if rising else reached + 0.5
        exact = (Fraction(border) - Fraction(start)) / (Fraction(end) - Fraction(start)) * duration
        moment = ceil(exact) if rising else int(exact) + 1
        if moment < duration:
            yield moment, max(1, reached)


def _even_arrivals(profile: Profile, before_ns: int) -> int:
    """Return how many of S = 0, 1, 2, … have their inverse before a time."""
    number = ceil(profile.integral_to(before_ns))
    # Rounding to whole nanoseconds may move the arrival next to the border to the other side.
    while number > 0 and _at_or_after(profile.inverse(float(number - 1)), before_ns):
        number -= 1
    while not _at_or_after(profile.inverse(float(number)), before_ns):
        number += 1
    return number


def _at_or_after(moment: int | None, border_ns: int) -> bool:
    return moment is None or moment >= border_ns


def _plus(moment: int | None, offset: int) -> int | None:
    return None if moment is None else moment + offset


def _endless_integral(last: Segment, before: float) -> float:
    return inf if last.start > 0 else before
