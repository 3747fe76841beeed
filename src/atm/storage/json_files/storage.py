"""The `StorageInterface` in JSON files, composed of its stores, with retention and status."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from atm.errors import Problem, SchemaError
from atm.models.outcome import RunStatus
from atm.private_files import make_directory
from atm.storage.access import SHORTEST_RETENTION
from atm.storage.base import Reseal
from atm.storage.json_files.access import JsonAudit, JsonSessions
from atm.storage.json_files.api_keys import JsonApiKeys
from atm.storage.json_files.deliveries import JsonDeliveries
from atm.storage.json_files.files import in_thread, read_document, translated, write_document
from atm.storage.json_files.runs import JsonLeases, JsonRuns
from atm.storage.json_files.schedules import JsonSchedules
from atm.storage.json_files.series import JsonSeries
from atm.storage.json_files.state import RESULT, SPEC, Folder, RunState
from atm.storage.json_files.test_configs import JsonTestConfigs
from atm.storage.json_files.test_files import JsonTestFiles
from atm.storage.locks import locked_async
from atm.storage.records import FINAL
from atm.storage.upkeep import PruneReport, RetentionPolicy, StorageStatus

FORMAT = "1"
_SEALED_LISTS = ("tests", "schedules", "deliveries")


class JsonStorage:
    """JSON files in a directory; created by `open`."""

    def __init__(self, root: Path) -> None:
        folder = Folder(root)
        self.series = JsonSeries(folder)
        self.runs = JsonRuns(folder, self.series)
        self.leases = JsonLeases(folder, self.series)
        self.files = JsonTestFiles(folder)
        self.tests = JsonTestConfigs(folder, self.files)
        self.keys = JsonApiKeys(folder)
        self.sessions = JsonSessions(folder)
        self.audit = JsonAudit(folder)
        self.deliveries = JsonDeliveries(folder)
        self.schedules = JsonSchedules(folder, self.deliveries)
        self.upkeep = JsonUpkeep(folder, self.series, self.schedules, self.audit)

    @classmethod
    async def open(cls, root: Path) -> JsonStorage:
        """Create the directory, or check its format. Raises SchemaError, StorageUnavailableError."""
        with translated():
            make_directory(root / "runs")
            if read_document(root / "format.json") is None:
                async with locked_async(root / "lock"):
                    write_document(root / "format.json", {"format": FORMAT})
            document = read_document(root / "format.json")
        version = document.get("format") if isinstance(document, dict) else None
        if version != FORMAT:
            what = f"the directory has format {version}; this version reads {FORMAT}"
            hint = "install the version that wrote it, or use another directory"
            raise SchemaError(Problem(what, "schema_newer", place=str(root / "format.json"), hint=hint))
        return cls(root)

    async def close(self) -> None:
        """Do nothing, as no files are kept open."""


class JsonUpkeep:
    """The `Upkeep` in JSON files."""

    def __init__(self, folder: Folder, series: JsonSeries, schedules: JsonSchedules, audit: JsonAudit) -> None:
        self._folder = folder
        self._series = series
        self._schedules = schedules
        self._audit = audit

    @in_thread
    def prune(self, policy: RetentionPolicy, now: datetime, *, dry_run: bool = False) -> PruneReport:
        states = sorted(self._folder.states(), key=lambda state: (state.summary.created_at, state.summary.id))
        ended = [state for state in states if state.summary.status in FINAL]
        ended.sort(key=lambda state: (state.summary.completed_at or now, state.summary.id))
        old = _ended_before(ended, policy.runs_for, now)
        if policy.runs_at_most is not None:
            beyond = states[: max(0, len(states) - policy.runs_at_most)]
            old = list(dict.fromkeys([*old, *(state.summary.id for state in beyond if state.summary.status in FINAL)]))
        rest = [state for state in ended if state.summary.id not in set(old)]
        seconds = _ended_before([state for state in rest if not state.seconds_pruned], policy.seconds_for, now)
        samples = _ended_before([state for state in rest if not state.samples_pruned], policy.samples_for, now)
        if not dry_run:
            # One at a time, so that other writes can happen in between.
            for run_id in old:
                with self._folder.changing():
                    self._folder.remove(run_id)
            for run_id in seconds:
                with self._folder.changing():
                    self._series.drop_seconds(run_id)
                    self._folder.write(replace(self._folder.state(run_id), seconds_pruned=True))
            for run_id in samples:
                with self._folder.changing():
                    self._drop_samples(run_id)
        firings = 0
        if policy.firings_for is not None:
            firings = self._schedules.prune(now - policy.firings_for, dry_run=dry_run)
        audit = 0
        if policy.audit_for is not None:
            audit = self._audit.remove(now - max(policy.audit_for, SHORTEST_RETENTION), dry_run=dry_run)
        return PruneReport(tuple(old), tuple(seconds), tuple(samples), firings, audit)

    def _drop_samples(self, run_id: str) -> None:
        result = self._folder.result(run_id)
        if result is not None:
            write_document(self._folder.run(run_id) / RESULT, {**result, "samples": []})
        (self._folder.run(run_id) / "samples.jsonl").unlink(missing_ok=True)
        self._folder.write(replace(self._folder.state(run_id), samples_pruned=True))

    @in_thread
    def reseal(self, reseal: Reseal) -> int:
        root = self._folder.root
        replaced = sum(self._reseal_file(root / f"{name}.json", reseal) for name in _SEALED_LISTS)
        return replaced + sum(self._reseal_file(path, reseal) for path in sorted(root.glob(f"runs/*/{SPEC}")))

    def _reseal_file(self, path: Path, reseal: Reseal) -> int:
        with self._folder.changing():
            document = read_document(path)
            items = document if isinstance(document, list) else [document] if document else []
            replaced = 0
            for item in items:
                sealed = item.get("sealed")
                resealed = None if sealed is None else reseal(b64decode(sealed))
                if resealed is not None:
                    item["sealed"] = b64encode(resealed).decode()
                    replaced += 1
            if replaced:
                write_document(path, document)
        return replaced

    @in_thread
    def status(self) -> StorageStatus:
        counts = dict.fromkeys(RunStatus, 0)
        for state in self._folder.states():
            counts[state.summary.status] += 1
        size = sum(file.stat().st_size for file in self._folder.root.rglob("*") if file.is_file())
        return StorageStatus("json", str(self._folder.root), FORMAT, FORMAT, size, counts)


def _ended_before(states: list[RunState], age: timedelta | None, now: datetime) -> list[str]:
    if age is None:
        return []
    ends = ((state.summary.id, state.summary.completed_at) for state in states)
    return [run_id for run_id, end in ends if end is not None and end < now - age]
