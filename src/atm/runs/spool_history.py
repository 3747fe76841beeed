"""From the lines of a spool to what is written into storage: what the recorder does live, and recovery afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from atm.errors import StaleLeaseError
from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances
from atm.metrics.interval import Interval
from atm.metrics.live_status import LiveStatus, judged
from atm.metrics.summary import exchange
from atm.metrics.thresholds import ThresholdJudge
from atm.models.events import IntervalEvent, SampleEvent, StartedEvent
from atm.models.outcome import RunOutcome, RunStatus, StopReason
from atm.models.run import RunResult, SampledExchange
from atm.models.threshold import Threshold
from atm.plan.plan_decoder import decode
from atm.runs import events
from atm.runs.spool import Line
from atm.storage import Batch, StorageInterface
from atm.storage.base import RunSeries
from atm.storage.records import Finish, Lease, RunEvent

RECORDER_DIED = "the process that recorded the run died; the load was stopped"
MOST_LIVE_SAMPLES = 200
"""Kept requests that are told of while the run goes on; all that are kept are in its result."""
AT_ONCE = 60
"""Lines in one batch, so that a long replay does not hold the storage for long."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the spool as it goes into storage."""

    events: tuple[RunEvent, ...]
    interval: Interval | None = None
    samples: tuple[SampledExchange, ...] = ()
    completed: int | None = None
    started: Line | None = None


class SpoolHistory:
    """Reads a spool from its beginning: numbers its events, adds up its seconds, and knows what is not stored yet.

    The numbers depend on the lines alone, so whoever reads the spool again gives out the same.
    """

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        """Read, and not stored yet."""
        self.stored_intervals = 0
        self.stored_samples = 0
        self.end: Line | None = None
        """The last line of a runner that came to its end."""
        self.has_started = False
        """Whether the load has begun."""
        self._sequence = 0
        self._samples = 0
        self._collector: Collector | None = None
        self._judge: _Judge | None = None

    def add(self, lines: Iterable[Line]) -> None:
        """Take lines as they come. Raises ValueError, KeyError or TypeError for one that is no line of ours."""
        for line in lines:
            if line["kind"] == "run":
                continue
            if line["kind"] == "finished":
                self.end = line
            elif line["kind"] == "started":
                self._collector = Collector(line["endpoints"], warm_up_ns=round(line["warm_up_seconds"] * 1e9))
                self._judge = _Judge(line)
                self.has_started = True
                event = events.started(line, self._next())
                self.entries.append(_Entry((_stored(event),), started=line))
            else:
                self.entries.append(self._second(line))

    def _second(self, line: Line) -> _Entry:
        if self._collector is None or self._judge is None:
            raise ValueError("a second before the start")
        interval = Interval.from_bytes(line["interval"].encode())
        at = datetime.fromisoformat(line["at"])
        self._collector.add(interval)
        told = [_stored(events.interval(self._judge.after(interval, self._collector), self._next(), at))]
        samples = tuple(self._kept(interval))
        told += [_stored(events.sample(each, self._next(), at)) for each in samples]
        return _Entry(tuple(told), replace(interval, samples=[]), samples, self._collector.completed)

    def _kept(self, interval: Interval) -> Iterator[SampledExchange]:
        assert self._collector is not None
        for sample in interval.samples:
            # Of the slowest there are new ones all the time; which they were is known at the end.
            if sample.reason != "slowest" and self._samples < MOST_LIVE_SAMPLES:
                self._samples += 1
                yield exchange(sample, self._collector.endpoints)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def taken(self) -> RunSeries:
        """What has been read since the last call, for whoever stores it without a lease."""
        entries, self.entries = self.entries, []
        return RunSeries(
            intervals=tuple(entry.interval for entry in entries if entry.interval is not None),
            events=tuple(event for entry in entries for event in entry.events),
            samples=tuple(sample for entry in entries for sample in entry.samples),
        )


class _Judge:
    """How thresholds and measurement stand, second by second, from what the first line says of them."""

    def __init__(self, started: Line) -> None:
        thresholds = [decode(Threshold, each) for each in started["thresholds"]]
        self._thresholds = ThresholdJudge(thresholds, started["endpoints"], round(started["warm_up_seconds"] * 1e9))
        self._circumstances = Circumstances(started["engine"], started["cores"], poisson=started["poisson"])

    def after(self, interval: Interval, collector: Collector) -> LiveStatus:
        self._thresholds.add(interval)
        return judged(collector, self._thresholds, self._circumstances)


def _stored(event: StartedEvent | IntervalEvent | SampleEvent) -> RunEvent:
    return RunEvent(event.sequence, event.kind, event.at, events.to_data(event))


async def store(storage: StorageInterface, lease: Lease, history: SpoolHistory) -> None:
    """Write what has been read. What raised may be called again: nothing is written twice, nothing is left out.

    Raises StaleLeaseError and StorageUnavailableError.
    """
    while history.entries:
        part = history.entries[:AT_ONCE]
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


def ending(end: Line) -> Finish:
    """How a run ended whose runner came to its end. Raises ValueError for a line that is something else."""
    result = RunResult.model_validate_json(end["result"]) if end["result"] else None
    finish = Finish(
        status=RunStatus(end["status"]),
        completed_at=datetime.fromisoformat(end["at"]),
        result=result,
        error_message=end["error"],
        stop_reason=StopReason(end["stop_reason"]) if end["stop_reason"] else None,
    )
    return lost(finish, RECORDER_DIED) if end["lost"] else finish


def lost(finish: Finish, reason: str) -> Finish:
    """The same figures as those of a failed run: what was measured stands, but nobody may take it for a whole test."""
    result = finish.result
    if result is not None:
        run = result.run.model_copy(
            update={"status": RunStatus.FAILED, "stop_reason": StopReason.FAILED, "error": reason}
        )
        verdict = result.verdict.model_copy(update={"passed": None, "outcome": RunOutcome.ERROR, "exit_code": 1})
        result = result.model_copy(update={"run": run, "verdict": verdict})
    return Finish(RunStatus.FAILED, finish.completed_at, result, reason, StopReason.FAILED)


async def finish(storage: StorageInterface, lease: Lease, how: Finish) -> None:
    """End the run; when it was ended by this lease before, that is as good. Raises StorageUnavailableError."""
    try:
        await storage.leases.finish(lease, how)
    except StaleLeaseError:
        return
