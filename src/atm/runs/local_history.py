"""History of a run in this process: a spool during the run, storage after it.

No history is written while the load runs. After it, a process of its own (`history_process`) stores the spool, so that
the prompt is back at once; where only this process can report that storage fails, `save` stores it here.
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
from atm.runs.spool import Line, SpoolReader, SpoolWriter

if TYPE_CHECKING:
    from atm.config import Settings
    from atm.engine.executor import Execution
    from atm.metrics.interval import Interval
    from atm.models.outcome import RunStatus
    from atm.models.run import RunResult
    from atm.storage.base import RunSeries
    from atm.storage.records import Run

PREFIX = "local-"
"""Of the spool of a run in progress, or one whose process was killed; those of a server's runs have other names."""
ENDED_PREFIX = "ended-"
"""Of the spool of a run that has ended and is not in the storage yet."""
STORE_SECONDS = 15.0
"""How long commands leave a run that has ended to the process that stores it."""
STORAGE_VARIABLES = ("ATM_STORAGE_TYPE", "ATM_DATABASE_URL", "ATM_DATABASE_URL_FILE", "ATM_DB_ECHO")
"""The settings that name another storage than the SQLite file in the data directory."""
_POLL_SECONDS = 0.02


class LocalHistory:
    """Takes what a run tells while it goes on; used once, and closed whatever happened."""

    def __init__(self) -> None:
        """Makes a spool, for this user only. Raises SettingsError and StorageUnavailableError."""
        self._path, self._spool = _new_spool()
        self._clock = SystemClock()
        self._whole: bool | None = None
        self._given_up = False
        self._run: Line | None = None
        self.seconds = 0
        """Those of the run so far."""
        self.seconds_read = 0
        """How many of them `save` has read; another thread counts."""

    def started(self, execution: Execution) -> None:
        """The load begins."""
        self._run = run = _run_line(execution)
        line = spool_lines.started(execution, self._clock.now())
        self._spool.write(lambda: run)
        self._spool.write(lambda: line)

    def second(self, interval: Interval) -> None:
        """A second has passed."""
        self.seconds += 1
        self._spool.write(partial(spool_lines.interval, interval, self._clock.now()))

    def hand_over(self, result: RunResult) -> bool:
        """Let another process store the run; false where it must be stored here, by `save`.

        That is so where the storage is not the default one: what is wrong with it should be reported at once.
        Raises StorageUnavailableError where the spool is incomplete.
        """
        if self._path.parent != spool_directory() or any(os.environ.get(name) for name in STORAGE_VARIABLES):
            return False
        from atm import child_process

        self._finish(result)
        ended = self._path.with_name(self._path.name.replace(PREFIX, ENDED_PREFIX, 1))
        with suppress(FileNotFoundError):  # another command has stored it in this moment
            self._path.rename(ended)
        with suppress(OSError):  # no process can be started: the next command stores it
            variables = child_process.environment("ATM_DATA_DIR", "XDG_")
            child_process.start_detached("atm.runs.history_process", variables=variables)
        return True

    def _finish(self, result: RunResult) -> None:
        info = result.run
        ended_at = info.completed_at or info.created_at
        self._spool.write(
            lambda: spool_lines.finished(ended_at, info.status, info.stop_reason, info.error, result=result)
        )
        if not self._end():
            what = f"the seconds of the run could not be kept: {self._spool.complaint or 'no room'}"
            raise StorageUnavailableError(Problem(what, "no_temporary_file", place=str(self._path.parent)))

    async def save(self, result: RunResult, settings: Settings) -> None:
        """Store the run, whole or not at all. Raises SettingsError and what `StorageInterface.runs.restore` raises."""
        from atm.storage import open_storage

        self._finish(result)
        info = result.run
        ended_at = info.completed_at or info.created_at
        storage = await open_storage(settings)
        try:
            run = run_of(self._run or {}, info.status, result, info.error or "", ended_at)
            await storage.runs.restore(run, result, self._history())
        finally:
            self._given_up = True
            await storage.close()

    def _history(self) -> Iterator[RunSeries]:
        from atm.runs.spool_history import SpoolHistory

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


def spool_directory() -> Path:
    """Where the spools of local runs are. Raises SettingsError."""
    return Path(os.environ.get("ATM_DATA_DIR") or data_directory.default()).absolute() / "spool"


def pending(directory: Path) -> list[Path]:
    """The spools of runs that the storage may not have: of runs in progress, killed runs, and runs that have ended."""
    return sorted([*directory.glob(f"{PREFIX}*.jsonl"), *directory.glob(f"{ENDED_PREFIX}*.jsonl")])


def wait_until_stored(directory: Path) -> None:
    """Wait for the processes that store runs which have just ended; at most `STORE_SECONDS` after the end of each."""
    while any(_is_recent(path) for path in directory.glob(f"{ENDED_PREFIX}*.jsonl")):
        time.sleep(_POLL_SECONDS)


def _is_recent(path: Path) -> bool:
    try:
        return abs(time.time() - path.stat().st_mtime) < STORE_SECONDS
    except FileNotFoundError:  # stored in this moment
        return False


def _new_spool() -> tuple[Path, SpoolWriter]:
    """In the data directory, where a later command finds it, else in the first usable folder for temporary files.

    `tempfile` knows more folders, but importing it costs more than this. Raises SettingsError and
    StorageUnavailableError.
    """
    spools = spool_directory()
    named = (os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP"))
    folders = [spools, *(Path(folder) for folder in named if folder), Path("/tmp"), Path("/var/tmp")]
    complaint = ""
    for folder in folders:
        path = folder / f"{PREFIX}{os.urandom(8).hex()}.jsonl"
        try:
            if folder == spools:
                make_directory(folder)
            spool = SpoolWriter(path)
            spool.hold()
            return path, spool
        except OSError as error:
            complaint = error.strerror or str(error)
    what = f"no temporary file can be made: {complaint}"
    hint = "TMPDIR names another folder"
    raise StorageUnavailableError(Problem(what, "no_temporary_file", place=str(folders[-1]), hint=hint))


def _run_line(execution: Execution) -> dict[str, Any]:
    """What the history says of the run, so that it can be stored without this process."""
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
        "total_requests": test.plan.total_requests,
        "concurrency": concurrency_of(test.plan),
        "engine": execution.engine.name,
        "engine_version": execution.engine.version,
        "model": test.plan.load.model,
        "described": execution.described(),
    }


def run_of(line: Line, status: RunStatus, result: RunResult | None, error: str, ended_at: datetime) -> Run:
    """The run of a spool's first line as it is stored. Raises KeyError, TypeError or ValueError for another line."""
    from atm.storage.records import Finish, NewRun, Run, RunSource, figures_of, summary_of

    new = NewRun(
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
