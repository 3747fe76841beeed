"""The open model on a server that is frozen for 2 s: printed times of the first step and of iterations, against truth.

Iterations are due at even distances. The server records when it answered each request of each iteration, so the true
times follow in closed form: from the due time of the iteration to the answer to its first request, and to its last.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atm.testing import TargetServer
from atm.testing.target_server.record import RequestRow
from benches.flow import REQUESTS
from benches.measure import BIN, Figure, MeasurementError
from benches.peers.closed_rows import CLIENT_CPU
from benches.peers.command import Command
from benches.peers.paced_rows import target_on_its_core, wait_for_first
from benches.peers.processes import ClientProcess
from benches.peers.tool_output import percentile

RATE = 200
SECONDS = 10
PAUSE_AFTER_SECONDS = 4.0
PAUSE_SECONDS = 2.0
MOST_PERCENT = 1.0
PERCENTILES = {"p90": 90.0, "p99": 99.0, "maximum": 100.0}
_STEPS = ("list", "open", "order")
_GRACE_SECONDS = 60.0


def spec(base_url: str) -> dict[str, Any]:
    """Return the journey on the target server, whose requests carry the number of their iteration."""
    extracts: tuple[dict[str, Any], ...] = ({"extract": {"seen": "$.method"}}, {"extract": {"at": "$.target"}}, {})
    steps = [
        {
            "GET": f"/echo?as={name}",
            "name": name,
            "headers": {"X-Request-Number": "{{iteration}}"},
            "checks": ["status == 200"],
            **extract,
        }
        for name, extract in zip(_STEPS, extracts, strict=True)
    ]
    return {
        "name": "pause",
        "base_url": base_url,
        "seed": 1,
        "load": {"rate": RATE},
        "duration": f"{SECONDS}s",
        "scenarios": {"shop": {"steps": steps}},
    }


def measure() -> list[Figure]:
    """Run the journey once, and compare. Raises MeasurementError if the run or the record is not complete."""
    with TargetServer() as target, tempfile.TemporaryDirectory(prefix="atm-flow-") as folder:
        target_on_its_core(target)
        scratch = Path(folder)
        (scratch / "spec.json").write_text(json.dumps(spec(target.url)), encoding="utf-8")
        options = ("--engine", "native", "--json", "--quiet", "--no-history")
        # 4: on a busy machine the measurement is judged as invalid; the times are compared anyway.
        command = Command((str(BIN / "atm"), "run", "spec.json", *options), good_statuses=(0, 4))
        with ClientProcess(command, CLIENT_CPU, scratch) as process:
            wait_for_first(process, target)
            time.sleep(PAUSE_AFTER_SECONDS)
            target.pause(PAUSE_SECONDS).wait()
            report = json.loads(process.wait(SECONDS + _GRACE_SECONDS))
        rows = target.record()
    first, last = true_times(rows)
    said_first, said_last = printed(report)
    figures = []
    for subject, said, truth in (("first step", said_first, first), ("iteration", said_last, last)):
        for name, percent in PERCENTILES.items():
            true_ms = percentile(truth, percent)
            off = abs(said[name] / true_ms - 1) * 100
            figures.append(Figure(f"2 s pause: {subject} {name} off the closed form", off, "%", MOST_PERCENT))
    return figures


def true_times(rows: Sequence[RequestRow]) -> tuple[list[float], list[float]]:
    """Return the true times of first steps and of iterations in ms, sorted.

    Raises MeasurementError if one is missing.
    """
    due = RATE * SECONDS
    by_step: list[dict[int, RequestRow]] = [
        {row.client_number: row for row in rows if row.route == name and row.client_number is not None}
        for name in _STEPS
    ]
    if len(rows) != due * REQUESTS or any(sorted(found) != list(range(1, due + 1)) for found in by_step):
        raise MeasurementError(f"the server recorded {len(rows)} requests, {due * REQUESTS} were due")
    gap = 1e9 / RATE
    # No request arrives before it is due, and the least late one is late by microseconds.
    begin = min(row.arrived_ns - (number - 1) * gap for number, row in by_step[0].items())

    def times(answers: Mapping[int, RequestRow]) -> list[float]:
        waits = []
        for number, row in answers.items():
            if row.answered_ns is None:
                raise MeasurementError(f"the server has not answered iteration {number}")
            waits.append((row.answered_ns - begin - (number - 1) * gap) / 1e6)
        return sorted(waits)

    return times(by_step[0]), times(by_step[-1])


def printed(report: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Return the percentiles of the first step and of iterations in ms, as `atm run --json` prints them."""
    first = next(one for one in report["endpoint_metrics"] if one["name"] == f"shop/{_STEPS[0]}")
    iteration = report["scenarios"][0]["iteration_time"]
    return (
        {"p90": first["latency_p90_ms"], "p99": first["latency_p99_ms"], "maximum": first["latency_max_ms"]},
        {"p90": iteration["p90_ms"], "p99": iteration["p99_ms"], "maximum": iteration["max_ms"]},
    )
