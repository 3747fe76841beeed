"""Convert the lines of a spool to storage writes, for the recorder during a run and for recovery after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from atm.dataclass import dataclass
from atm.errors import StaleLeaseError
from atm.metrics.collector import Collector
from atm.metrics.interval import Interval
from atm.metrics.live_status import LiveStatus, judged
from atm.metrics.result_samples import exchange, sampled_iteration
from atm.models.events import IntervalEvent, SampledIterationEvent, SampleEvent, StartedEvent
from atm.models.outcome import RunOutcome, RunStatus, StopReason
from atm.models.run import RunResult
from atm.models.samples import SampledExchange, SampledIteration
from atm.runs import events
from atm.runs.spool import Line
from atm.runs.started_line import circumstances_of, new_collector, new_judge
from atm.storage import Batch, StorageInterface
from atm.storage.base import RunSeries
from atm.storage.records import Finish, Lease, RunEvent
from atm.storage.result import StoredSample

RECORDER_DIED = "the process that recorded the run died; the load was stopped"
MOST_LIVE_SAMPLES = 200
"""How many sampled requests are published as events during the run; the result has all samples."""
MOST_LIVE_ITERATIONS = 20
"""How many sampled iterations are stored during the run."""
BATCH_LINES = 60
"""Lines in one batch, so that a long replay does not lock the storage for long."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A spool line converted for storage."""

    events: tuple[RunEvent, ...]
    interval: Interval | None = None
    samples: tuple[StoredSample, ...] = ()
    completed: int | None = None
    started: Line | None = None


class SpoolHistory:
    """Read a spool from its beginning: number its events, aggregate its intervals, track what is not stored yet.

    Sequence numbers depend only on the lines, so a replay assigns the same ones.
    """

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        """Entries read but not stored yet."""
        self.stored_intervals = 0
        self.stored_samples = 0
        self.end: Line | None = None
        """The last line of a runner that finished."""
        self.run: Line | None = None
        """The first line of a spool of `atm run`, which describes the run."""
        self.started_at: datetime | None = None
        """When the load started."""
        self._sequence = 0
        self._samples = 0
        self._iterations = 0
        self._collector: Collector | None = None
        self._judge: _Judge | None = None

    def add(self, lines: Iterable[Line]) -> None:
        """Add lines in order. Raises ValueError, KeyError or TypeError for an invalid line."""
        for line in lines:
            if line["kind"] == "run":
                self.run = line
            elif line["kind"] == "finished":
                self.end = line
            elif line["kind"] == "started":
                self._collector = new_collector(line)
                self._judge = _Judge(line)
                self.started_at = datetime.fromisoformat(line["at"])
                event = events.started(line, self._next())
                self.entries.append(_Entry((_stored(event),), started=line))
            else:
                self.entries.append(self._second(line))

    @property
    def completed(self) -> int:
        """The requests completed so far."""
        return 0 if self._collector is None else self._collector.completed

    def _second(self, line: Line) -> _Entry:
        if self._collector is None or self._judge is None:
            raise ValueError("a second before the start")
        interval = Interval.from_bytes(line["interval"].encode())
        at = datetime.fromisoformat(line["at"])
        self._collector.add(interval)
        new_events = [_stored(events.interval(self._judge.after(interval, self._collector), self._next(), at))]
        samples = tuple(self._live_samples(interval))
        new_events += [_stored(events.sample(sample, self._next(), at)) for sample in samples]
        iterations = tuple(self._live_iterations(interval))
        new_events += [_stored(events.sampled_iteration(iteration, self._next(), at)) for iteration in iterations]
        for part in interval.endpoints:
            part.apart = part.endpoint in self._collector.endpoints_apart
        stored = replace(interval, samples=[], sampled_iterations=[])
        to_store: tuple[StoredSample, ...] = (*samples, *iterations)
        return _Entry(tuple(new_events), stored, to_store, self._collector.completed)

    def _live_samples(self, interval: Interval) -> Iterator[SampledExchange]:
        assert self._collector is not None
        for sample in interval.samples:
            # The slowest requests are final only at the end of the run.
            if sample.reason != "slowest" and self._samples < MOST_LIVE_SAMPLES:
                self._samples += 1
                yield exchange(sample, self._collector.endpoints)

    def _live_iterations(self, interval: Interval) -> Iterator[SampledIteration]:
        assert self._collector is not None
        for sample in interval.sampled_iterations:
            if sample.reason != "slowest" and self._iterations < MOST_LIVE_ITERATIONS:
                self._iterations += 1
                yield sampled_iteration(sample, self._collector.endpoints, self._collector.scenarios)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def take(self) -> RunSeries:
        """Return what was read since the last call, for storing it without a lease."""
        entries, self.entries = self.entries, []
        return RunSeries(
            intervals=tuple(entry.interval for entry in entries if entry.interval is not None),
            events=tuple(event for entry in entries for event in entry.events),
            samples=tuple(sample for entry in entries for sample in entry.samples),
        )


class _Judge:
    """Evaluate thresholds and measurement after each second, as set up by the `started` line."""

    def __init__(self, started: Line) -> None:
        self._thresholds = new_judge(started)
        self._circumstances = circumstances_of(started)

    def after(self, interval: Interval, collector: Collector) -> LiveStatus:
        self._thresholds.add(interval)
        return judged(collector, self._thresholds, self._circumstances)


def _stored(event: StartedEvent | IntervalEvent | SampleEvent | SampledIterationEvent) -> RunEvent:
    return RunEvent(event.sequence, event.kind, event.at, events.to_data(event))


async def store(storage: StorageInterface, lease: Lease, history: SpoolHistory) -> None:
    """Store the entries read so far. Safe to retry after an error: each entry is written exactly once.

    Raises StaleLeaseError and StorageUnavailableError.
    """
    while history.entries:
        part = history.entries[:BATCH_LINES]
        batch = _batch(part, history.stored_intervals, history.stored_samples)
        for entry in part:
            if entry.started:
                at = datetime.fromisoformat(entry.started["at"])
                await storage.leases.started(lease, at, entry.started["engine"])
        await storage.series.append(lease, batch)
        history.stored_intervals += len(batch.intervals)
        history.stored_samples += len(batch.samples)
        del history.entries[: len(part)]


def _batch(entries: Sequence[_Entry], first_interval: int, first_sample: int) -> Batch:
    completed = [entry.completed for entry in entries if entry.completed is not None]
    return Batch(
        first_interval=first_interval,
        intervals=tuple(entry.interval for entry in entries if entry.interval is not None),
        events=tuple(event for entry in entries for event in entry.events),
        first_sample=first_sample,
        samples=tuple(sample for entry in entries for sample in entry.samples),
        requests_completed=completed[-1] if completed else None,
    )


def finish_of(end: Line) -> Finish:
    """Return the end of a run from the runner's last line. Raises ValueError for another line."""
    result = RunResult.model_validate_json(end["result"]) if end["result"] else None
    finish = Finish(
        status=RunStatus(end["status"]),
        completed_at=datetime.fromisoformat(end["at"]),
        result=result,
        error_message=end["error"],
        stop_reason=StopReason(end["stop_reason"]) if end["stop_reason"] else None,
    )
    return as_failed(finish, RECORDER_DIED) if end["lost"] else finish


def as_failed(finish: Finish, reason: str) -> Finish:
    """Return the same result marked as failed: its metrics stay, but the test is incomplete."""
    result = finish.result
    if result is not None:
        run = result.run.model_copy(
            update={"status": RunStatus.FAILED, "stop_reason": StopReason.FAILED, "error": reason}
        )
        verdict = result.verdict.model_copy(update={"passed": None, "outcome": RunOutcome.ERROR, "exit_code": 1})
        result = result.model_copy(update={"run": run, "verdict": verdict})
    return Finish(RunStatus.FAILED, finish.completed_at, result, reason, StopReason.FAILED)


async def finish(storage: StorageInterface, lease: Lease, end: Finish) -> None:
    """Finish the run; no-op when the lease no longer holds it. Raises StorageUnavailableError."""
    try:
        await storage.leases.finish(lease, end)
    except StaleLeaseError:
        return
