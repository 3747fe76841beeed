"""Measure the native engine: instructions per request, schedule lag by rate, 10,000 connections, memory.

Requests go to one nginx worker on another core. valgrind counts user-space instructions: unlike CPU time they do not
drift, so use them to detect regressions. `child` runs a plan in some load threads, for benchmarks and profilers.
"""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from atm.engine.native_engine import load_native_engine
from atm.metrics.histogram import Histogram
from atm.metrics.interval import Interval
from atm.plan.compile import compile_plan
from atm.plan.load_plan import LoadPlan
from benches.measure import BIN, ROOT, Figure, MeasurementError, figures, keep
from benches.nginx import Nginx

CLIENT_CORE, SERVER_CORE = 0, 1
MOST_INSTRUCTIONS = 5_000
"""User-space instructions per request; wrk needs about as many."""
FEW, MANY = 10_000, 40_000
"""Requests of two runs; the difference of their counts excludes start and end."""
CONNECTIONS = 10_000
CONNECTION_SECONDS = 8
ENDPOINTS = 1_000
ENDPOINT_SECONDS = 4
MOST_MEGABYTES = 90
SHARES = (0.05, 0.25, 0.5)
"""Rates of the open model, as shares of the closed-loop rate."""
MOST_LAG_MILLISECONDS = 0.5
LAG_SECONDS = 5
_PATIENCE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Figures of a run in a child process."""

    ok: int
    not_ok: int
    connections: int
    seconds: float
    cpu_seconds: float
    lag_p99_ns: float
    peak_memory_bytes: int


def main() -> int:
    if sys.platform != "linux" or load_native_engine() is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    raise_descriptors()
    with Nginx(SERVER_CORE) as nginx:
        url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"
        try:
            rows = [*instructions(url), *lags(url), *connections(url), *memory(url)]
        except (MeasurementError, OSError, subprocess.TimeoutExpired) as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    print(figures(rows))
    print(f"samples: {keep('native_engine', {}, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def instructions(url: str) -> list[Figure]:
    """Measure user-space instructions per request, for a constant request and one with templates."""
    if shutil.which("valgrind") is None:
        print("native_engine: instructions are not measured: valgrind is not installed (apt-get install valgrind)")
        return []
    templated: dict[str, Any] = {"url": f"{url}&n={{{{request_number}}}}", "headers": {"X-Request-Id": "{{uuid}}"}}
    rows = []
    specs = {"constant request": {"url": url}, "templates in URL and header": templated}
    for name, spec in specs.items():
        few, many = (_instructions(compiled({**spec, "total_requests": total})) for total in (FEW, MANY))
        rows.append(
            Figure(f"{name}: user instructions per request", (many - few) / (MANY - FEW), "", MOST_INSTRUCTIONS)
        )
    return rows


def _instructions(plan: LoadPlan) -> int:
    """Count those of the load thread only: work done once per second depends on the speed of valgrind."""
    with tempfile.TemporaryDirectory(prefix="atm-callgrind-") as folder:
        _run(plan, "valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={folder}/out")
        profiles = [path.read_text(encoding="utf-8", errors="replace") for path in Path(folder).iterdir()]
    totals = [re.search(r"^totals: (\d+)", profile, re.MULTILINE) for profile in profiles if _LOOP in profile]
    if len(totals) != 1 or totals[0] is None:
        raise MeasurementError(f"valgrind saw {len(totals)} load threads, one was expected")
    return int(totals[0][1])


_LOOP = "loadgen::worker::Worker::run"


def lags(url: str) -> list[Figure]:
    """Measure schedule lag at shares of the closed-loop rate of 64 connections."""
    closed = run_plan(compiled({"url": url, "concurrency": 64, "duration": f"{LAG_SECONDS}s"}))
    fastest = closed.ok / closed.seconds
    rows = [Figure("closed-loop rate of one thread", fastest, "per second")]
    for share in SHARES:
        spec = {"url": url, "requests_per_second": round(share * fastest), "duration": f"{LAG_SECONDS}s"}
        lag = run_plan(compiled({**spec, "concurrency": 256})).lag_p99_ns / 1e6
        title = f"schedule lag p99 at {share:.0%} of that rate"
        rows.append(Figure(title, lag, "ms", MOST_LAG_MILLISECONDS))
    return rows


def connections(url: str) -> list[Figure]:
    """Measure the maximum number of users of one thread, each with a connection, and 64 users for comparison."""
    usual, many = (
        run_plan(
            compiled({"url": url, "concurrency": users, "duration": f"{CONNECTION_SECONDS}s", "timeout_seconds": 30})
        )
        for users in (64, CONNECTIONS)
    )
    title = f"{CONNECTIONS:,} connections on one thread"
    return [
        Figure(f"{title}: not opened, or failed", CONNECTIONS - many.connections + many.not_ok, "", 0),
        Figure(f"{title}: requests", many.ok / many.seconds, "per second"),
        Figure(f"{title}: CPU per request against 64", _cpu_per_request(many) / _cpu_per_request(usual), "times"),
        Figure(f"{title}: memory for each", _per(many, usual, CONNECTIONS - 64) / 1e3, "kB"),
    ]


def memory(url: str) -> list[Figure]:
    """Measure the memory of `atm run` with few and with many endpoints, without history."""
    few, many = (_peak_of_command_line(url, endpoints) for endpoints in (3, ENDPOINTS))
    return [
        Figure("peak memory of `atm run`, 3 endpoints", few / 1e6, "MB", MOST_MEGABYTES),
        Figure("memory for each further endpoint", (many - few) / (ENDPOINTS - 3) / 1e3, "kB"),
    ]


def _peak_of_command_line(url: str, endpoints: int) -> int:
    spec = {
        "name": "memory",
        "endpoints": [{"name": f"endpoint {number}", "url": f"{url}&e={number}"} for number in range(endpoints)],
        "concurrency": 64,
        "duration": f"{ENDPOINT_SECONDS}s",
    }
    with tempfile.TemporaryDirectory(prefix="atm-memory-") as folder:
        document = Path(folder) / "spec.json"
        document.write_text(json.dumps(spec), encoding="utf-8")
        command = [_ATM, "run", document, "--engine", "native", "--json", "--quiet"]
        timed = ["taskset", "-c", str(CLIENT_CORE), sys.executable, "-c", _PEAK, *map(str, command)]
        environment = {"ATM_DATA_DIR": folder, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            timed, env=environment, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
        )
    if done.returncode != 0:
        raise MeasurementError(f"atm run ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return int(done.stdout)


_ATM = BIN / "atm"
_PEAK = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
sys.exit(0 if status in (0, 4) else status)  # 4: the measurement was judged invalid
"""


def _per(many: RunFigures, few: RunFigures, more: int) -> float:
    return (many.peak_memory_bytes - few.peak_memory_bytes) / more


def _cpu_per_request(run: RunFigures) -> float:
    return run.cpu_seconds / run.ok


def compiled(spec: dict[str, Any]) -> LoadPlan:
    """Compile a spec, with a constant seed so that every run sends the same requests."""
    return compile_plan({"name": "bench", "concurrency": 64, "seed": 1, **spec}, {}).plan


def run_plan(plan: LoadPlan, cores: Sequence[int] = (CLIENT_CORE,)) -> RunFigures:
    """Run a plan in a separate process on these cores, with a load thread for each of them."""
    return RunFigures(**json.loads(_run(plan, cores=cores).stdout))


def _run(plan: LoadPlan, *before: str, cores: Sequence[int] = (CLIENT_CORE,)) -> subprocess.CompletedProcess[str]:
    child = [sys.executable, "-m", "benches.native_engine", "child", str(len(cores))]
    command = ["taskset", "-c", ",".join(map(str, cores)), *before, *child]
    done = subprocess.run(
        command,
        input=plan.to_bytes().decode(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE_SECONDS,
    )
    if done.returncode != 0:
        raise MeasurementError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return done


def child(document: bytes, threads: int) -> RunFigures:
    """Run a plan in this process, without the command line."""
    import atm_engine

    run = atm_engine.Run(document, {}, threads=threads)
    ok = not_ok = most_connections = 0
    cpu = 0.0
    lag = Histogram()
    while (interval := run.next_interval(_PATIENCE_SECONDS)) is not None:
        second = Interval.from_bytes(interval)
        for endpoint in second.endpoints:
            ok += endpoint.ok
            not_ok += sum(endpoint.outcomes.values()) - endpoint.ok
        most_connections = max(most_connections, second.generator.open_connections)
        cpu += second.generator.cpu_seconds
        lag.merge(second.generator.schedule_lag)
    report = run.report()
    if report is None:
        raise MeasurementError("the engine did not report")
    ended = json.loads(report)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return RunFigures(ok, not_ok, most_connections, ended["window_end_ns"] / 1e9, cpu, lag.percentile(99) or 0, peak)


def raise_descriptors() -> None:
    """Let this process and its children open as many connections as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(asdict(child(sys.stdin.buffer.read(), int(sys.argv[2])))))
        sys.exit(0)
    sys.exit(main())
