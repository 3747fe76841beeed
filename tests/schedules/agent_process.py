"""Processes that fire schedules on a fast clock until they are killed: `python -m tests.schedules.agent_process JSON`.

What is started has imported everything and does nothing but start others: for each line that it reads it forks one and
prints its process id. So a new one fires after some milliseconds, however busy the machine is.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from atm.config import Settings
from atm.runs.service import RunService
from atm.schedules.scheduler import Scheduler
from atm.storage import open_storage
from atm.storage.seal import Sealer


@dataclass(frozen=True)
class FastClock:
    """The same for all processes of this machine, and faster than it."""

    began: datetime
    began_ns: int
    speed: float

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def now(self) -> datetime:
        return self.began + timedelta(seconds=(time.monotonic_ns() - self.began_ns) / 1e9 * self.speed)


async def fire_for_ever(given: dict[str, Any]) -> None:
    settings = Settings(**given["settings"])
    clock = FastClock(datetime.fromisoformat(given["began"]), given["began_ns"], given["speed"])
    storage = await open_storage(settings)
    sealer = Sealer(settings)
    scheduler = Scheduler(storage, sealer, RunService(storage, settings, sealer, environment={}), clock=clock)
    while True:
        await scheduler.fire_due()
        await scheduler.realign()
        await asyncio.sleep(0.005)


def main(given: dict[str, Any]) -> None:
    # The system buries those that were killed.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    importlib.import_module("atm.storage.sql.storage")
    for _ in sys.stdin:
        process = os.fork()
        if process == 0:
            asyncio.run(fire_for_ever(given))
        print(process, flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
