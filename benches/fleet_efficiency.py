"""CPU time that a run on two processes adds to what two runs that know nothing of each other take.

The commands are those of a user, each measured from start to end with its workers; the CPU time of the same command
with hardly any requests is subtracted. Requests are those that the target counted. On a machine of two cores the target
shares them with both senders, so two senders take more CPU for a request than one, whatever they are: two runs without
a fleet and two wrk show how much. The fleet's own efficiency is therefore measured against two separate runs of half of
the load each, in the same round.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benches.measure import ROOT, Figure, MeasurementError
from benches.nginx import Nginx

ENGINES = ("native", "asyncio")
SERVER_CORE = 1
SECONDS = 4
ROUNDS = 5
LEAST_EFFICIENCY = 0.95
FEW_REQUESTS = 8
USERS = 32
"""Of each sender when all cores are full; at a rate the most requests in flight, so that few connections are opened."""
FEW_USERS = 4
RATES = {"native": 20_000, "asyncio": 12_000}
"""With these, one sender takes about half of a core, so that the cores are not contended."""

Commands = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """A load, and the options with which one run sends the part of one process and that of both."""

    name: str
    part: tuple[str, ...]
    whole: tuple[str, ...]
    one_sends_the_whole: bool
    """What the fleet is compared with: one process that sends all of the load; else it sends the part."""


def cases(engine: str) -> list[Case]:
    """Return the loads of an engine."""
    rate = RATES[engine]
    return [
        Case("all cores full", ("-c", str(USERS)), ("-c", str(2 * USERS)), False),
        Case(
            f"{rate:,} requests/s",
            ("-r", str(rate // 2), "-c", str(USERS)),
            ("-r", str(rate), "-c", str(2 * USERS)),
            True,
        ),
        Case(f"{FEW_USERS} users", ("-c", str(FEW_USERS // 2)), ("-c", str(FEW_USERS)), True),
    ]


def rows(samples: dict[str, list[float]]) -> list[Figure]:
    """Measure all loads of both engines, and wrk if it is installed."""
    found: list[Figure] = []
    with Nginx(SERVER_CORE) as nginx:
        for engine in ENGINES:
            run = (sys.executable, "-m", "atm", "run", f"http://127.0.0.1:{nginx.port}/users/4711?page=1")
            always = (*run, "--engine", engine, "--quiet", "--no-fail", "--no-history")
            fixed = _fixed_seconds(always)
            for case in cases(engine):
                found += _compared(nginx, f"{engine}, {case.name}", case, always, fixed, samples)
        found += _wrk(nginx, samples)
    return found


def _fixed_seconds(always: tuple[str, ...]) -> tuple[float, float]:
    """Return the CPU time of starting and ending a run, and one on two processes."""
    few = (*always, "-n", str(FEW_REQUESTS), "-c", "2")
    return (
        statistics.median(_cpu_seconds([few]) for _ in range(ROUNDS)),
        statistics.median(_cpu_seconds([(*few, "--processes", "2")]) for _ in range(ROUNDS)),
    )


def _compared(
    nginx: Nginx,
    title: str,
    case: Case,
    always: tuple[str, ...],
    fixed: tuple[float, float],
    samples: dict[str, list[float]],
) -> list[Figure]:
    length = ("-z", f"{SECONDS}s")
    part, whole = (*always, *length, *case.part), (*always, *length, *case.whole)
    subjects: Mapping[str, tuple[Commands, float]] = {
        "one run": ([whole if case.one_sends_the_whole else part], fixed[0]),
        "two separate runs": ([part, part], 2 * fixed[0]),
        "one run on two processes": ([(*whole, "--processes", "2")], fixed[1]),
    }
    costs: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, (commands, start_seconds) in subjects.items():
            costs[name].append(_seconds_per_request(nginx, commands, start_seconds))
    for name, found in costs.items():
        samples[f"{title}, {name}: CPU for a request"] = found
    one, separate, fleet = costs.values()
    times = f"{title}: CPU time per request"
    return [
        Figure(
            f"{times}, two processes of one run against two separate runs",
            _ratio(fleet, separate),
            "times",
            1 / LEAST_EFFICIENCY,
        ),
        Figure(f"{times}, two processes of one run against one process", _ratio(fleet, one), "times"),
        Figure(f"{times}, two separate runs against one", _ratio(separate, one), "times"),
    ]


def _wrk(nginx: Nginx, samples: dict[str, list[float]]) -> list[Figure]:
    """Compare two wrk with one when all cores are full; nothing without wrk."""
    program = shutil.which("wrk")
    if program is None:
        print("fleet: wrk is not compared: it is not installed (apt-get install wrk)")
        return []
    url = f"http://127.0.0.1:{nginx.port}/users/4711?page=1"
    command = (program, "-t1", f"-c{USERS}", f"-d{SECONDS}s", url)
    one, two = [], []
    for _ in range(ROUNDS):
        one.append(_seconds_per_request(nginx, [command], 0.0))
        two.append(_seconds_per_request(nginx, [command, command], 0.0))
    samples |= {"wrk, one: CPU for a request": one, "wrk, two: CPU for a request": two}
    return [Figure("wrk, all cores full: CPU time per request, two against one", _ratio(two, one), "times")]


def _ratio(those: Sequence[float], these: Sequence[float]) -> float:
    """Return the median of the ratios within each round."""
    return statistics.median(that / this for that, this in zip(those, these, strict=True))


def _seconds_per_request(nginx: Nginx, commands: Commands, start_seconds: float) -> float:
    before = nginx.requests()
    spent = _cpu_seconds(commands) - start_seconds
    return spent / (nginx.requests() - before - 1)


def _cpu_seconds(commands: Commands) -> float:
    """Run commands at the same time, and return the CPU time of all with the processes that they started."""
    started = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
        for command in commands
    ]
    spent = 0.0
    for process in started:
        assert process.stderr is not None
        with process.stderr:
            said = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise MeasurementError(f"{process.args!r} ended with {process.returncode}: {said.strip()[-400:]}")
        spent += usage.ru_utime + usage.ru_stime
    return spent
