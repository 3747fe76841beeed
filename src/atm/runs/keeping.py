"""A run of this process in the history: its seconds wait in a spool while it sends, and are stored after it has ended.

Nothing here imports storage before `save`: no history is written beside the load.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from atm.clock import SystemClock
from atm.errors import Problem, StorageUnavailableError
from atm.runs import lines
from atm.runs.spool import SpoolReader, SpoolWriter

if TYPE_CHECKING:
    from atm.config import Settings
    from atm.engine.executor import Execution
    from atm.metrics.interval import Interval
    from atm.models.run import RunResult
    from atm.plan.compile import CompiledTest
    from atm.storage.base import RunSeries
    from atm.storage.records import Run


class HistoryKeeper:
    """Takes what a run tells while it goes on; used once, and closed whatever happened."""

    def __init__(self) -> None:
        """Makes a spool, for this user only, among the temporary files. Raises StorageUnavailableError."""
        self._path, self._spool = _new_spool()
        self._clock = SystemClock()
        self._whole: bool | None = None
        self._given_up = False
        self.seconds = 0
        """Those of the run so far."""
        self.seconds_read = 0
        """How many of them `save` has read; another thread counts."""

    def started(self, execution: Execution) -> None:
        """The load begins."""
        line = lines.started(execution, self._clock.now())
        self._spool.write(lambda: line)

    def second(self, interval: Interval) -> None:
        """A second has passed."""
        self.seconds += 1
        self._spool.write(partial(lines.interval, interval, self._clock.now()))

    async def save(self, result: RunResult, test: CompiledTest, settings: Settings) -> None:
        """Store the run, whole or not at all. Raises SettingsError and what `StorageInterface.runs.restore` raises."""
        from atm.storage import open_storage

        if not self._end():
            what = f"the seconds of the run could not be kept: {self._spool.complaint or 'no room'}"
            raise StorageUnavailableError(Problem(what, "no_temporary_file", place=str(self._path.parent)))
        storage = await open_storage(settings)
        try:
            await storage.runs.restore(_run_of(result, test), result, self._history())
        finally:
            self._given_up = True
            await storage.close()

    def _history(self) -> Iterator[RunSeries]:
        from atm.runs.recording import SpoolHistory

        history = SpoolHistory()
        for part in SpoolReader(self._path).parts():
            if self._given_up:
                # This is read in a thread, which nobody else can stop.
                raise StorageUnavailableError(Problem("interrupted while it was written", "interrupted"))
            history.add(part)
            taken = history.taken()
            self.seconds_read += len(taken.intervals)
            yield taken

    def close(self) -> None:
        """Remove the spool."""
        self._end()
        self._path.unlink(missing_ok=True)

    def _end(self) -> bool:
        if self._whole is None:
            self._whole = self._spool.close(attempts=1)
        return self._whole


def _new_spool() -> tuple[Path, SpoolWriter]:
    """In the first folder that takes it, of those that `tempfile` knows: importing that costs more than this."""
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    folders = [folder for folder in named if folder] + ["/tmp", "/var/tmp"]
    complaint = folder = ""
    for folder in folders:
        path = Path(folder, f"atm-{os.urandom(8).hex()}.jsonl")
        try:
            return path, SpoolWriter(path)
        except OSError as error:
            complaint = error.strerror or str(error)
    what = f"no temporary file can be made: {complaint}"
    raise StorageUnavailableError(Problem(what, "no_temporary_file", place=folder, hint="TMPDIR names another folder"))


def _run_of(result: RunResult, test: CompiledTest) -> Run:
    from atm.plan.masking import shown_url
    from atm.runs.service import concurrency_of
    from atm.storage.records import Finish, NewRun, Run, RunSource, figures_of, summary_of

    info, spec = result.run, test.spec
    first = spec.endpoints[0] if spec.endpoints else spec
    completed_at = info.completed_at or info.created_at
    new = NewRun(
        id=info.id,
        name=info.name,
        url=shown_url(first.url or "", spec.variables),
        method=first.method,
        created_at=info.created_at,
        spec=test.data,
        total_requests=test.plan.total_requests,
        concurrency=concurrency_of(test),
        engine=info.engine,
        source=RunSource.CLI,
    )
    summary = replace(
        summary_of(new, info.status),
        stop_reason=info.stop_reason,
        started_at=info.started_at,
        completed_at=completed_at,
        error_message=info.error,
        **figures_of(result),
    )
    reasons = Finish(info.status, completed_at, result, info.error, info.stop_reason).failure_reasons
    return Run(summary, "", test.data, reasons, None, None, None)
