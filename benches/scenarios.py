"""Measure scenarios: what a journey costs against plain requests and other load testers, memory, test data, truth.

Costs are ratios of CPU time, measured in turn within each round, and the median over the rounds: they hold on a busy
machine as well, other than rates. The load of the machine before the measurement is printed and stored.
"""

from __future__ import annotations

import csv
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from atm.engine.native_engine import load_native_engine
from benches import flow, flow_pause, flow_peers
from benches.measure import (
    BIN,
    ROOT,
    Figure,
    MeasurementError,
    Row,
    against,
    cpu_seconds_so_far,
    figures,
    interleaved,
    keep,
    table,
)
from benches.native_engine import CLIENT_CORE, SERVER_CORE, compiled, raise_descriptors, run_plan
from benches.nginx import Nginx
from benches.peers.processes import peak_memory_bytes

MOST_OF_PLAIN = 1.6
"""CPU time of an iteration against its three requests without extracts and checks."""
COST_ROUNDS = 5
PEER_ROUNDS = 3
ITERATIONS = 4_000
MANY_USERS, FEW_USERS = 10_000, 64
MOST_KILOBYTES = 8.192
"""Per user with its variables, cookies and connection: 8 KiB."""
VARIABLES = 10
ROWS = 1_000_000
_PATIENCE_SECONDS = 120.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def main() -> int:
    if sys.platform != "linux" or load_native_engine() is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    raise_descriptors()
    busy = os.getloadavg()[0]
    print(f"scenarios: the load of the machine before was {busy:.1f}")
    samples: dict[str, list[float]] = {}
    rows: list[Row | Figure] = [Figure("load of the machine before", busy, "")]
    failed = False
    for part in (costs, peers, memory, data, pause):
        try:
            found, more = part()
        except (MeasurementError, OSError, subprocess.TimeoutExpired) as error:
            print(f"error: {part.__name__}: {error}", file=sys.stderr)
            failed = True
            continue
        rows += found
        samples |= more
    print(f"samples: {keep('scenarios', samples, rows).relative_to(ROOT)}")
    return 1 if failed or not all(row.holds for row in rows) else 0


Found = tuple[Sequence[Row | Figure], Mapping[str, list[float]]]
"""Rows, and samples by name."""


def costs() -> Found:
    """Measure the CPU time of the engine per request: three endpoints, and the journey."""
    plain, some = "three plain requests", "the journey: 2 extracts, 3 checks"
    every = "2 extracts and 3 checks in each step"
    with Nginx(SERVER_CORE, flow.BODY) as nginx:
        base = f"http://127.0.0.1:{nginx.port}"
        requests = ITERATIONS * flow.REQUESTS
        journeys = {"concurrency": flow.USERS, "total_requests": ITERATIONS}
        specs: dict[str, dict[str, Any]] = {
            plain: {**flow.endpoints(base), "concurrency": flow.USERS, "total_requests": requests},
            some: {**flow.journey(base), **journeys},
            every: {**flow.journey(base, each_step=True), **journeys},
        }
        subjects = {name: lambda spec=spec: _cpu_per_1000(spec) for name, spec in specs.items()}
        samples = interleaved(subjects, COST_ROUNDS)
    rows = against(samples, plain, {some: MOST_OF_PLAIN})
    print(table(rows, plain))
    more = statistics.median(cost / base for cost, base in zip(samples[every], samples[plain], strict=True))
    further = Figure(f"the journey with {every}: CPU against {plain}", more, "times")
    print(figures([further]))
    return [*rows, further], samples


def _cpu_per_1000(spec: Mapping[str, Any]) -> float:
    """Return the CPU seconds of the load thread per 1,000 iterations, or as many requests of endpoints."""
    run = run_plan(compiled(dict(spec)))
    if run.not_ok or run.ok != ITERATIONS * flow.REQUESTS:
        raise MeasurementError(f"{run.ok} requests were ok and {run.not_ok} were not")
    return run.cpu_seconds / ITERATIONS * 1000


def peers() -> Found:
    """Measure the CPU time per request of the whole client: `atm run`, and other load testers with the same journey."""
    with Nginx(SERVER_CORE, flow.BODY) as nginx:
        subjects, missing = flow_peers.subjects(nginx)
        for name, reason in missing.items():
            print(f"scenarios: {name} is not measured: {reason}")
        samples = interleaved(subjects, PEER_ROUNDS)
    rows = []
    for name, faster in flow_peers.FASTER.items():
        if name in samples:
            row = against(samples, name, {flow_peers.ATM: 1 / faster})[0]
            rows.append(replace(row, name=f"CPU per request of the journey against {name}"))
    if rows:
        print(table(rows, "the other client"))
    return rows, samples


def memory() -> Found:
    """Measure the memory of a user that keeps cookies and variables, with its connection."""
    values = json.dumps({f"value{number}": f"text-{number}-of-a-user" for number in range(VARIABLES)})
    cookies = {"Set-Cookie": "session=0b5a9c1e-8d0f-4a6b-9a57-0d7c3c5a1f42; Path=/; HttpOnly"}
    extract = {f"value{number}": f"$.value{number}" for number in range(VARIABLES)}
    query = "&".join(f"v{number}={{{{value{number}}}}}" for number in range(VARIABLES))
    steps = [{"GET": "/login", "name": "login", "extract": extract}, {"GET": f"/list?{query}", "name": "list"}]
    with Nginx(SERVER_CORE, values, cookies) as nginx:
        spec = {
            "base_url": f"http://127.0.0.1:{nginx.port}",
            "timeout_seconds": 60,
            "scenarios": {"s": {"steps": steps}},
        }
        few, many = (
            run_plan(compiled({**spec, "concurrency": users, "total_requests": 2 * MANY_USERS}))
            for users in (FEW_USERS, MANY_USERS)
        )
    if many.connections != MANY_USERS:
        raise MeasurementError(f"{many.connections} users had a connection, {MANY_USERS} were expected")
    each = (many.peak_memory_bytes - few.peak_memory_bytes) / (MANY_USERS - FEW_USERS) / 1e3
    title = f"{MANY_USERS:,} users with {VARIABLES} variables, a cookie and a connection"
    rows = [
        Figure(f"{title}: memory for each", each, "kB", MOST_KILOBYTES),
        Figure(f"{title}: requests that failed", many.not_ok, "", 0),
    ]
    print(figures(rows))
    return rows, {}


def data() -> Found:
    """Measure the start of a run with a large file of test data, the first time and again."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="atm-data-") as folder:
        directory = Path(folder)
        with (directory / "accounts.csv").open("w", encoding="utf-8", newline="") as file:
            lines = csv.writer(file)
            lines.writerow(("name", "password", "city", "number"))
            lines.writerows((f"user{n:07}", f"password{n:07}", "a city", n) for n in range(ROWS))
        for attempt in ("first run", "next run"):
            wall, cpu, peak = _start_with_data(directory)
            title = f"{ROWS:,} rows of 4 columns, {attempt}"
            rows += [
                Figure(f"{title}: start to first request", wall, "s"),
                Figure(f"{title}: CPU time until then", cpu, "s"),
                Figure(f"{title}: peak memory until then", peak / 1e6, "MB"),
            ]
    print(figures(rows))
    return rows, {}


def _start_with_data(directory: Path) -> tuple[float, float, int]:
    """Return wall and CPU seconds and peak memory in bytes of `atm run` when its first request arrives."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_PATIENCE_SECONDS)
        step = {"GET": "/?name={{accounts.name}}&number={{accounts.number}}", "name": "get"}
        spec = {
            "name": "data",
            "base_url": f"http://127.0.0.1:{server.getsockname()[1]}",
            "concurrency": 1,
            "total_requests": 1,
            "data": {"accounts": {"file": "accounts.csv", "pick": "shuffled"}},
            "scenarios": {"s": {"steps": [step]}},
        }
        (directory / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        command = [str(BIN / "atm"), "run", "spec.json", "--engine", "native", "--quiet", "--no-history"]
        begin = time.monotonic()
        process = subprocess.Popen(
            ["taskset", "-c", str(CLIENT_CORE), *command],
            cwd=directory,
            env={**os.environ, "ATM_DATA_DIR": str(directory / "data")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                connection, _ = server.accept()
                with connection:
                    request = connection.recv(65536)
                    found = time.monotonic() - begin, cpu_seconds_so_far(process.pid), peak_memory_bytes(process.pid)
                    connection.sendall(_ANSWER)
                    _, said = process.communicate(timeout=_PATIENCE_SECONDS)
            except (TimeoutError, subprocess.TimeoutExpired) as error:
                process.kill()
                raise MeasurementError("atm run neither sent a request nor ended in time") from error
    if not request.startswith(b"GET /?name=user") or process.returncode != 0:
        raise MeasurementError(f"atm run ended with {process.returncode}, sent {request[:60]!r}: {said.strip()[-400:]}")
    return found


def pause() -> Found:
    """Measure how far the times that we print are off the truth when the server is frozen."""
    rows = flow_pause.measure()
    print(figures(rows))
    return rows, {}


if __name__ == "__main__":
    sys.exit(main())
