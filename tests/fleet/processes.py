"""Wait for processes that a test expects to end."""

from __future__ import annotations

import asyncio
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended but was not waited for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


async def has_ended(pid: int) -> None:
    """Return when a process has ended. Raises TimeoutError."""
    async with asyncio.timeout(60):
        while is_running(pid):  # noqa: ASYNC110  # processes of others have no event
            await asyncio.sleep(0.02)
