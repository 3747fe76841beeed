"""The files of a run, and an index of all runs that rereads only changed files."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from pathlib import Path
from typing import Any

from atm.dataclass import dataclass
from atm.models.earlier_result import earlier_passed, earlier_reason
from atm.models.outcome import RunStatus
from atm.models.run import Measurement
from atm.private_files import DIRECTORY_MODE
from atm.storage.disk_format import DiskFormat
from atm.storage.errors import run_not_found, stale_lease
from atm.storage.json_files.files import read_document, read_record, sync_directory, write_document
from atm.storage.locks import locked
from atm.storage.records import CancelRequest, Lease, Run, RunSummary

RUN, SPEC, RESULT = "run.json", "spec.json", "result.json"
JUDGED_BY = 2
"""The current rule for `passed`."""


@dataclass(frozen=True, slots=True)
class RunState:
    """The content of `run.json`."""

    summary: RunSummary
    notes: str = ""
    failure_reasons: tuple[str, ...] = ()
    cancel: CancelRequest | None = None
    lease_owner: str | None = None
    lease_token: str | None = None
    lease_beat: int = 0
    idempotency_key: str | None = None
    request_digest: str = ""
    seconds_pruned: bool = False
    samples_pruned: bool = False
    batch_id: str | None = None
    batch_limit: int | None = None
    """See `RunBatch`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """See `Run.files`."""
    judged_by: int = 1
    """The rule that set `passed`: 1 before runs had an outcome, 2 since."""


@dataclass(frozen=True, slots=True)
class SpecFile:
    """The content of `spec.json`."""

    spec: Mapping[str, Any]
    sealed: bytes | None = field(default=None, repr=False)


_STATE = DiskFormat(RunState)
_SPEC = DiskFormat(SpecFile)


class Folder:
    """The root directory. All changes are made inside `changing`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.runs = root / "runs"
        self._cache: dict[str, tuple[tuple[int, int, int], RunState]] = {}

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock for changes."""
        with locked(self.root / "lock"):
            yield

    def run(self, run_id: str) -> Path:
        """Return the directory of a run."""
        return self.runs / run_id

    def states(self) -> list[RunState]:
        """Return all runs in any order. A file is read again only after it was replaced."""
        current: dict[str, tuple[tuple[int, int, int], RunState]] = {}
        with os.scandir(self.runs) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
        for name in names:
            try:
                stat = os.stat(self.runs / name / RUN)
            except (FileNotFoundError, NotADirectoryError):
                # Being added or removed.
                continue
            stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            cached = self._cache.get(name)
            state = cached[1] if cached is not None and cached[0] == stamp else self._read(name)
            if state is not None:
                current[name] = (stamp, state)
        self._cache = current
        return [state for _, state in current.values()]

    def state(self, run_id: str) -> RunState:
        """Return the state of a run. Raises NotFoundError, CorruptDataError."""
        state = self._read(run_id)
        if state is None:
            raise run_not_found(run_id)
        return state

    def _read(self, run_id: str) -> RunState | None:
        path = self.run(run_id) / RUN
        document = read_document(path)
        if document is None:
            return None
        state: RunState = read_record(_STATE, document, str(path))
        return state if state.judged_by == JUDGED_BY else self._rejudged(state)

    def _rejudged(self, state: RunState) -> RunState:
        """Return the state of a run stored by an earlier version, with `passed` by the current rule."""
        summary = state.summary
        result = self.result(summary.id) if summary.status is RunStatus.COMPLETED else None
        passed, reasons = summary.passed, state.failure_reasons
        if result is not None:
            passed = earlier_passed(
                summary.status,
                summary.stop_reason,
                passed,
                result["metrics"],
                has_thresholds=bool(result["rest"]["thresholds"]),
                is_invalid=summary.measurement is Measurement.INVALID,
            )
            if passed is False and not reasons:
                reasons = (earlier_reason(result["metrics"]),)
        summary = replace(summary, passed=passed)
        return replace(state, summary=summary, failure_reasons=reasons, judged_by=JUDGED_BY)

    def owned(self, lease: Lease) -> RunState:
        """Return the state of a running run. Raises StaleLeaseError unless the token owns it."""
        state = self._read(lease.run_id)
        if state is None or state.lease_token != lease.token or state.summary.status is not RunStatus.RUNNING:
            raise stale_lease(lease.run_id)
        return state

    def write(self, state: RunState) -> None:
        """Replace `run.json`."""
        write_document(self.run(state.summary.id) / RUN, _STATE.document(state))

    def add(self, state: RunState, spec: SpecFile) -> None:
        """Add a run, which exists once its `run.json` does."""
        folder = self.run(state.summary.id)
        folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        write_document(folder / SPEC, _SPEC.document(spec))
        self.write(state)
        sync_directory(self.runs)

    def spec(self, run_id: str) -> SpecFile:
        """Read `spec.json`. Raises CorruptDataError."""
        path = self.run(run_id) / SPEC
        spec: SpecFile = read_record(_SPEC, read_document(path), str(path))
        return spec

    def result(self, run_id: str) -> Mapping[str, Any] | None:
        """Read `result.json` as JSON data; None before the end."""
        document: Mapping[str, Any] | None = read_document(self.run(run_id) / RESULT)
        return document

    def with_documents(self, state: RunState) -> Run:
        """Return the run with its documents."""
        spec = self.spec(state.summary.id)
        result = self.result(state.summary.id)
        return Run(
            state.summary,
            state.notes,
            spec.spec,
            state.failure_reasons,
            result["metrics"] if result else None,
            tuple(result["endpoint_metrics"]) if result else None,
            state.cancel,
            spec.sealed,
            state.files,
        )

    def remove(self, run_id: str) -> None:
        """Remove a run, atomically for readers: its directory is renamed first, then deleted."""
        trash = self.runs / f".gone-{uuid.uuid4().hex}"
        self.run(run_id).rename(trash)
        shutil.rmtree(trash)
