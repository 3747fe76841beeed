"""Measure the native engine on two cores against one: requests/s with a load thread and a minimal server on each core.

On one core, thread and server share core 0. On two cores there are two threads of one run, and a server pinned to
each core. Every user sends to two origins in turn, so that in both cases a thread sends to all servers, with as many
connections per core. All cores are full in both cases, so twice the requests/s of one core is what two can do.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
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
_CASES = {"one core": (0,), "two cores": (0, 1)}


def main() -> int:
    if sys.platform != "linux" or load_native_engine() is None:
        print("error: this benchmark needs Linux and the native engine (`atm doctor` says why it is not there)")
        return 2
    try:
        install.install("responder")
        samples = interleaved({name: lambda cores=cores: rate(cores) for name, cores in _CASES.items()}, ROUNDS)  # type: ignore[misc]
    except (MeasurementError, NotInstalledError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    one, two = samples["one core"], samples["two cores"]
    lost = [(1 - both / (2 * single)) * 100 for single, both in zip(one, two, strict=True)]
    rows = [
        Figure("one core: requests", statistics.median(one), "per second"),
        Figure("two cores: requests", statistics.median(two), "per second"),
        Figure("two cores: requests/s below twice those of one", statistics.median(lost), "%", MOST_PERCENT_LOST),
        Figure("the least of the rounds", min(lost), "%"),
        Figure("the most of the rounds", max(lost), "%"),
    ]
    print(figures(rows))
    print(f"samples: {keep('two_cores', {}, rows).relative_to(ROOT)}")
    return 0 if all(row.holds for row in rows) else 1


def rate(cores: tuple[int, ...]) -> float:
    """Return the requests/s of a run with a load thread and a server on each of these cores."""
    program = install.path_of("responder")
    with ExitStack() as stack:
        ports = [stack.enter_context(Responder(program, core)).port(Protocol.HTTP1) for core in cores]
        hosts = [f"127.0.0.1:{port}" for port in ports]
        if len(cores) == 1:
            # Another name of the server is another origin, with connections of its own.
            hosts.append(f"localhost:{ports[0]}")
        endpoints = [{"name": host, "url": f"http://{host}{_PATH}"} for host in hosts]
        load = {"endpoints": endpoints, "concurrency": USERS_PER_CORE * len(cores), "duration": f"{SECONDS}s"}
        found: RunFigures = run_plan(compiled(load), cores)
    if found.not_ok:
        raise MeasurementError(f"{found.not_ok} requests failed")
    return found.ok / found.seconds


if __name__ == "__main__":
    sys.exit(main())
