"""The process that stores the run of a command after that command has reported: `python -m atm.runs.history_process`.

What it cannot store is left to the next command, which reports why.
"""

from __future__ import annotations

import asyncio
import os
import sys

from atm.config import load_settings
from atm.runs.local_history import ENDED_PREFIX, PREFIX, spool_directory
from atm.runs.local_recovery import recover_local_runs
from atm.storage import open_storage

_NICE = 10
"""Below whatever the user starts next, which may be another load test."""


def main() -> int:
    """Store every run that is not stored yet; exit code 1 where one of them could not be stored."""
    os.nice(_NICE)
    try:
        asyncio.run(_store())
    finally:
        left = list(spool_directory().glob(f"{ENDED_PREFIX}*.jsonl"))
        for path in left:
            # No command has to wait for this process any longer.
            path.rename(path.with_name(path.name.replace(ENDED_PREFIX, PREFIX, 1)))
    return 1 if left else 0


async def _store() -> None:
    storage = await open_storage(load_settings())
    try:
        await recover_local_runs(storage, spool_directory())
    finally:
        await storage.close()


if __name__ == "__main__":
    sys.exit(main())
