"""A service with its supervisor, and what tests wait for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atm.config import Settings
from atm.runs.service import RunService
from atm.runs.supervisor import Supervisor
from atm.storage import StorageInterface
from atm.storage.records import FINAL, Run
from atm.testing import TargetServer


def spec(target: TargetServer, path: str = "/fixed", **fields: Any) -> dict[str, Any]:
    return {"name": "control", "url": target.url + path, **fields}


@dataclass(frozen=True, slots=True)
class Installation:
    """One of everything, on one storage."""

    settings: Settings
    storage: StorageInterface
    service: RunService
    supervisor: Supervisor

    async def until(self, run_id: str, done: Callable[[Run], bool], seconds: float = 240) -> Run:
        """The run as soon as it is as it should be."""
        async with asyncio.timeout(seconds):
            while not done(run := await self.storage.runs.get(run_id)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return run

    async def ended(self, run_id: str) -> Run:
        return await self.until(run_id, lambda run: run.status in FINAL)

    async def sending(self, run_id: str, seconds: int = 1) -> Run:
        """Return the run once this number of measured seconds is stored."""

        async with asyncio.timeout(240):
            while (await self.storage.series.written(run_id)).next_interval < seconds:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return await self.storage.runs.get(run_id)

    def spools(self) -> list[Path]:
        return sorted(self.supervisor.spool_directory.glob("*.jsonl"))


def processes_of(run_id: str) -> dict[str, int]:
    """Process ids by module (`recorder`, `runner`) of what works on a run: both have its log open."""
    found: dict[str, int] = {}
    recorders: set[int] = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().split(b"\0")
            files = (
                [os.readlink(link) for link in (entry / "fd").iterdir()] if b"atm.runs" in b" ".join(command) else []
            )
        except OSError:
            continue
        if any(run_id in name for name in files):
            if b"atm.runs.runner_process" in command:
                found["runner"] = int(entry.name)
            elif b"atm.runs.recorder_process" in command:
                recorders.add(int(entry.name))
    if recorders:
        found["recorder"] = min(recorders)
    return found
