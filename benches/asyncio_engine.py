"""Compare the CPU time per request of the asyncio engine with wrk and a bare loop: closed model, 64 connections.

All send to one nginx worker on another core, one directly after the other in every round. During steady traffic nginx
counts the requests and the kernel the CPU time, which excludes start-up. `child` runs the engine alone, for this
benchmark and for profilers.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from benches.measure import ROOT, MeasurementError, against, cpu_seconds_so_far, interleaved, keep, table
from benches.nginx import Nginx

CONNECTIONS = 64
ROUNDS = 5
STEADY_AFTER_REQUESTS = 10_000
_LONGEST_START_SECONDS = 15.0
MEASURED_SECONDS = 3.0
CLIENT_CORE, SERVER_CORE = 0, 1
REQUESTS = 100_000
"""Figures are CPU time for this number of requests."""

BASELINE = "wrk"
BARS = {"constant request": 2.5, "templates": 3.0}
BARE = "bare Protocol loop"
BARS_OF_BARE = {"constant request": 1.6}
"""Against a loop that only sends and receives (`benches.bare_loop`)."""
_SECONDS = 30


def main() -> int:
    if sys.platform != "linux":
        print("error: this benchmark reads the CPU clock of another process, which only Linux has", file=sys.stderr)
        return 2
    wrk = shutil.which("wrk")
    if wrk is None:
        print("error: wrk is not installed: apt-get install wrk", file=sys.stderr)
        return 2
    with Nginx(SERVER_CORE) as nginx:
        url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"

        def engine(kind: str) -> float:
            command = [sys.executable, "-m", "benches.asyncio_engine", "child", kind, str(nginx.port), str(_SECONDS)]
            return cpu_per_requests(command, nginx)

        bare = [sys.executable, "-m", "benches.bare_loop", str(nginx.port), str(CONNECTIONS), str(_SECONDS)]
        subjects = {
            BARE: lambda: cpu_per_requests(bare, nginx),
            BASELINE: lambda: cpu_per_requests([wrk, "-t1", f"-c{CONNECTIONS}", f"-d{_SECONDS}s", url], nginx),
            "constant request": lambda: engine("constant"),
            "templates": lambda: engine("templates"),
        }
        print(f"asyncio_engine: {ROUNDS} rounds, CPU per {REQUESTS:,} requests, median of the ratios within each round")
        try:
            samples = interleaved(subjects, ROUNDS)
        except (MeasurementError, OSError) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    rows = against(samples, BASELINE, BARS)
    print(table(rows, BASELINE))
    of_bare = against(samples, BARE, BARS_OF_BARE)
    print(table(of_bare, BARE))
    rows += [replace(row, name=f"{row.name}, against a {BARE}") for row in of_bare]
    print(f"samples: {keep('asyncio_engine', samples, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def cpu_per_requests(command: Sequence[str], nginx: Nginx) -> float:
    """Return the CPU seconds of `command` per `REQUESTS` requests, measured during steady traffic."""
    process = subprocess.Popen(
        ["taskset", "-c", str(CLIENT_CORE), *command], stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=ROOT
    )
    try:
        begin, deadline = nginx.requests(), time.monotonic() + _LONGEST_START_SECONDS
        while nginx.requests() < begin + STEADY_AFTER_REQUESTS and time.monotonic() < deadline:
            time.sleep(0.1)
        requests, cpu = nginx.requests(), cpu_seconds_so_far(process.pid)
        time.sleep(MEASURED_SECONDS)
        requests, cpu = nginx.requests() - requests - 1, cpu_seconds_so_far(process.pid) - cpu
        if process.poll() is not None or requests < 1000:
            raise MeasurementError(f"{command[0]} sent {requests} requests and ended with {process.poll()}")
    finally:
        process.kill()
        process.wait()
    return cpu / requests * REQUESTS


def child(kind: str, port: int, seconds: float) -> None:
    """Run the engine with a closed load on nginx for `seconds`."""
    from atm.engine.asyncio_engine import AsyncioEngine
    from atm.engine.base import Control
    from atm.plan.load_plan import Flow, Header, Lane, Load, LoadPlan, Origin, Segment, Step
    from atm.plan.template_parts import LiteralPart, VariablePart

    number, identity = VariablePart("request_number"), VariablePart("uuid")
    constant = kind == "constant"
    target = (LiteralPart("/users/4711?page=1"),) if constant else (LiteralPart("/users/"), number)
    host = Header("Host", (LiteralPart(f"127.0.0.1:{port}"),))
    headers = (host,) if constant else (host, Header("X-Request-Id", (identity,)))
    step = Step(0, 0, "GET", target, headers, None, ((200, 299),), (), 30_000_000_000)
    load = Load("closed", (Segment(CONNECTIONS, CONNECTIONS, None),))
    plan = LoadPlan(
        name=kind,
        seed=1,
        endpoints=("GET /users",),
        origins=(Origin("http", "127.0.0.1", port, addresses=("127.0.0.1",)),),
        flows=(Flow("GET /users", 1, (step,)),),
        lanes=(Lane(kind, (0,), "round_robin", load, None, int(seconds * 1e9)),),
        graceful_stop_ns=1_000_000_000,
    )
    asyncio.run(AsyncioEngine().run(plan, {}, lambda _interval: None, Control()))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    else:
        sys.exit(main())
