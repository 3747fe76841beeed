"""What a server removes by itself: runs, seconds and samples that its settings do not keep any longer."""

from __future__ import annotations

import asyncio
import logging

from atm.clock import Clock, SystemClock
from atm.config import Settings
from atm.errors import StorageError
from atm.storage import StorageInterface
from atm.storage.records import RetentionPolicy

log = logging.getLogger("atm.runs")

EVERY_SECONDS = 3600.0


def policy_of(settings: Settings) -> RetentionPolicy:
    """What ATM_RETENTION_… say."""
    return RetentionPolicy(
        runs_for=settings.retention_runs,
        runs_at_most=settings.retention_count,
        seconds_for=settings.retention_seconds,
        samples_for=settings.retention_samples,
    )


async def prune_forever(storage: StorageInterface, settings: Settings, clock: Clock | None = None) -> None:
    """Prune now and every hour, until cancelled; returns at once where the settings keep everything."""
    policy = policy_of(settings)
    if policy == RetentionPolicy():
        return
    watch = clock or SystemClock()
    while True:
        try:
            report = await storage.upkeep.prune(policy, watch.now())
        except StorageError as error:
            log.warning("the history could not be pruned: %s", error)
        else:
            if report.runs or report.seconds or report.samples:
                counts = (len(report.runs), len(report.seconds), len(report.samples))
                log.info("pruned: %d runs, the seconds of %d, the samples of %d", *counts)
        await asyncio.sleep(EVERY_SECONDS)
