"""Deliveries in a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from atm.models.schedule import DeliveryStatus
from atm.storage.disk_format import DiskFormat
from atm.storage.json_files.files import (
    in_thread,
    read_records,
    write_records,
)
from atm.storage.json_files.state import Folder
from atm.storage.schedules import Delivery

MOST_DELIVERIES = 1000
"""So many that are over are kept."""
_DELIVERIES = DiskFormat(Delivery)


class JsonDeliveries:
    """`DeliveryStore` in a JSON file."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "deliveries.json"

    def _read(self) -> list[Delivery]:
        return read_records(_DELIVERIES, self._path)

    def _write(self, deliveries: Sequence[Delivery]) -> None:
        write_records(_DELIVERIES, self._path, deliveries)

    def insert(self, deliveries: Sequence[Delivery]) -> None:
        """Add those that are not there; the caller holds the lock."""
        if not deliveries:
            return
        known = self._read()
        ids = {each.id for each in known}
        over = [each for each in known if each.status is not DeliveryStatus.PENDING]
        gone = {each.id for each in over[: max(0, len(over) - MOST_DELIVERIES)]}
        kept = [each for each in known if each.id not in gone]
        self._write([*kept, *(each for each in deliveries if each.id not in ids)])

    def forget(self, schedule_id: str) -> None:
        """Remove those about a schedule; the caller holds the lock."""
        known = self._read()
        kept = [each for each in known if each.schedule_id != schedule_id]
        if len(kept) != len(known):
            self._write(kept)

    def prune(self, schedule_id: str, before: datetime) -> None:
        """Remove those about a schedule's due times before that moment that are over; the caller holds the lock."""
        known = self._read()
        kept = [
            each
            for each in known
            if each.schedule_id != schedule_id or each.due >= before or each.status is DeliveryStatus.PENDING
        ]
        if len(kept) != len(known):
            self._write(kept)

    @in_thread
    def claim(self, now: datetime, until: datetime) -> Delivery | None:
        if self._next(now) is None:
            return None
        with self._folder.changing():
            found = self._next(now)
            if found is None:
                return None
            taken = replace(found, attempts=found.attempts + 1, next_attempt_at=until)
            self._write([taken if each.id == taken.id else each for each in self._read()])
            return taken

    def _next(self, now: datetime) -> Delivery | None:
        pending = [
            (each.next_attempt_at, each.id, each)
            for each in self._read()
            if each.status is DeliveryStatus.PENDING and each.next_attempt_at is not None
        ]
        due = [entry for entry in pending if entry[0] <= now]
        return min(due, key=lambda entry: entry[:2])[2] if due else None

    @in_thread
    def done(self, delivery: Delivery) -> None:
        with self._folder.changing():
            known = self._read()
            self._write(
                [delivery if each.id == delivery.id and each.attempts == delivery.attempts else each for each in known]
            )

    @in_thread
    def of_schedule(self, schedule_id: str, limit: int = 50) -> tuple[Delivery, ...]:
        mine = [each for each in self._read() if each.schedule_id == schedule_id]
        mine.sort(key=lambda each: each.id)
        mine.sort(key=lambda each: each.created_at, reverse=True)
        return tuple(mine[:limit])
