"""What is asked of a run's history and how it is answered from rows, whoever keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from atm.metrics.interval import HISTOGRAMS, Interval
from atm.models.run import SampledExchange
from atm.storage.base import Batch, Written
from atm.storage.errors import sequence_gap
from atm.storage.records import RunEvent, SampleQuery
from atm.storage.series.rollup import Rollup
from atm.storage.series.rows import (
    RESOLUTIONS,
    WHOLE,
    GeneratorPoint,
    IntervalPoint,
    IntervalRow,
    generator_point_of,
    intervals_of,
    point_of,
)
from atm.storage.series.windows import Part, Window, merged, parts

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of one resolution (ValueError unless 1, 10, 60 or 0) that begin in [start, end), of some endpoints."""

    resolution: int
    start: int
    end: int | None
    endpoints: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.resolution not in (*RESOLUTIONS, WHOLE):
            raise ValueError(f"a resolution is 1, 10 or 60 seconds, or 0 for the whole run, not {self.resolution}")

    def takes(self, row: IntervalRow) -> bool:
        """Whether it is one of those rows."""
        within = self.start <= row.start and (self.end is None or row.start < self.end)
        return row.resolution == self.resolution and row.endpoint in self.endpoints and within


@dataclass(frozen=True, slots=True)
class Fresh:
    """What of a batch is not stored yet, and how far the run is written with it."""

    intervals: Sequence[Interval]
    events: Sequence[RunEvent]
    samples: Sequence[SampledExchange]
    after: Written


def fresh(run_id: str, written: Written, batch: Batch) -> Fresh:
    """Leave out what is stored. Raises ConflictError `sequence_gap`."""
    if batch.intervals and batch.first_interval > written.next_interval:
        raise sequence_gap(run_id, "interval", written.next_interval, batch.first_interval)
    if batch.samples and batch.first_sample > written.next_sample:
        raise sequence_gap(run_id, "sample", written.next_sample, batch.first_sample)
    last = written.last_event
    events = [event for event in batch.events if event.sequence > last]
    for event in events:
        if event.sequence != last + 1:
            raise sequence_gap(run_id, "event", last + 1, event.sequence)
        last = event.sequence
    intervals = batch.intervals[written.next_interval - batch.first_interval :] if batch.intervals else ()
    samples = batch.samples[written.next_sample - batch.first_sample :] if batch.samples else ()
    after = Written(written.next_interval + len(intervals), last, written.next_sample + len(samples))
    return Fresh(intervals, events, samples, after)


def intervals(rows: Iterable[IntervalRow]) -> list[Interval]:
    """Rows of 1 s as the intervals they were."""
    return intervals_of(rows)


def points(rows: Iterable[IntervalRow]) -> list[IntervalPoint]:
    """Rows of endpoints as points."""
    return [point_of(row) for row in rows]


def generator_points(rows: Iterable[IntervalRow]) -> list[GeneratorPoint]:
    """Rows of the generator as points."""
    return [generator_point_of(row) for row in rows]


def has_open_stretch(selection: Selection, covered: Mapping[int, int]) -> bool:
    """Whether finer rows go on where those of the selection end, within it."""
    stored = covered.get(selection.resolution, 0)
    last = max(covered.values(), default=0)
    return last > stored and (selection.end is None or selection.end > stored)


def open_stretch(selection: Selection, covered: Mapping[int, int], tail: Iterable[IntervalRow]) -> list[IntervalRow]:
    """The rows that are not stored yet, made from those that `needed_to_resume` names."""
    stored = covered.get(selection.resolution, 0) if selection.resolution != WHOLE else 0
    rows = Rollup.resumed(tail).close()
    return [row for row in rows if selection.takes(row) and (row.start >= stored or selection.resolution == WHOLE)]


@dataclass(frozen=True, slots=True)
class Cut:
    """A window and the rows that it is made from; of the whole run, its own rows will do where they are stored."""

    start: int
    end: int
    parts: Sequence[Part]
    is_whole: bool


def cut(start: int, end: int | None, covered: Mapping[int, int]) -> Cut:
    """How to answer for [start, end), given where the stored rows of each resolution end."""
    last = max(covered.values(), default=0)
    found = parts(start, last if end is None else end, covered)
    whole = start <= 0 and (end is None or end >= last)
    first, beyond = (found[0].start, found[-1].end) if found else (max(0, start), max(0, start))
    return Cut(first, beyond, found, whole)


def window(cut: Cut, rows: Iterable[IntervalRow], histograms: Sequence[str] = HISTOGRAMS) -> Window:
    """The rows of a cut, added up."""
    return merged(cut.start, cut.end, rows, histograms)


def sample_matches(sample: SampledExchange, query: SampleQuery) -> bool:
    """Whether all conditions hold."""
    return (
        (query.endpoint is None or sample.endpoint == query.endpoint)
        and (query.outcome is None or sample.outcome == query.outcome)
        and (query.status is None or sample.status == query.status)
        and (query.reason is None or sample.reason == query.reason)
        and (query.minimum_ms is None or sample.response_ms >= query.minimum_ms)
        and _finished_in(sample, query.start, query.end)
    )


def _finished_in(sample: SampledExchange, start: int, end: int | None) -> bool:
    # In whole nanoseconds, as they were recorded: sums of fractions would move some across the border of a second.
    finish_ns = round(sample.at_seconds * 1e9) + round(sample.response_ms * 1e6)
    return start * SECOND_NS <= finish_ns and (end is None or finish_ns < end * SECOND_NS)
