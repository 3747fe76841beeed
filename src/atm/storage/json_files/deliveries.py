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
"""How many final deliveries are kept."""
_DELIVERIES = DiskFormat(Delivery)


class JsonDeliveries:
    """The `DeliveryStore` in a JSON file."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._path = folder.root / "deliveries.json"

    def _read(self) -> list[Delivery]:
        return read_records(_DELIVERIES, self._path)

    def _write(self, deliveries: Sequence[Delivery]) -> None:
        write_records(_DELIVERIES, self._path, deliveries)

    def insert(self, deliveries: Sequence[Delivery]) -> None:
        """Add deliveries that do not exist yet; the caller holds the lock."""
        if not deliveries:
            return
        stored = self._read()
        ids = {delivery.id for delivery in stored}
        final = [delivery for delivery in stored if delivery.status is not DeliveryStatus.PENDING]
        removed = {delivery.id for delivery in final[: max(0, len(final) - MOST_DELIVERIES)]}
        kept = [delivery for delivery in stored if delivery.id not in removed]
        self._write([*kept, *(delivery for delivery in deliveries if delivery.id not in ids)])

    def forget(self, schedule_id: str) -> None:
        """Remove the deliveries of a schedule; the caller holds the lock."""
        stored = self._read()
        kept = [delivery for delivery in stored if delivery.schedule_id != schedule_id]
        if len(kept) != len(stored):
            self._write(kept)

    def prune(self, schedule_id: str, before: datetime) -> None:
        """Remove final deliveries about due times before a moment; the caller holds the lock."""
        stored = self._read()
        kept = [
            delivery
            for delivery in stored
            if delivery.schedule_id != schedule_id
            or delivery.due >= before
            or delivery.status is DeliveryStatus.PENDING
        ]
        if len(kept) != len(stored):
            self._write(kept)

    @in_thread
    def claim(self, now: datetime, until: datetime) -> Delivery | None:
        if self._next(now) is None:
            return None
        with self._folder.changing():
            delivery = self._next(now)
            if delivery is None:
                return None
            claimed = replace(delivery, attempts=delivery.attempts + 1, next_attempt_at=until)
            self._write([claimed if other.id == claimed.id else other for other in self._read()])
            return claimed

    def _next(self, now: datetime) -> Delivery | None:
        pending = [
            (delivery.next_attempt_at, delivery.id, delivery)
            for delivery in self._read()
            if delivery.status is DeliveryStatus.PENDING and delivery.next_attempt_at is not None
        ]
        due = [entry for entry in pending if entry[0] <= now]
        return min(due, key=lambda entry: entry[:2])[2] if due else None

    @in_thread
    def done(self, delivery: Delivery) -> None:
        with self._folder.changing():
            stored = self._read()
            self._write(
                [
                    delivery if other.id == delivery.id and other.attempts == delivery.attempts else other
                    for other in stored
                ]
            )

    @in_thread
    def of_schedule(self, schedule_id: str, limit: int = 50) -> tuple[Delivery, ...]:
        deliveries = [delivery for delivery in self._read() if delivery.schedule_id == schedule_id]
        deliveries.sort(key=lambda delivery: delivery.id)
        deliveries.sort(key=lambda delivery: delivery.created_at, reverse=True)
        return tuple(deliveries[:limit])
