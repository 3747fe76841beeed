"""Runs of `atm run` that are in progress on this machine, read from their spools. Storage gets them after their end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from atm.models.outcome import RunStatus
from atm.runs.local_history import new_run_of, pending
from atm.runs.local_recovery import abandoned
from atm.runs.spool import LOCAL_SPOOLS, Line, SpoolReader
from atm.runs.spool_history import SpoolHistory
from atm.storage.records import Run, RunEvent, summary_of


class LocalRun:
    """One of them, read as far as its process has written. The methods block while they read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._reader = SpoolReader(path)
        self._history = SpoolHistory()
        self._head: Line | None = None
        self._started_at: datetime | None = None
        self._completed = 0

    def read(self) -> list[RunEvent]:
        """Return the events since the last call. Raises ValueError, KeyError or TypeError for an invalid spool."""
        events: list[RunEvent] = []
        for part in self._reader.parts():
            for line in part:
                if line["kind"] == "run":
                    self._head = line
                elif line["kind"] == "started":
                    self._started_at = datetime.fromisoformat(line["at"])
            self._history.add(part)
            completed = [entry.completed for entry in self._history.entries if entry.completed is not None]
            self._completed = completed[-1] if completed else self._completed
            events += self._history.take().events
        return events

    def is_in_progress(self) -> bool:
        """Return whether its process runs; the spool is renamed when the run has ended."""
        with abandoned(self.path) as is_abandoned:
            return self.path.exists() and not is_abandoned

    @property
    def run(self) -> Run | None:
        """The run as stored runs are; None before its first line is written."""
        if self._head is None:
            return None
        new = new_run_of(self._head)
        summary = replace(
            summary_of(new, RunStatus.RUNNING), started_at=self._started_at, requests_completed=self._completed
        )
        return Run(summary, "", new.spec, (), None, None, None)


class LocalRuns:
    """The runs in progress, each kept with what was read of it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[Path, LocalRun] = {}

    def read(self) -> list[Run]:
        """Return the runs as they are now, the oldest first; without those whose spool is invalid."""
        paths = sorted(self._directory.glob(LOCAL_SPOOLS))
        self._known = {path: self._known.get(path) or LocalRun(path) for path in paths}
        runs = []
        for local in self._known.values():
            try:
                local.read()
            except (ValueError, KeyError, TypeError):
                continue
            if local.run is not None and local.is_in_progress():
                runs.append(local.run)
        return sorted(runs, key=lambda run: run.summary.created_at)

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
