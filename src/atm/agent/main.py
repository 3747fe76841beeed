"""Run the agent until a signal stops it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from atm import child_process
from atm.bootstrap import control_plane
from atm.config import Settings

log = logging.getLogger("atm.agent")


async def run_agent(settings: Settings) -> None:
    """Fire schedules, send notifications and start runs until SIGINT or SIGTERM; runs in progress continue.

    Raises SettingsError, SchemaError, StorageUnavailableError.
    """
    os.umask(child_process.PRIVATE_UMASK)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    async with control_plane(settings.model_copy(update={"agent": True})) as plane:
        status = await plane.storage.upkeep.status()
        log.info("the agent fires the schedules of %s", status.location)
        await ended.wait()
    log.info("the agent has ended")
