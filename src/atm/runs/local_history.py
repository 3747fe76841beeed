"""Record a run of this process: spool its intervals while it sends, and store the run after it has ended.

Nothing is written to the history during the load. After it, `history_process` stores the spool, so that the prompt is
back at once; `save` stores it in this process where storage errors should be reported at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atm import data_directory
from atm.clock import SystemClock
from atm.errors import Problem, StorageUnavailableError
from atm.models.outcome import StopReason
from atm.plan.forecast import concurrency_of
from atm.private_files import make_directory
from atm.runs import spool_lines
from atm.runs.spool import ENDED_SPOOLS, LOCAL_SPOOLS, Line, SpoolReader, SpoolWriter

if TYPE_CHECKING:
    from atm.config import Settings
    from atm.engine.executor import Execution
    from atm.metrics.interval import Interval
    from atm.models.outcome import RunStatus
    from atm.models.run import RunResult
    from atm.storage.base import RunSeries
    from atm.storage.records import NewRun, Run

STORE_SECONDS = 15.0
"""How long commands leave a run that has ended to the process that stores it."""
STORAGE_VARIABLES = ("ATM_STORAGE_TYPE", "ATM_DATABASE_URL", "ATM_DATABASE_URL_FILE", "ATM_DB_ECHO")
"""The settings that name another storage than the SQLite file in the data directory."""
_POLL_SECONDS = 0.02


class LocalHistory:
    """Collect the events of one run; always close it."""

    def __init__(self) -> None:
        """Create a spool with mode 0600. Raises SettingsError and StorageUnavailableError."""
        self._path, self._spool = _new_spool()
        self._clock = SystemClock()
        self._complete: bool | None = None
        self._closed = False
        self._run: Line | None = None
        self.seconds = 0
        """Seconds of the run so far."""
        self.seconds_read = 0
        """How many of them `save` has read; written by its thread."""

    def started(self, execution: Execution) -> None:
        """Spool the start of the load."""
        self._run = run = _run_line(execution)
        line = spool_lines.started(execution, self._clock.now())
        self._spool.write(lambda: run)
        self._spool.write(lambda: line)

    def second(self, interval: Interval) -> None:
        """Spool a completed second."""
        self.seconds += 1
        self._spool.write(partial(spool_lines.interval, interval, self._clock.now()))

    def hand_over(self, result: RunResult) -> bool:
        """Start a process that stores the run; false where `save` must store it.

        `save` is for a storage other than the default one, such as a database server: its errors are reported at once.
        Raises StorageUnavailableError where the spool is incomplete.
        """
        if self._path.parent != spool_directory() or any(os.environ.get(name) for name in STORAGE_VARIABLES):
            return False
        from atm import child_process

        self._finish(result)
        with suppress(FileNotFoundError):  # another command has just stored it
            self._path.rename(ended_spool(self._path))
        with suppress(OSError):  # no process can be started: the next command stores it
            variables = child_process.environment("ATM_DATA_DIR", "XDG_")
            child_process.start_detached("atm.runs.history_process", variables=variables)
        return True

    def _finish(self, result: RunResult) -> datetime:
        """Spool the end of the run; return its time. Raises StorageUnavailableError where the spool is incomplete."""
        info = result.run
        ended_at = info.completed_at or info.created_at
        self._spool.write(
            lambda: spool_lines.finished(ended_at, info.status, info.stop_reason, info.error, result=result)
        )
        if not self._end():
            what = f"the seconds of the run could not be written: {self._spool.error or 'no space left'}"
            raise StorageUnavailableError(Problem(what, "no_temporary_file", place=str(self._path.parent)))
        return ended_at

    async def save(self, result: RunResult, settings: Settings) -> None:
        """Store the run atomically. Raises SettingsError and as `StorageInterface.runs.restore`."""
        from atm.storage import open_storage

        ended_at = self._finish(result)
        info = result.run
        storage = await open_storage(settings)
        try:
            run = run_of(self._run or {}, info.status, result, info.error or "", ended_at)
            await storage.runs.restore(run, result, self._history())
        finally:
            self._closed = True
            await storage.close()

    def _history(self) -> Iterator[RunSeries]:
        from atm.runs.spool_history import SpoolHistory

        history = SpoolHistory()
        for part in SpoolReader(self._path).parts():
            if self._closed:
                # This runs in a thread, which can only be stopped from within.
                raise StorageUnavailableError(Problem("interrupted while the run was written", "interrupted"))
            history.add(part)
            series = history.take()
            self.seconds_read += len(series.intervals)
            yield series

    def close(self) -> None:
        """Remove the spool."""
        self._end()
        self._path.unlink(missing_ok=True)

    def _end(self) -> bool:
        if self._complete is None:
            self._complete = self._spool.close(attempts=1)
        return self._complete


def spool_directory() -> Path:
    """Return the directory of the spools of local runs. Raises SettingsError."""
    return Path(os.environ.get("ATM_DATA_DIR") or data_directory.default()).absolute() / "spool"


def pending(directory: Path) -> list[Path]:
    """Return the spools of local runs that the storage may not have, those of runs in progress included."""
    return sorted([*directory.glob(LOCAL_SPOOLS), *directory.glob(ENDED_SPOOLS)])


def ended_spool(path: Path) -> Path:
    """Return the name of a spool after the end of its run."""
    return path.with_name(path.name.replace("local-", "ended-", 1))


def abandoned_spool(path: Path) -> Path:
    """Return the name of the spool of a run that no process stores, which makes it the next command's."""
    return path.with_name(path.name.replace("ended-", "local-", 1))


def wait_until_stored(directory: Path) -> None:
    """Wait for the processes that store runs which have just ended, at most `STORE_SECONDS` after each end."""
    while any(_is_recent(path) for path in directory.glob(ENDED_SPOOLS)):
        time.sleep(_POLL_SECONDS)


def _is_recent(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < STORE_SECONDS
    except FileNotFoundError:  # it has just been stored
        return False


def _new_spool() -> tuple[Path, SpoolWriter]:
    """Create a spool in the data directory, where a later command finds it, else in a temporary directory.

    Not `tempfile`, which is slow to import. Raises SettingsError and StorageUnavailableError.
    """
    spools = spool_directory()
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    folders = [spools, *(Path(folder) for folder in named if folder), Path("/tmp"), Path("/var/tmp")]
    reason = ""
    for folder in folders:
        path = folder / LOCAL_SPOOLS.replace("*", os.urandom(8).hex())
        try:
            if folder == spools:
                make_directory(folder)
            spool = SpoolWriter(path)
            spool.hold()
            return path, spool
        except OSError as error:
            reason = error.strerror or str(error)
    what = f"no temporary file can be created: {reason}"
    hint = "set TMPDIR to another directory"
    raise StorageUnavailableError(Problem(what, "no_temporary_file", place=str(folders[-1]), hint=hint))


def _run_line(execution: Execution) -> dict[str, Any]:
    """Return the spool line that describes the run, so that another process can store it."""
    from atm.plan.spec_mask import shown_url

    test = execution.test
    first = test.spec.endpoints[0] if test.spec.endpoints else test.spec
    return {
        "kind": "run",
        "id": execution.run_id,
        "name": test.plan.name,
        "url": shown_url(first.url or "", test.spec.variables),
        "method": first.method,
        "created_at": execution.created_at.isoformat(),
        "spec": test.data,
        "total_requests": test.plan.total,
        "concurrency": concurrency_of(test.plan),
        "engine": execution.engine.name,
        "engine_version": execution.engine.version,
        "model": test.plan.model,
        "described": [(endpoint.name, endpoint.method, endpoint.url) for endpoint in execution.described()],
    }


def new_run_of(line: Line) -> NewRun:
    """Return what the first line of a spool says of the run. Raises as `run_of`."""
    from atm.storage.records import NewRun, RunSource

    return NewRun(
        id=line["id"],
        name=line["name"],
        url=line["url"],
        method=line["method"],
        created_at=datetime.fromisoformat(line["created_at"]),
        spec=line["spec"],
        total_requests=line["total_requests"],
        concurrency=line["concurrency"],
        engine=line["engine"],
        source=RunSource.CLI,
    )


def run_of(line: Line, status: RunStatus, result: RunResult | None, error: str, ended_at: datetime) -> Run:
    """Return the run to store from a spool's first line. Raises KeyError, TypeError or ValueError for another line."""
    from atm.storage.records import Finish, Run, figures_of, summary_of

    new = new_run_of(line)
    reason = result.run.stop_reason if result else StopReason.FAILED
    summary = replace(
        summary_of(new, status),
        stop_reason=reason,
        started_at=result.run.started_at if result else None,
        completed_at=ended_at,
        error_message=error or None,
        **(figures_of(result) if result else {}),
    )
    reasons = Finish(status, ended_at, result, error or None, reason).failure_reasons
    return Run(summary, "", line["spec"], reasons, None, None, None)
