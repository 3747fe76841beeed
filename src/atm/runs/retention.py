"""Background retention: delete runs, intervals, samples, firings and audit entries older than the configured limits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from atm.clock import Clock, SystemClock
from atm.config import Settings
from atm.errors import StorageError
from atm.storage import StorageInterface
from atm.storage.audit import server_entry
from atm.storage.upkeep import RetentionPolicy

log = logging.getLogger("atm.runs")

EVERY_SECONDS = 3600.0


def policy_of(settings: Settings) -> RetentionPolicy:
    """Return the retention policy of the ATM_RETENTION_… settings."""
    return RetentionPolicy(
        runs_for=settings.retention_runs,
        runs_at_most=settings.retention_count,
        seconds_for=settings.retention_seconds,
        samples_for=settings.retention_samples,
        firings_for=settings.retention_firings,
        audit_for=settings.retention_audit,
    )


@asynccontextmanager
async def background_retention(
    storage: StorageInterface, settings: Settings, clock: Clock | None = None
) -> AsyncIterator[None]:
    """Prune now and then every hour until the block ends; do nothing when no retention is configured."""
    policy = policy_of(settings)
    if policy == RetentionPolicy():
        yield
        return
    task = asyncio.create_task(_prune_forever(storage, policy, clock or SystemClock()))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _prune_forever(storage: StorageInterface, policy: RetentionPolicy, clock: Clock) -> None:
    while True:
        try:
            report = await storage.upkeep.prune(policy, clock.now())
        except StorageError as error:
            log.warning("the history could not be pruned: %s", error)
        else:
            counts = (len(report.runs), len(report.seconds), len(report.samples), report.firings, report.audit)
            if any(counts):
                what = "pruned: %d runs, the seconds of %d, the samples of %d, %d firings, %d entries of the audit log"
                log.info(what, *counts)
                await storage.audit.append(server_entry("storage.prune", "", clock.now(), what % counts))
        await asyncio.sleep(EVERY_SECONDS)
