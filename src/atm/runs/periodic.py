"""Repeat the steps of a background service, through errors and while storage is unavailable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from logging import Logger

from atm.errors import AtmError, StorageUnavailableError


class PeriodicSteps:
    """The steps of one service, which share its log: of an outage of the storage, only the first error is logged."""

    def __init__(self, log: Logger, subject: str) -> None:
        """`subject` is a plural noun for messages: `schedules`."""
        self._log = log
        self._subject = subject
        self._storage_is_down = False

    async def repeat(self, step: Callable[[], Awaitable[object]], seconds: float) -> None:
        """Run `step`, wait for `seconds`, and so on until this is cancelled."""
        while True:
            try:
                await step()
                self._storage_is_down = False
            except StorageUnavailableError as error:
                if not self._storage_is_down:
                    self._log.warning("%s cannot be read: %s", self._subject, error)
                self._storage_is_down = True
            except AtmError as error:
                self._log.error("%s: %s", self._subject, error)
            except Exception:  # noqa: BLE001  (a bug must not stop the service silently)
                self._log.exception(self._subject)
            await asyncio.sleep(seconds)
