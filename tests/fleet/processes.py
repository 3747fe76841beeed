"""What a test wants to know of processes that are not its children, and their ends."""

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


def load_threads(pid: int) -> list[str]:
    """Return the names of a process's load threads, in order."""
    names = [task.read_text().strip() for task in Path(f"/proc/{pid}/task").glob("*/comm")]
    return sorted(name for name in names if name.startswith("atm-load-"))
