"""A finished run of scenarios, stored as a command-line run is, for tests of what shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from atm.config import Settings
from atm.metrics.interval import Interval
from atm.models.outcome import RunStatus
from atm.models.run import RunResult
from atm.runs.local_history import run_of
from atm.runs.spool import Line
from atm.runs.spool_history import SpoolHistory
from atm.storage import open_storage
from tests.metrics.shop import CHECKS, ENDPOINTS, SCENARIOS


def spool_lines(seconds: Sequence[Interval], began: datetime) -> list[Line]:
    """Return what the runner of such a run writes until the load ends."""
    started: Line = {
        "kind": "started",
        "at": began.isoformat(),
        "engine": "native",
        "engine_reason": "native, the default",
        "seed": 7,
        "endpoints": list(ENDPOINTS),
        "scenarios": [asdict(scenario) for scenario in SCENARIOS],
        "checks": [asdict(check) for check in CHECKS],
        "warm_up_seconds": 1.0,
        "planned_seconds": float(len(seconds) - 1),
        "planned_requests": None,
        "cores": 2,
        "poisson": False,
        "thresholds": [],
    }
    lines: list[Line] = [started]
    for second in seconds:
        at = (began + timedelta(seconds=second.second + 1)).isoformat()
        lines.append({"kind": "interval", "at": at, "interval": second.to_bytes().decode()})
    return lines


def store_shop(data_dir: Path, result: RunResult, seconds: Sequence[Interval]) -> str:
    """Store the run in a new installation, and return its id."""
    run_id = "5b0b9c1e-0000-4000-8000-000000000001"
    result = result.model_copy(update={"run": result.run.model_copy(update={"id": run_id})})
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=len(seconds) + 1)
    line: Line = {
        "id": run_id,
        "name": result.run.name,
        "url": "http://127.0.0.1/products",
        "method": "GET",
        "created_at": began.isoformat(),
        "spec": {"name": "shop", "endpoints": [{"name": name, "url": "http://127.0.0.1/x"} for name in ENDPOINTS]},
        "total_requests": None,
        "concurrency": None,
        "engine": "native",
    }
    history = SpoolHistory()
    history.add(spool_lines(seconds, began))

    async def restored() -> None:
        storage = await open_storage(Settings(data_dir=data_dir))
        run = run_of(line, RunStatus.COMPLETED, result, "", datetime.now(UTC))
        await storage.runs.restore(run, result, iter([history.take()]))
        await storage.close()

    asyncio.run(restored())
    return run_id
