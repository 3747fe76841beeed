"""Schedules and firings in JSON files.

Files know no transactions, so a firing is written in an order that can be resumed: first its run, under a key that is a
function of schedule and due time; then the firing; then the schedule with its next due time. Whoever comes after a
crash in between is due for the same time again, finds what is there, and goes on from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

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
from atm.storage.json_files.runs import add_new, before_with_key
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
"""The field of the line that begins a file of firings of which some were pruned."""


@dataclass(frozen=True, slots=True)
class _History:
    """The firings in one file, by due time; of several lines about one the last counts."""

    mark: tuple[int, int]
    firings: dict[datetime, Firing]
    pruned_runs: int = 0
    """Firings with a run that were pruned."""

    @property
    def runs(self) -> int:
        """How many firings ever had a run, or wait for one."""
        return self.pruned_runs + sum(map(_has_run, self.firings.values()))


def _has_run(firing: Firing) -> bool:
    """Whether it counts towards `max_runs`. An error may come from the run itself."""
    return firing.outcome not in _WITHOUT_RUN or (firing.outcome is FiringOutcome.ERROR and firing.run_id is not None)


class JsonSchedules:
    """`ScheduleStore` in JSON files."""

    def __init__(self, folder: Folder, deliveries: JsonDeliveries) -> None:
        self._folder = folder
        self._path = folder.root / "schedules.json"
        self._deliveries = deliveries
        self._seen: dict[str, _History] = {}

    def _read(self) -> list[Schedule]:
        return read_records(_SCHEDULES, self._path)

    def _write(self, schedules: Sequence[Schedule]) -> None:
        write_records(_SCHEDULES, self._path, schedules)

    def _firings_path(self, schedule_id: str) -> Path:
        return self._folder.root / "firings" / f"{schedule_id}.jsonl"

    def _firings(self, schedule_id: str) -> dict[datetime, Firing]:
        return self._history(schedule_id).firings

    def _history(self, schedule_id: str) -> _History:
        """What is kept of a schedule's firings. Read again only when there is more."""
        path = self._firings_path(schedule_id)
        mark = _mark(path)
        if mark is None:
            return _History((0, 0), {})
        known = self._seen.get(schedule_id)
        if known is not None and known.mark == mark:
            return known
        found: dict[datetime, Firing] = {}
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
            found[firing.due] = firing
        history = self._seen[schedule_id] = _History(mark, found, pruned_runs)
        return history

    def _append(self, firing: Firing) -> None:
        path = self._firings_path(firing.schedule_id)
        path.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        before, known = _mark(path), self._seen.get(firing.schedule_id)
        append_lines(path, [_FIRING.text(firing)])
        after = _mark(path)
        if known is not None and known.mark == before and after is not None:
            # Nobody else wrote meanwhile (the caller holds the lock), so nothing needs to be read again.
            self._seen[firing.schedule_id] = replace(known, mark=after, firings={**known.firings, firing.due: firing})

    def prune(self, before: datetime, *, dry_run: bool = False) -> int:
        """Remove firings due before that moment that are over, but for the newest of each schedule; how many."""
        removed = 0
        for schedule in self._read():
            with self._folder.changing():
                history = self._history(schedule.id)
                dues = sorted(history.firings)
                gone = [
                    due
                    for due in dues[: max(0, len(dues) - KEPT_FIRINGS)]
                    if due < before and history.firings[due].outcome in FIRINGS_OVER
                ]
                removed += len(gone)
                if gone and not dry_run:
                    self._remove(schedule.id, history, gone)
                    # What was sent about the newest stays, as they do.
                    self._deliveries.prune(schedule.id, min(before, dues[-KEPT_FIRINGS]))
        return removed

    def _remove(self, schedule_id: str, history: _History, gone: Sequence[datetime]) -> None:
        """In one step with the number of runs that are then known by nothing else."""
        runs = sum(_has_run(history.firings[due]) for due in gone)
        head = dumps({_PRUNED_RUNS: history.pruned_runs + runs})
        over = frozenset(gone)
        kept = [firing for due, firing in history.firings.items() if due not in over]
        lines = [_FIRING.text(firing) for firing in kept]
        replace_lines(self._firings_path(schedule_id), [head, *lines])

    @in_thread
    def add(self, schedule: Schedule) -> None:
        checked_id(schedule.id)
        with self._folder.changing():
            schedules = self._read()
            if any(each.id == schedule.id or each.name == schedule.name for each in schedules):
                raise name_taken("a schedule", schedule.name)
            self._write([*schedules, _cleaned(schedule)])

    @in_thread
    def get(self, schedule_id: str) -> Schedule:
        return _found(self._read(), schedule_id)

    @in_thread
    def named(self, name: str) -> Schedule | None:
        return next((each for each in self._read() if each.name == name), None)

    @in_thread
    def all(self) -> tuple[Schedule, ...]:
        return tuple(sorted(self._read(), key=lambda each: each.name))

    @in_thread
    def replace(self, schedule: Schedule) -> Schedule:
        with self._folder.changing():
            schedules = self._read()
            if _found(schedules, schedule.id).version != schedule.version:
                raise schedule_changed(schedule.name)
            if any(each.name == schedule.name and each.id != schedule.id for each in schedules):
                raise name_taken("a schedule", schedule.name)
            changed = replace(_cleaned(schedule), version=schedule.version + 1)
            self._write([changed if each.id == schedule.id else each for each in schedules])
            return changed

    @in_thread
    def delete(self, schedule_id: str) -> None:
        with self._folder.changing():
            schedules = self._read()
            _found(schedules, schedule_id)
            self._write([each for each in schedules if each.id != schedule_id])
            self._firings_path(schedule_id).unlink(missing_ok=True)
            self._deliveries.forget(schedule_id)

    @in_thread
    def due(self, now: datetime, limit: int = 100) -> tuple[Schedule, ...]:
        come = [
            (each.next_at, each.id, each)
            for each in self._read()
            if each.enabled and each.next_at is not None and each.next_at <= now
        ]
        come.sort(key=lambda entry: entry[:2])
        return tuple(each for _, _, each in come[:limit])

    @in_thread
    def fire(self, fire: Fire) -> Firing | None:
        with self._folder.changing():
            schedules = self._read()
            now = next((each for each in schedules if each.id == fire.seen.id), None)
            if now is None or now.version != fire.seen.version or not now.enabled:
                return None
            before = self._firings(now.id).get(fire.due)
            firing = self._fired(now, fire) if before is None else before
            if before is None:
                self._deliveries.insert(fire.deliveries)
                self._append(firing)
            advanced = replace(now, version=now.version + 1, next_due=fire.next_due, next_at=fire.next_at)
            # Counted anew: after a crash the firing may be there and not be in the count.
            runs = self._history(now.id).runs
            advanced = replace(advanced, run_count=runs)
            if now.max_runs is not None and runs >= now.max_runs:
                advanced = replace(advanced, next_due=None, next_at=None)
            self._write([advanced if each.id == now.id else each for each in schedules])
            return firing if before is None else None

    def _fired(self, schedule: Schedule, fire: Fire) -> Firing:
        """The firing, and its run where it has one; the run of a firing that was never written is taken up."""
        outcome, error, run_id = fire.outcome, fire.error, None
        if fire.run is not None:
            run = _keyed(fire.run, schedule.id, fire.due)
            before = before_with_key(self._folder, run)
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
        started = [each for each in firings if each.outcome is FiringOutcome.STARTED]
        active = next((each.run_id for each in started if self._is_active(each)), None)
        return OpenFirings(active, sum(each.outcome is FiringOutcome.QUEUED for each in firings))

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
            now = self._firings(firing.schedule_id).get(firing.due)
            if now is None or now.outcome is not FiringOutcome.QUEUED:
                return False
            if run is None:
                self._deliveries.insert(deliveries)
                self._append(replace(now, outcome=outcome, error=error, fired_at=at))
                return True
            keyed = _keyed(run, firing.schedule_id, firing.due)
            before = before_with_key(self._folder, keyed)
            if before is None:
                if self._open_firings(firing.schedule_id).active_run is not None:
                    return False
                add_new(self._folder, keyed, RunStatus.PENDING)
            run_id = keyed.id if before is None else before.summary.id
            self._append(replace(now, outcome=FiringOutcome.STARTED, run_id=run_id, error=None, fired_at=at))
            return True

    def _all_firings(self, outcome: FiringOutcome) -> list[Firing]:
        found = [
            firing
            for schedule in self._read()
            for firing in self._firings(schedule.id).values()
            if firing.outcome is outcome
        ]
        return sorted(found, key=lambda each: each.due)

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
            now = self._firings(firing.schedule_id).get(firing.due)
            if now is None or now.outcome is not FiringOutcome.STARTED:
                return False
            self._deliveries.insert(deliveries)
            self._append(replace(now, outcome=firing.outcome, error=firing.error))
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
        found = [
            each
            for each in self._firings(schedule_id).values()
            if (before is None or each.due < before) and (not outcomes or each.outcome in outcomes)
        ]
        return tuple(sorted(found, key=lambda each: each.due, reverse=True)[:limit])


def _mark(path: Path) -> tuple[int, int] | None:
    """What changes when a file is written to; None where there is none."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size


def _found(schedules: Sequence[Schedule], schedule_id: str) -> Schedule:
    found = next((each for each in schedules if each.id == schedule_id), None)
    if found is None:
        raise schedule_not_found(schedule_id)
    return found


def _keyed(run: NewRun, schedule_id: str, due: datetime) -> NewRun:
    return replace(run, idempotency_key=run_key(schedule_id, due), request_digest="")


def _cleaned(schedule: Schedule) -> Schedule:
    return replace(schedule, tags=checked_tags(schedule.tags))
