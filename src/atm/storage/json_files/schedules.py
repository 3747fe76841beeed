"""Schedules and firings in JSON files.

Files have no transactions, so a firing is written in a resumable order: first its run, with an idempotency key derived
from schedule and due time; then the firing; then the schedule with its next due time. After a crash in between, the
same due time fires again and continues from the existing files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from atm.dataclass import dataclass
from atm.errors import NotFoundError
from atm.models.outcome import RunStatus
from atm.models.schedule import FiringOutcome
from atm.private_files import DIRECTORY_MODE
from atm.storage.disk_format import DiskFormat
from atm.storage.errors import name_taken, schedule_changed, schedule_not_found
from atm.storage.json_files.deliveries import JsonDeliveries
from atm.storage.json_files.files import (
    append_lines,
    corrupt_file,
    in_thread,
    parsed,
    read_lines,
    read_record,
    read_records,
    replace_lines,
    write_records,
)
from atm.storage.json_files.runs import add_new, run_with_key
from atm.storage.json_files.state import Folder
from atm.storage.records import FINAL, NewRun, RunSummary, checked_id, checked_tags
from atm.storage.result import dumps
from atm.storage.schedules import (
    FIRINGS_OVER,
    KEPT_FIRINGS,
    Delivery,
    Fire,
    Firing,
    OpenFirings,
    Schedule,
    decide,
    run_key,
)

_SCHEDULES = DiskFormat(Schedule)
_FIRING = DiskFormat(Firing)
_WITHOUT_RUN = (FiringOutcome.SKIPPED, FiringOutcome.MISSED, FiringOutcome.ERROR)
_PRUNED_RUNS = "pruned_runs"
"""The field in the first line of a file of firings that was pruned."""


@dataclass(frozen=True, slots=True)
class _History:
    """The firings in a file, by due time; the last line of a due time is valid."""

    stamp: tuple[int, int]
    firings: dict[datetime, Firing]
    pruned_runs: int = 0
    """Number of pruned firings that had a run."""

    @property
    def runs(self) -> int:
        """Number of firings that ever had a run, or are queued."""
        return self.pruned_runs + sum(map(_has_run, self.firings.values()))


def _has_run(firing: Firing) -> bool:
    """Return whether a firing counts towards `max_runs`. An error may come from its run."""
    return firing.outcome not in _WITHOUT_RUN or (firing.outcome is FiringOutcome.ERROR and firing.run_id is not None)


class JsonSchedules:
    """The `ScheduleStore` in JSON files."""

    def __init__(self, folder: Folder, deliveries: JsonDeliveries) -> None:
        self._folder = folder
        self._path = folder.root / "schedules.json"
        self._deliveries = deliveries
        self._cache: dict[str, _History] = {}

    def _read(self) -> list[Schedule]:
        return read_records(_SCHEDULES, self._path)

    def _write(self, schedules: Sequence[Schedule]) -> None:
        write_records(_SCHEDULES, self._path, schedules)

    def _firings_path(self, schedule_id: str) -> Path:
        return self._folder.root / "firings" / f"{schedule_id}.jsonl"

    def _firings(self, schedule_id: str) -> dict[datetime, Firing]:
        return self._history(schedule_id).firings

    def _history(self, schedule_id: str) -> _History:
        """Return the stored firings of a schedule, cached until the file changes."""
        path = self._firings_path(schedule_id)
        stamp = _stamp(path)
        if stamp is None:
            return _History((0, 0), {})
        cached = self._cache.get(schedule_id)
        if cached is not None and cached.stamp == stamp:
            return cached
        firings: dict[datetime, Firing] = {}
        pruned_runs = 0
        for number, line in read_lines(path):
            document = parsed(path, number, line)
            if isinstance(document, dict) and _PRUNED_RUNS in document:
                try:
                    pruned_runs = int(document[_PRUNED_RUNS])
                except (TypeError, ValueError) as error:
                    raise corrupt_file(f"{path}:{number}", str(error)) from error
                continue
            firing: Firing = read_record(_FIRING, document, f"{path}:{number}")
            firings[firing.due] = firing
        history = self._cache[schedule_id] = _History(stamp, firings, pruned_runs)
        return history

    def _append(self, firing: Firing) -> None:
        path = self._firings_path(firing.schedule_id)
        path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        before, cached = _stamp(path), self._cache.get(firing.schedule_id)
        append_lines(path, [_FIRING.text(firing)])
        after = _stamp(path)
        if cached is not None and cached.stamp == before and after is not None:
            # The cache was current (the caller holds the lock), so update it instead of reading the file.
            self._cache[firing.schedule_id] = replace(
                cached, stamp=after, firings={**cached.firings, firing.due: firing}
            )

    def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove final firings due before a time, except the newest of each schedule; return their number."""
        removed = 0
        for schedule in self._read():
            with self._folder.changing():
                history = self._history(schedule.id)
                dues = sorted(history.firings)
                expired = [
                    due
                    for due in dues[: max(0, len(dues) - KEPT_FIRINGS)]
                    if due < before and history.firings[due].outcome in FIRINGS_OVER
                ]
                removed += len(expired)
                if expired and not dry_run:
                    self._remove(schedule.id, history, expired)
                    # Deliveries about the newest firings are kept with them.
                    self._deliveries.prune(schedule.id, min(before, dues[-KEPT_FIRINGS]))
        return removed

    def _remove(self, schedule_id: str, history: _History, expired: Sequence[datetime]) -> None:
        """Remove firings atomically with adding their runs to the count of pruned ones."""
        runs = sum(_has_run(history.firings[due]) for due in expired)
        head = dumps({_PRUNED_RUNS: history.pruned_runs + runs})
        removed = frozenset(expired)
        kept = [firing for due, firing in history.firings.items() if due not in removed]
        lines = [_FIRING.text(firing) for firing in kept]
        replace_lines(self._firings_path(schedule_id), [head, *lines])

    @in_thread
    def add(self, schedule: Schedule) -> None:
        checked_id(schedule.id)
        with self._folder.changing():
            schedules = self._read()
            if any(other.id == schedule.id or other.name == schedule.name for other in schedules):
                raise name_taken("a schedule", schedule.name)
            self._write([*schedules, _cleaned(schedule)])

    @in_thread
    def get(self, schedule_id: str) -> Schedule:
        return _by_id(self._read(), schedule_id)

    @in_thread
    def named(self, name: str) -> Schedule | None:
        return next((schedule for schedule in self._read() if schedule.name == name), None)

    @in_thread
    def all(self) -> tuple[Schedule, ...]:
        return tuple(sorted(self._read(), key=lambda schedule: schedule.name))

    @in_thread
    def replace(self, schedule: Schedule) -> Schedule:
        with self._folder.changing():
            schedules = self._read()
            if _by_id(schedules, schedule.id).version != schedule.version:
                raise schedule_changed(schedule.name)
            if any(other.name == schedule.name and other.id != schedule.id for other in schedules):
                raise name_taken("a schedule", schedule.name)
            changed = replace(_cleaned(schedule), version=schedule.version + 1)
            self._write([changed if other.id == schedule.id else other for other in schedules])
            return changed

    @in_thread
    def delete(self, schedule_id: str) -> None:
        with self._folder.changing():
            schedules = self._read()
            _by_id(schedules, schedule_id)
            self._write([schedule for schedule in schedules if schedule.id != schedule_id])
            self._firings_path(schedule_id).unlink(missing_ok=True)
            self._deliveries.forget(schedule_id)

    @in_thread
    def due(self, now: datetime, limit: int = 100) -> tuple[Schedule, ...]:
        due = [
            (schedule.next_at, schedule.id, schedule)
            for schedule in self._read()
            if schedule.enabled and schedule.next_at is not None and schedule.next_at <= now
        ]
        due.sort(key=lambda entry: entry[:2])
        return tuple(schedule for _, _, schedule in due[:limit])

    @in_thread
    def fire(self, fire: Fire) -> Firing | None:
        with self._folder.changing():
            schedules = self._read()
            current = next((schedule for schedule in schedules if schedule.id == fire.seen.id), None)
            if current is None or current.version != fire.seen.version or not current.enabled:
                return None
            before = self._firings(current.id).get(fire.due)
            firing = self._new_firing(current, fire) if before is None else before
            if before is None:
                self._deliveries.insert(fire.deliveries)
                self._append(firing)
            advanced = replace(current, version=current.version + 1, next_due=fire.next_due, next_at=fire.next_at)
            # Recounted: after a crash the firing may exist without being counted.
            runs = self._history(current.id).runs
            advanced = replace(advanced, run_count=runs)
            if current.max_runs is not None and runs >= current.max_runs:
                advanced = replace(advanced, next_due=None, next_at=None)
            self._write([advanced if schedule.id == current.id else schedule for schedule in schedules])
            return firing if before is None else None

    def _new_firing(self, schedule: Schedule, fire: Fire) -> Firing:
        """Return a new firing and store its run, reusing a run stored before a crash."""
        outcome, error, run_id = fire.outcome, fire.error, None
        if fire.run is not None:
            run = _keyed(fire.run, schedule.id, fire.due)
            before = run_with_key(self._folder, run)
            if before is not None:
                outcome, error, run_id = FiringOutcome.STARTED, None, before.summary.id
            else:
                outcome, error = decide(schedule.overlap, self._open_firings(schedule.id))
                if outcome is FiringOutcome.STARTED:
                    add_new(self._folder, run, RunStatus.PENDING)
                    run_id = run.id
        return Firing(schedule.id, fire.due, fire.at, fire.claimed_by, outcome, run_id, error, fire.missed)

    def _open_firings(self, schedule_id: str) -> OpenFirings:
        firings = self._firings(schedule_id).values()
        started = [firing for firing in firings if firing.outcome is FiringOutcome.STARTED]
        active = next((firing.run_id for firing in started if self._is_active(firing)), None)
        return OpenFirings(active, sum(firing.outcome is FiringOutcome.QUEUED for firing in firings))

    def _is_active(self, firing: Firing) -> bool:
        run = self._run(firing)
        return run is not None and run.status not in FINAL

    def _run(self, firing: Firing) -> RunSummary | None:
        try:
            return None if firing.run_id is None else self._folder.state(firing.run_id).summary
        except NotFoundError:
            return None

    @in_thread
    def start_queued(
        self,
        firing: Firing,
        run: NewRun | None,
        at: datetime,
        error: str | None,
        deliveries: Sequence[Delivery] = (),
        outcome: FiringOutcome = FiringOutcome.ERROR,
    ) -> bool:
        with self._folder.changing():
            current = self._firings(firing.schedule_id).get(firing.due)
            if current is None or current.outcome is not FiringOutcome.QUEUED:
                return False
            if run is None:
                self._deliveries.insert(deliveries)
                self._append(replace(current, outcome=outcome, error=error, fired_at=at))
                return True
            keyed = _keyed(run, firing.schedule_id, firing.due)
            before = run_with_key(self._folder, keyed)
            if before is None:
                if self._open_firings(firing.schedule_id).active_run is not None:
                    return False
                add_new(self._folder, keyed, RunStatus.PENDING)
            run_id = keyed.id if before is None else before.summary.id
            self._append(replace(current, outcome=FiringOutcome.STARTED, run_id=run_id, error=None, fired_at=at))
            return True

    def _all_firings(self, outcome: FiringOutcome) -> list[Firing]:
        firings = [
            firing
            for schedule in self._read()
            for firing in self._firings(schedule.id).values()
            if firing.outcome is outcome
        ]
        return sorted(firings, key=lambda firing: firing.due)

    @in_thread
    def queued(self) -> tuple[Firing, ...]:
        first: dict[str, Firing] = {}
        for firing in self._all_firings(FiringOutcome.QUEUED):
            first.setdefault(firing.schedule_id, firing)
        return tuple(first.values())

    @in_thread
    def started(self) -> tuple[tuple[Firing, RunSummary | None], ...]:
        return tuple((firing, self._run(firing)) for firing in self._all_firings(FiringOutcome.STARTED))

    @in_thread
    def settle(self, firing: Firing, deliveries: Sequence[Delivery]) -> bool:
        with self._folder.changing():
            current = self._firings(firing.schedule_id).get(firing.due)
            if current is None or current.outcome is not FiringOutcome.STARTED:
                return False
            self._deliveries.insert(deliveries)
            self._append(replace(current, outcome=firing.outcome, error=firing.error))
            return True

    @in_thread
    def firings(
        self,
        schedule_id: str,
        *,
        before: datetime | None = None,
        outcomes: Sequence[FiringOutcome] = (),
        limit: int = 50,
    ) -> tuple[Firing, ...]:
        matches = [
            firing
            for firing in self._firings(schedule_id).values()
            if (before is None or firing.due < before) and (not outcomes or firing.outcome in outcomes)
        ]
        return tuple(sorted(matches, key=lambda firing: firing.due, reverse=True)[:limit])

    async def newest_firings(self, ids: Sequence[str], limit: int) -> dict[str, tuple[Firing, ...]]:
        newest = {schedule_id: await self.firings(schedule_id, limit=limit) for schedule_id in ids}
        return {schedule_id: firings for schedule_id, firings in newest.items() if firings}


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return a stamp that changes when a file is written; None without a file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size


def _by_id(schedules: Sequence[Schedule], schedule_id: str) -> Schedule:
    match = next((schedule for schedule in schedules if schedule.id == schedule_id), None)
    if match is None:
        raise schedule_not_found(schedule_id)
    return match


def _keyed(run: NewRun, schedule_id: str, due: datetime) -> NewRun:
    return replace(run, idempotency_key=run_key(schedule_id, due), request_digest="")


def _cleaned(schedule: Schedule) -> Schedule:
    return replace(schedule, tags=checked_tags(schedule.tags))
