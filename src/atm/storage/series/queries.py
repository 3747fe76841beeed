"""Queries of a run's time series, evaluated on rows and shared by all storages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from atm.dataclass import dataclass
from atm.metrics.interval import HISTOGRAMS, Interval
from atm.models.samples import SampledExchange
from atm.storage.base import Batch, Written
from atm.storage.errors import sequence_gap
from atm.storage.records import RunEvent, SampleQuery
from atm.storage.result import StoredSample
from atm.storage.series import scenario_rows
from atm.storage.series.interval_decoder import intervals_of
from atm.storage.series.rollup import Rollup
from atm.storage.series.rows import (
    RESOLUTIONS,
    WHOLE,
    GeneratorPoint,
    IntervalPoint,
    IntervalRow,
    generator_point_of,
    point_of,
)
from atm.storage.series.scenario_rows import ScenarioPoints
from atm.storage.series.windows import Part, Window, merged, parts

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of a resolution (of `RESOLUTIONS`, or 0; else ValueError) and some endpoints that begin in [start, end)."""

    resolution: int
    start: int
    end: int | None
    endpoints: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.resolution not in (*RESOLUTIONS, WHOLE):
            allowed = ", ".join(map(str, RESOLUTIONS))
            raise ValueError(f"a resolution is one of {allowed} seconds, or 0 for the whole run, not {self.resolution}")

    def includes(self, row: IntervalRow) -> bool:
        """Return whether a row is selected."""
        within = self.start <= row.start and (self.end is None or row.start < self.end)
        return row.resolution == self.resolution and row.endpoint in self.endpoints and within


@dataclass(frozen=True, slots=True)
class NewData:
    """The part of a batch that is not stored yet, and the write position after it."""

    intervals: Sequence[Interval]
    events: Sequence[RunEvent]
    samples: Sequence[StoredSample]
    after: Written


def new_data(run_id: str, written: Written, batch: Batch) -> NewData:
    """Return the part of a batch that is not stored yet. Raises ConflictError `sequence_gap`."""
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
    return NewData(intervals, events, samples, after)


def intervals(rows: Iterable[IntervalRow]) -> list[Interval]:
    """Convert rows of 1 s back to intervals."""
    return intervals_of(rows)


def points(rows: Iterable[IntervalRow]) -> list[IntervalPoint]:
    """Convert endpoint rows to points."""
    return [point_of(row) for row in rows]


def generator_points(rows: Iterable[IntervalRow]) -> list[GeneratorPoint]:
    """Convert generator rows to points."""
    return [generator_point_of(row) for row in rows]


def scenario_points(rows: Iterable[IntervalRow]) -> ScenarioPoints:
    """Convert rows about scenarios and checks to points."""
    return scenario_rows.scenario_points(rows)


def has_open_row(selection: Selection, covered: Mapping[int, int]) -> bool:
    """Return whether finer rows continue beyond the stored rows of the selection, within its range."""
    stored = covered.get(selection.resolution, 0)
    last = max(covered.values(), default=0)
    return last > stored and (selection.end is None or selection.end > stored)


def open_rows(selection: Selection, covered: Mapping[int, int], tail: Iterable[IntervalRow]) -> list[IntervalRow]:
    """Return the rows that are not stored yet, aggregated from the rows named by `needed_to_resume`."""
    stored = covered.get(selection.resolution, 0) if selection.resolution != WHOLE else 0
    rows = Rollup.resumed(tail).close()
    return [row for row in rows if selection.includes(row) and (row.start >= stored or selection.resolution == WHOLE)]


@dataclass(frozen=True, slots=True)
class Cut:
    """A window and the rows to merge for it; for a whole run, its `WHOLE` rows can be used if stored."""

    start: int
    end: int
    parts: Sequence[Part]
    is_whole: bool


def cut(start: int, end: int | None, covered: Mapping[int, int]) -> Cut:
    """Plan the rows for [start, end), given the end of the stored rows of each resolution."""
    last = max(covered.values(), default=0)
    cut_parts = parts(start, last if end is None else end, covered)
    whole = start <= 0 and (end is None or end >= last)
    first, beyond = (cut_parts[0].start, cut_parts[-1].end) if cut_parts else (max(0, start), max(0, start))
    return Cut(first, beyond, cut_parts, whole)


def window(cut: Cut, rows: Iterable[IntervalRow], histograms: Sequence[str] = HISTOGRAMS) -> Window:
    """Merge the rows of a cut."""
    return merged(cut.start, cut.end, rows, histograms)


def sample_matches(sample: SampledExchange, query: SampleQuery) -> bool:
    """Return whether a sample matches all conditions."""
    return (
        (query.endpoint is None or sample.endpoint == query.endpoint)
        and (query.outcome is None or sample.outcome == query.outcome)
        and (query.status is None or sample.status == query.status)
        and (query.reason is None or sample.reason == query.reason)
        and (query.minimum_ms is None or sample.response_ms >= query.minimum_ms)
        and _finished_in(sample, query.start, query.end)
    )


def _finished_in(sample: SampledExchange, start: int, end: int | None) -> bool:
    # In whole nanoseconds, as recorded: float sums would move some samples across the border of a second.
    finish_ns = round(sample.at_seconds * 1e9) + round(sample.response_ms * 1e6)
    return start * SECOND_NS <= finish_ns and (end is None or finish_ns < end * SECOND_NS)
