"""Process that stores local runs after their command has printed the report: `python -m atm.runs.history_process`.

A run that it cannot store is left to the next command, which reports the reason.
"""

from __future__ import annotations

import asyncio
import os

from atm import entry_point
from atm.config import load_settings
from atm.runs.local_history import abandoned_spool, spool_directory
from atm.runs.local_recovery import abandoned, recover_local_runs
from atm.runs.spool import ENDED_SPOOLS
from atm.storage import open_storage

_NICE = 10
"""Lower priority than the next command of the user, which may be another load test."""


def main() -> int:
    """Store all local runs that have ended; return 1 where one of them could not be stored."""
    os.nice(_NICE)
    left = 0
    try:
        asyncio.run(_store())
    finally:
        for path in spool_directory().glob(ENDED_SPOOLS):
            with abandoned(path) as is_abandoned:
                # Commands do not wait for it any longer; one that another process is storing keeps its name.
                if is_abandoned:
                    path.rename(abandoned_spool(path))
                    left += 1
    return 1 if left else 0


async def _store() -> None:
    storage = await open_storage(load_settings())
    try:
        await recover_local_runs(storage, spool_directory())
    finally:
        await storage.close()


if __name__ == "__main__":
    entry_point.run(main)
