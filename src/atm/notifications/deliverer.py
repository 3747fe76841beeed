"""Delivers what was noted to be told: claims a delivery, sends it, notes what came of it, and tries again later.

Any number of these share the work through storage. A delivery belongs to who has claimed it until its claim runs out;
a process that dies while it sends leaves it to the next one. So a notification arrives at least once, in rare cases
twice, under the same id.
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
from atm.storage import StorageInterface
from atm.storage.schedules import Delivery
from atm.storage.seal import Sealer

log = logging.getLogger("atm.notifications")

LOOK_SECONDS = 1.0
CLAIM_SECONDS = 120.0
"""A delivery whose sender died is tried again after this; more than an attempt may take."""
PAUSES_SECONDS: Sequence[float] = (5, 30, 120, 600, 1800, 7200)
"""Between attempts: seven in all, over nearly three hours."""
AT_ONCE = 8
MOST_ERROR_CHARACTERS = 500


class Deliverer:
    """One in each process that sends notifications, on its event loop."""

    def __init__(
        self,
        storage: StorageInterface,
        sealer: Sealer,
        channels: Mapping[str, Channel],
        *,
        clock: Clock | None = None,
        pauses_seconds: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        """`channels` by the `type` of a target."""
        self._storage = storage
        self._sealer = sealer
        self._channels = channels
        self._clock = clock or SystemClock()
        self._pauses = pauses_seconds
        self._chance = random.Random()
        self._task: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._away = False

    def start(self) -> None:
        """Begin to deliver."""
        self._task = asyncio.create_task(self._deliver_forever())

    async def stop(self) -> None:
        """Deliver no more. What is being sent is given up, and tried again by others when its claim runs out."""
        tasks = [*self._sending, *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _deliver_forever(self) -> None:
        while True:
            try:
                await self._deliver_some()
                self._away = False
            except StorageUnavailableError as error:
                if not self._away:
                    log.warning("notifications cannot be read: %s", error)
                self._away = True
            except AtmError as error:
                log.error("notifications: %s", error)
            except Exception:  # a fault of ours must not end all notifications in silence
                log.exception("notifications")
            await asyncio.sleep(LOOK_SECONDS)

    async def _deliver_some(self) -> None:
        while len(self._sending) < AT_ONCE and (delivery := await self._claim()) is not None:
            task = asyncio.create_task(self._deliver(delivery))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def deliver_due(self) -> int:
        """Deliver what is due now, one after another; how many attempts that were. Raises StorageUnavailableError."""
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
            done = self._after(delivery, str(error), final=error.final)
        except Exception as error:  # told in the record: whatever else happened while sending is a failed attempt
            log.exception("delivery %s", delivery.id)
            done = self._after(delivery, f"unexpected {type(error).__name__}", final=False)
        said = f": {done.error}" if done.error else ""
        level = logging.INFO if done.status is DeliveryStatus.DELIVERED else logging.WARNING
        log.log(level, "%s to %s, attempt %d: %s%s", done.event, done.channel, done.attempts, done.status, said)
        try:
            await self._storage.deliveries.done(done)
        except StorageUnavailableError as error:
            # It is tried again when its claim runs out.
            log.warning("delivery %s: what came of it cannot be noted: %s", delivery.id, error)

    async def _send(self, delivery: Delivery) -> None:
        target = self._target(delivery)
        channel = self._channels.get(str(target["type"]))
        if channel is None:
            raise SendError(f"this version knows no channel {target['type']!r}", final=True)
        await channel.send(Message(delivery.id, delivery.document, target), self._clock.now().timestamp())

    def _target(self, delivery: Delivery) -> dict[str, Any]:
        if delivery.sealed is None:
            return dict(delivery.target)
        try:
            whole: dict[str, Any] = json.loads(self._sealer.open(delivery.sealed)["target"])
        except StorageUnavailableError:
            raise
        except AtmError as error:
            raise SendError(error.problems[0].what, final=True) from error
        return whole

    def _after(self, delivery: Delivery, why: str, *, final: bool) -> Delivery:
        """A delivery whose attempt failed: to be tried again, or given up."""
        error = why[:MOST_ERROR_CHARACTERS]
        if final or delivery.attempts > len(self._pauses):
            return replace(delivery, status=DeliveryStatus.FAILED, next_attempt_at=None, error=error)
        # Not all of those that failed together come again together.
        pause = self._pauses[delivery.attempts - 1] * self._chance.uniform(1.0, 1.2)
        return replace(delivery, next_attempt_at=self._clock.now() + timedelta(seconds=pause), error=error)
