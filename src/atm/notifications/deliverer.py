"""Deliver queued notifications, with claims, retries and backoff.

Any number of deliverers share the work through storage. A claim expires, so a delivery whose process dies while sending
is retried by another one. A notification therefore arrives at least once, in rare cases twice with the same id.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from atm.clock import Clock, SystemClock
from atm.errors import AtmError, StorageUnavailableError
from atm.models.schedule import DeliveryStatus
from atm.notifications.channel import Channel, Message, SendError
from atm.runs.periodic import PeriodicSteps
from atm.storage import StorageInterface
from atm.storage.schedules import Delivery
from atm.storage.seal import Sealer

log = logging.getLogger("atm.notifications")

POLL_SECONDS = 1.0
CLAIM_SECONDS = 120.0
"""How long a claim lasts; longer than an attempt may take."""
PAUSES_SECONDS: Sequence[float] = (5, 30, 120, 600, 1800, 7200)
"""The pauses between attempts: seven attempts in all, over nearly three hours."""
CONCURRENCY = 8
MOST_ERROR_CHARACTERS = 500


class Deliverer:
    """Send notifications on the event loop of a process."""

    def __init__(
        self,
        storage: StorageInterface,
        sealer: Sealer,
        channels: Mapping[str, Channel],
        *,
        clock: Clock | None = None,
    ) -> None:
        """`channels` maps the `type` of a target to its channel."""
        self._storage = storage
        self._sealer = sealer
        self._channels = channels
        self._clock = clock or SystemClock()
        self._random = random.Random()
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start delivering."""
        steps = PeriodicSteps(log, "notifications")
        self._task = asyncio.create_task(steps.repeat(self._deliver_some, POLL_SECONDS))

    async def stop(self) -> None:
        """Stop delivering. Attempts in progress are abandoned, and retried by others when their claims expire."""
        tasks = [*self._sending, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver_some(self) -> None:
        while len(self._sending) < CONCURRENCY and (delivery := await self._claim()) is not None:
            task = asyncio.create_task(self._deliver(delivery))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def deliver_due(self) -> int:
        """Deliver all due notifications in sequence; return the number of attempts. Raises StorageUnavailableError."""
        attempts = 0
        while (delivery := await self._claim()) is not None:
            await self._deliver(delivery)
            attempts += 1
        return attempts

    async def _claim(self) -> Delivery | None:
        now = self._clock.now()
        return await self._storage.deliveries.claim(now, now + timedelta(seconds=CLAIM_SECONDS))

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            await self._send(delivery)
            done = replace(
                delivery,
                status=DeliveryStatus.DELIVERED,
                delivered_at=self._clock.now(),
                next_attempt_at=None,
                error=None,
            )
        except SendError as error:
            done = self._retried_or_failed(delivery, str(error), final=error.final)
        except Exception as error:  # any other error is a failed attempt, and recorded as such
            log.exception("delivery %s", delivery.id)
            done = self._retried_or_failed(delivery, f"unexpected {type(error).__name__}", final=False)
        suffix = f": {done.error}" if done.error else ""
        level = logging.INFO if done.status is DeliveryStatus.DELIVERED else logging.WARNING
        log.log(level, "%s to %s, attempt %d: %s%s", done.event, done.channel, done.attempts, done.status, suffix)
        try:
            await self._storage.deliveries.done(done)
        except StorageUnavailableError as error:
            # It is retried when its claim expires.
            log.warning("delivery %s: its result cannot be stored: %s", delivery.id, error)

    async def _send(self, delivery: Delivery) -> None:
        target = self._target(delivery)
        channel = self._channels.get(str(target["type"]))
        if channel is None:
            raise SendError(f"this version has no channel {target['type']!r}", final=True)
        await channel.send(Message(delivery.id, delivery.document, target), self._clock.now().timestamp())

    def _target(self, delivery: Delivery) -> dict[str, Any]:
        if delivery.sealed is None:
            return dict(delivery.target)
        try:
            target: dict[str, Any] = json.loads(self._sealer.open(delivery.sealed)["target"])
        except StorageUnavailableError:
            raise
        except AtmError as error:
            raise SendError(error.problems[0].what, final=True) from error
        return target

    def _retried_or_failed(self, delivery: Delivery, reason: str, *, final: bool) -> Delivery:
        """Return a delivery after a failed attempt, scheduled for a retry or failed for good."""
        error = reason[:MOST_ERROR_CHARACTERS]
        if final or delivery.attempts > len(PAUSES_SECONDS):
            return replace(delivery, status=DeliveryStatus.FAILED, next_attempt_at=None, error=error)
        # Jitter: deliveries that failed together are not retried together.
        pause = PAUSES_SECONDS[delivery.attempts - 1] * self._random.uniform(1.0, 1.2)
        return replace(delivery, next_attempt_at=self._clock.now() + timedelta(seconds=pause), error=error)
