"""Take the screenshots of the docs: start a server with example data, then run webapp/screenshots.mjs.

Usage: python -m tools.screens   (takes about four minutes on an idle machine)
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atm.client import ControlClient
from atm.models.events import FinishedEvent
from atm.models.schedule import ScheduleRequest
from atm.testing import TargetServer
from tools.repository import ROOT

PORT = 8765
"""Port of the target server, as in the quickstart."""
ATTEMPTS = 2
PATIENT_ATTEMPTS = 6
"""Attempts to get a valid measurement; the second for the run in most pictures."""


def spec(name: str, endpoints: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    return {"name": name, "variables": {"shop": f"http://127.0.0.1:{PORT}"}, "endpoints": endpoints, **fields}


CATALOGUE = [
    {"name": "GET /users", "url": "{{shop}}/users", "weight": 5},
    {"name": "GET /orders/{id}", "url": "{{shop}}/orders/{{random_int}}", "weight": 3},
]
ORDER = {
    "name": "POST /orders",
    "url": "{{shop}}/orders",
    "method": "POST",
    "body": {"reference": "{{uuid}}", "quantity": 2},
    "expected_status_codes": [201],
    "weight": 2,
}
MORE = [
    {"name": "GET /search", "url": "{{shop}}/lognormal?median_ms=60&sigma=0.4", "weight": 2},
    {"name": "GET /recommendations", "url": "{{shop}}/lognormal?median_ms=28&sigma=0.7", "weight": 2},
    {"name": "GET /stock", "url": "{{shop}}/bimodal?fast_ms=4&slow_ms=90&share=0.06", "weight": 1},
]
CHECKOUT = spec(
    "checkout",
    [*CATALOGUE, ORDER, *MORE],
    distribution_strategy="weighted",
    load={
        "model": "open",
        "start": 40,
        "stages": [{"duration": "15s", "target": 160}, {"duration": "45s", "target": 160}],
        "warm_up": "3s",
    },
    timeout="2s",
    thresholds=["p95 < 250ms", "p99 < 300ms", "error_rate < 2%"],
)
SMOKE = spec("smoke", CATALOGUE, load={"model": "closed", "users": 3}, duration="3s", thresholds=["error_rate < 1%"])
USERS = spec("users api", CATALOGUE[:1], load={"model": "open", "rate": 120}, duration="8s", thresholds=["p99 < 300ms"])
STRICT = spec(
    "orders, strict", [ORDER], load={"model": "open", "rate": 60}, duration="8s", thresholds=["error_rate < 0.1%"]
)
SEARCH = spec("search", MORE[:1], load={"model": "closed", "users": 8}, duration="6s", thresholds=["ok p95 < 250ms"])


@contextmanager
def served(data: Path) -> Iterator[str]:
    """Start a server with this data directory; yield its URL."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
    command = [sys.executable, "-m", "atm.api", "--port=0", "--for-parent"]
    with subprocess.Popen(
        command,
        env={**inherited, "ATM_DATA_DIR": str(data), "ATM_RETENTION_RUNS": "90d"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=(data / "server.log").open("wb"),
        text=True,
    ) as process:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
        process.terminate()


async def run(
    control: ControlClient, what: Mapping[str, Any], *tags: str, prepare: Callable[[], object] = lambda: None
) -> str:
    """Run to the end, again if the measurement is not valid, and return the id. `prepare` is called before each run."""
    attempts = PATIENT_ATTEMPTS if what is CHECKOUT else ATTEMPTS
    while True:
        attempts -= 1
        prepare()
        accepted = await control.create_run(what, tags=tags)
        async for event in control.watch(accepted.id):
            if isinstance(event, FinishedEvent):
                break
        measurement = (await control.run(accepted.id)).measurement
        print(f"{what['name']}: {accepted.id}, {measurement}", flush=True)
        if measurement == "valid" or not attempts:
            return accepted.id
        await control.delete(accepted.id)


async def fill(url: str, target: TargetServer) -> None:
    """Create runs of several tests, most of which pass, saved tests, and schedules with firings."""
    async with ControlClient(url) as control:
        for kept, about in ((CHECKOUT, "The whole shop, up to 160/s"), (SMOKE, ""), (USERS, ""), (STRICT, "")):
            await control.create_test(kept, description=about, tags=["nightly"] if kept is not SMOKE else [])
        often: dict[str, Any] = {"name": "smoke, every so often", "test": "smoke", "max_runs": 4}
        made = await control.schedules.create(
            ScheduleRequest.model_validate({**often, "trigger": {"type": "interval", "seconds": 6}})
        )
        while (await control.schedules.get(made.id)).run_count < 4:  # noqa: ASYNC110
            await asyncio.sleep(1)
        later = {**often, "max_runs": None, "trigger": {"type": "interval", "minutes": 15}}
        await control.schedules.replace(made.id, ScheduleRequest.model_validate(later))
        for name, test, expression in (
            ("nightly", "checkout", "30 2 * * *"),
            ("weekdays", "users api", "0 9 * * mon-fri"),
        ):
            trigger = {"type": "cron", "expression": expression, "timezone": "Europe/Berlin"}
            request = {"name": f"{test}, {name}", "test": test, "trigger": trigger, "tags": [name]}
            await control.schedules.create(ScheduleRequest.model_validate(request))
        for what in (USERS, STRICT, SEARCH, USERS, STRICT, SEARCH, USERS):
            await run(control, what, "nightly")
        await run(control, CHECKOUT, "nightly", "v2.3")
        # The newest run, which most pictures show: the target stalls in the middle of it.
        last = await run(control, CHECKOUT, "nightly", "v2.4", prepare=lambda: target.stall(1.6, after=38))
        await control.annotate(last, notes="First run of v2.4. The stall is the new index being built.")


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="atm-screens-") as data,
        TargetServer(port=PORT) as target,
        served(Path(data)) as url,
    ):
        asyncio.run(fill(url, target))
        command = ["npm", "run", "--silent", "--prefix", "webapp", "screenshots", "--", url]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
