"""Recover command-line runs whose process was killed: store their spools as runs that ended in an error.

The process of a run locks its spool; the operating system releases the lock when the process dies for any reason.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from atm.errors import AtmError
from atm.metrics.collector import Collector
from atm.metrics.interval import Interval
from atm.metrics.summary import RunTimes, summarize
from atm.metrics.thresholds import ThresholdJudge
from atm.models.outcome import RunStatus, StopReason
from atm.models.outline import EndpointDescription
from atm.models.run import RunInfo, RunResult
from atm.runs.local_history import pending, run_of
from atm.runs.spool import Line, SpoolReader
from atm.runs.spool_history import SpoolHistory
from atm.runs.started_line import circumstances_of, new_collector, new_judge, warm_up_ns
from atm.storage import StorageInterface
from atm.storage.base import RunSeries
from atm.storage.records import Run

log = logging.getLogger("atm.runs")

KILLED = "the process of the run was killed; the figures cover the time until then"
NEWEST_SECONDS = 60.0
"""A spool without lines and younger than this may be one that is being created."""


async def recover_local_runs(storage: StorageInterface, directory: Path) -> int:
    """Store the runs whose process died, remove their spools, and return their number.

    A spool that cannot be stored is left for the next attempt, and the reason is logged.
    """
    stored = 0
    for path in pending(directory):
        with abandoned(path) as is_abandoned:
            if is_abandoned and await _store(storage, path):
                stored += 1
    return stored


@contextmanager
def abandoned(path: Path) -> Iterator[bool]:
    """Try to lock a spool until the block ends; yield whether no other process holds it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # stored or removed meanwhile, or owned by another user
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield os.fstat(descriptor).st_nlink > 0
    finally:
        os.close(descriptor)


async def _store(storage: StorageInterface, path: Path) -> bool:
    try:
        left = await asyncio.to_thread(_Spool, path)
        if left.run is None:
            _remove_if_old(path)
            return False
        result = left.result()
        await storage.runs.restore(left.as_run(result), result, left.history())
    except AtmError as error:
        if error.problems[0].code == "run_exists":
            # Its process died between storing the run and removing the spool.
            _remove(path)
        else:
            log.warning("a killed run could not be stored yet: %s", error.problems[0].what)
        return False
    except (ValueError, KeyError, TypeError) as error:
        log.warning("the spool %s cannot be read and was renamed to .unreadable: %s", path.name, type(error).__name__)
        _set_aside(path)
        return False
    _remove(path)
    return True


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _remove_if_old(path: Path) -> None:
    """Remove a spool without a run, unless it may be one that is being created."""
    if time.time() - path.stat().st_mtime > NEWEST_SECONDS:
        path.unlink()


def _set_aside(path: Path) -> None:
    path.rename(path.with_suffix(".unreadable"))


class _Spool:
    """The run in an abandoned spool. Raises ValueError, KeyError or TypeError for an invalid spool."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.run: Line | None = None
        self._started: Line | None = None
        self._end: Line | None = None
        self._collector: Collector | None = None
        self._thresholds: ThresholdJudge | None = None
        self._last = ""
        for part in SpoolReader(path).parts():
            for line in part:
                self._add(line)

    def _add(self, line: Line) -> None:
        if line["kind"] == "run":
            self.run = line
            self._last = line["created_at"]
        elif line["kind"] == "started":
            self._started = line
            self._collector = new_collector(line)
            self._thresholds = new_judge(line)
        elif line["kind"] == "finished":
            self._end = line
        elif self._collector is not None and self._thresholds is not None:
            interval = Interval.from_bytes(line["interval"].encode())
            self._collector.add(interval)
            self._thresholds.add(interval)
            self._last = line["at"]

    def as_run(self, result: RunResult | None) -> Run:
        """Return the run to store: as it ended, or as killed."""
        assert self.run is not None
        if self._end is not None and result is not None:
            info = result.run
            return run_of(self.run, info.status, result, info.error or "", info.completed_at or info.created_at)
        return run_of(self.run, RunStatus.FAILED, result, KILLED, datetime.fromisoformat(self._last))

    def result(self) -> RunResult | None:
        """Return the run's own result, else one of the seconds until the kill; None when there are none."""
        if self._end is not None:
            return RunResult.model_validate_json(self._end["result"])
        collector, run, started = self._collector, self.run, self._started
        if collector is None or run is None or started is None or self._thresholds is None or not collector.end_ns:
            return None
        end_ns = collector.end_ns
        times = RunTimes(min(warm_up_ns(started), end_ns), end_ns, end_ns)
        return summarize(
            collector,
            times,
            self._info(run, started),
            [EndpointDescription(*described) for described in run["described"]],
            self._thresholds.results(collector, times.window_ns),
            circumstances=circumstances_of(started),
            environment={},
            spec=run["spec"],
        )

    def _info(self, run: Line, started: Line) -> RunInfo:
        return RunInfo(
            id=run["id"],
            name=run["name"],
            status=RunStatus.FAILED,
            stop_reason=StopReason.FAILED,
            created_at=datetime.fromisoformat(run["created_at"]),
            started_at=datetime.fromisoformat(started["at"]),
            completed_at=datetime.fromisoformat(self._last),
            engine=started["engine"],
            engine_version=run["engine_version"],
            engine_reason=started["engine_reason"],
            seed=started["seed"],
            model=run["model"],
            error=KILLED,
        )

    def history(self) -> Iterator[RunSeries]:
        """Yield the intervals, events and samples of the run in parts."""
        history = SpoolHistory()
        for part in SpoolReader(self._path).parts():
            history.add(part)
            yield history.take()
