"""`ControlClient.batches`: runs of several stored tests that are started together."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from urllib.parse import quote

from atm.client.connection import Connection
from atm.models.control.batches import BatchCancelled, BatchDetail, BatchList
from atm.models.control.tests import StartedRuns


class BatchCalls:
    """Requests about batches. Methods raise the errors of `ControlClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def start(
        self,
        *,
        tests: Sequence[str] | None = None,
        tags: Sequence[str] = (),
        repetitions: int = 1,
        max_concurrency: int | None = None,
        enabled_only: bool = True,
        idempotency_key: str | None = None,
    ) -> StartedRuns:
        """Start one batch of runs of the stored tests: all enabled ones, or those with these names and tags."""
        body = {
            "tests": None if tests is None else list(tests),
            "tags": list(tags),
            "repetitions": repetitions,
            "max_concurrency": max_concurrency,
            "enabled_only": enabled_only,
        }
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(16)}
        return await self._connection.send(StartedRuns, "POST", "/tests/run-all", body, headers=headers)

    async def page(self, *, limit: int = 20, offset: int = 0) -> BatchList:
        """Return a page of the batches, newest first."""
        return await self._connection.get(BatchList, "/batches", {"limit": limit, "offset": offset})

    async def get(self, batch: str) -> BatchDetail:
        """Return a batch with its runs by test. Raises NotFoundError."""
        return await self._connection.get(BatchDetail, f"/batches/{quote(batch, safe='')}")

    async def cancel(self, batch: str, *, graceful: bool = False) -> BatchCancelled:
        """Cancel or stop all runs of a batch. Raises NotFoundError."""
        path = f"/batches/{quote(batch, safe='')}/cancel?graceful={str(graceful).lower()}"
        return await self._connection.send(BatchCancelled, "POST", path)
