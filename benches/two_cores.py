"""Measure the native engine on two cores against one: requests/s with a load thread and a minimal server on each core.

On one core, thread and server share core 0. On two cores there are two threads of one run, and a server pinned to
each core. Every user sends to two origins in turn, so that in both cases a thread sends to all servers, with as many
connections per core. All cores are full in both cases, so twice the requests/s of one core is what two can do.

Two controls run in the same rounds, each with two processes of one thread, pinned to a core each. With a server of its
own, a process shares nothing with the other but the machine. With both servers, half of its requests cross to the other
core, as those of two threads do. What two threads lose beyond this control is the engine's own loss, which has the bar.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from atm.engine.native_engine import load_native_engine
from benches.measure import ROOT, Figure, MeasurementError, figures, interleaved, keep
from benches.native_engine import RunFigures, compiled, run_plan
from benches.peers import install
from benches.peers.command import Protocol
from benches.peers.install import NotInstalledError
from benches.peers.responder import Responder

ROUNDS = 5
SECONDS = 4
USERS_PER_CORE = 64
MOST_PERCENT_LOST = 5
_PATH = "/users/4711?page=1"

# The processes of a case: the cores on which each has a load thread, and the cores of the servers that it sends to.
Processes = Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
ONE, THREADS, CONTROL = "one core", "two threads", "two processes, both servers"
CASES: dict[str, Processes] = {
    ONE: [((0,), (0,))],
    THREADS: [((0, 1), (0, 1))],
    "two processes, own servers": [((0,), (0,)), ((1,), (1,))],
    CONTROL: [((0,), (0, 1)), ((1,), (0, 1))],
}


def main() -> int:
    if sys.platform != "linux" or load_native_engine() is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    cpu: dict[str, list[float]] = {name: [] for name in CASES}
    try:
        install.install("responder")
        samples = interleaved(
            {name: lambda name=name: rate(CASES[name], cpu[name]) for name in CASES},  # type: ignore[misc]
            ROUNDS,
        )
    except (MeasurementError, NotInstalledError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    rows = compared(samples, {name: costs[1:] for name, costs in cpu.items()})
    print(figures(rows))
    print(f"samples: {keep('two_cores', {}, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def compared(samples: dict[str, list[float]], cpu: dict[str, list[float]]) -> list[Figure]:
    """Compare the requests/s and the CPU time per request of each case with those of one core, round by round."""
    one = samples[ONE]
    rows = [Figure(f"{ONE}: requests", statistics.median(one), "per second")]
    for name in list(samples)[1:]:
        lost = [(1 - both / (2 * single)) * 100 for single, both in zip(one, samples[name], strict=True)]
        more = [(both / single - 1) * 100 for single, both in zip(cpu[ONE], cpu[name], strict=True)]
        rows += [
            Figure(f"{name}: requests", statistics.median(samples[name]), "per second"),
            Figure(f"{name}: requests/s below twice those of one", statistics.median(lost), "%"),
            Figure(f"{name}: the least of the rounds", min(lost), "%"),
            Figure(f"{name}: the most of the rounds", max(lost), "%"),
            Figure(f"{name}: CPU time per request, threads and servers, above one core", statistics.median(more), "%"),
        ]
    beyond = [(1 - own / control) * 100 for own, control in zip(samples[THREADS], samples[CONTROL], strict=True)]
    rows.append(Figure(f"{THREADS}: requests/s below {CONTROL}", statistics.median(beyond), "%", MOST_PERCENT_LOST))
    return rows


def rate(processes: Processes, costs: list[float]) -> float:
    """Return the requests/s of a case, and append the CPU time per request of load threads and servers to `costs`."""
    program = install.path_of("responder")
    with ExitStack() as stack:
        cores = sorted({core for _, servers in processes for core in servers})
        responders = {core: stack.enter_context(Responder(program, core)) for core in cores}
        ports = {core: responder.port(Protocol.HTTP1) for core, responder in responders.items()}
        pool = stack.enter_context(ThreadPoolExecutor(len(processes)))
        before = sum(responder.count().cpu_seconds for responder in responders.values())
        pending = [pool.submit(_run, threads, [ports[core] for core in servers]) for threads, servers in processes]
        runs = [future.result() for future in pending]
        served = sum(responder.count().cpu_seconds for responder in responders.values()) - before
    if failed := sum(run.not_ok for run in runs):
        raise MeasurementError(f"{failed} requests failed")
    costs.append((served + sum(run.cpu_seconds for run in runs)) / sum(run.ok for run in runs))
    return sum(run.ok / run.seconds for run in runs)


def _run(cores: tuple[int, ...], ports: list[int]) -> RunFigures:
    hosts = [f"127.0.0.1:{port}" for port in ports]
    if len(hosts) == 1:
        # Another name of the server is another origin, with connections of its own.
        hosts.append(f"localhost:{ports[0]}")
    endpoints = [{"name": host, "url": f"http://{host}{_PATH}"} for host in hosts]
    load = {"endpoints": endpoints, "concurrency": USERS_PER_CORE * len(cores), "duration": f"{SECONDS}s"}
    return run_plan(compiled(load), cores)


if __name__ == "__main__":
    sys.exit(main())
