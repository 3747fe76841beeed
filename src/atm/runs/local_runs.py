"""Runs of `atm run` that are in progress on this machine, read from their spools. Storage gets them after their end."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

from atm.errors import CorruptDataError, Problem
from atm.models.outcome import RunStatus
from atm.runs.local_history import new_run_of, pending
from atm.runs.local_recovery import abandoned
from atm.runs.spool import LOCAL_SPOOLS, SpoolReader
from atm.runs.spool_history import SpoolHistory
from atm.storage.records import Run, RunEvent, summary_of


class LocalRun:
    """One of them, read as far as its process has written. The methods block while they read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = SpoolReader(path)
        self._history = SpoolHistory()

    def read(self) -> list[RunEvent]:
        """Return the events since the last call. Raises CorruptDataError for an invalid spool."""
        events: list[RunEvent] = []
        try:
            for part in self._reader.parts():
                self._history.add(part)
                events += self._history.take().events
        except (ValueError, KeyError, TypeError) as error:
            what = f"the spool of a run in progress cannot be read: {type(error).__name__}"
            hint = "end its `atm run`, and remove the file"
            raise CorruptDataError(Problem(what, "corrupt_data", place=str(self.path), hint=hint)) from error
        return events

    def is_in_progress(self) -> bool:
        """Return whether its process runs; the spool is renamed when the run has ended."""
        with abandoned(self.path) as is_abandoned:
            return self.path.exists() and not is_abandoned

    @property
    def run(self) -> Run | None:
        """The run as stored runs are; None before its first line is written."""
        history = self._history
        if history.run is None:
            return None
        new = new_run_of(history.run)
        summary = replace(
            summary_of(new, RunStatus.RUNNING), started_at=history.started_at, requests_completed=history.completed
        )
        return Run(summary, "", new.spec, (), None, None, None)


class LocalRuns:
    """The runs in progress, each kept with what was read of it. Threads may share an object."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Path, LocalRun] = {}
        self._lock = threading.Lock()

    def read(self) -> list[Run]:
        """Return the runs as they are now, the oldest first; without those whose spool is invalid."""
        with self._lock:
            paths = sorted(self._directory.glob(LOCAL_SPOOLS))
            self._known = {path: self._known.get(path) or LocalRun(path) for path in paths}
            runs = []
            for local in self._known.values():
                try:
                    local.read()
                except CorruptDataError:
                    continue
                if local.run is not None and local.is_in_progress():
                    runs.append(local.run)
        return sorted(runs, key=lambda run: run.summary.created_at)

    def get(self, run_id: str) -> Run | None:
        """Return a run in progress as it is now, or None. Raises CorruptDataError."""
        run = self.find(run_id)
        if run is None:
            return None
        with self._lock:
            local = self._known.setdefault(run.path, run)
            local.read()
            return local.run

    def find(self, run_id: str) -> LocalRun | None:
        """Return a run in progress, not read yet; None if there is none with this id."""
        for path in self._directory.glob(LOCAL_SPOOLS):
            local = LocalRun(path)
            if _id_in(path) == run_id and local.is_in_progress():
                return local
        return None

    def has_spool(self, run_id: str) -> bool:
        """Return whether a spool of a run is left, which is removed when the storage has the run."""
        return any(_id_in(path) == run_id for path in pending(self._directory))


def _id_in(path: Path) -> str:
    """Return the id of the run in a spool; empty before its first line is written."""
    try:
        with path.open("rb") as file:
            first = file.readline()
        return str(json.loads(first)["id"]) if first.endswith(b"\n") else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""
