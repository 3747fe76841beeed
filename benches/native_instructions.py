"""Compare two versions of the native engine: user-space instructions per request of a load thread, in both load models.

Needs cargo and valgrind only, so that a change can be held against the state before it without installing either. For
each load model the engine sends few and then many requests to a target in another process; the difference, divided by
the difference in requests, leaves out what a run costs once. On a busy machine a count drifts by up to one percent, as
the loop then waits more often: the least of some counts is what to compare.

    python -m benches native_instructions                     # this working copy
    python -m benches.native_instructions PATH/TO/native      # another copy of native/, to compare with
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benches.measure import MeasurementError

_NATIVE = Path(__file__).resolve().parents[1] / "native"
_THREAD = "loadgen::worker::Worker::run"
"""The function of a load thread; work of the collector is not counted."""

REQUESTS = {"closed": (2_000, 22_000), "open": (200, 3_200)}
"""Load model and the requests of the two runs of a pair."""

COUNTS = 3
USERS = 16.0
RATE = 200.0
"""Arrivals a second of the open model: low enough that none waits, although valgrind slows execution 50 times."""


def plan(plan_format: int, model: str, port: int, total: int) -> bytes:
    """Return a plan with one constant GET: `USERS` users, or `RATE` arrivals/s. No samples, as they depend on times.

    In format 1, of engines without scenarios, a plan has one load, later one for each of its lanes.
    """
    level = USERS if model == "closed" else RATE
    step = {
        "endpoint": 0,
        "origin": 0,
        "method": "GET",
        "target": [{"part": "literal", "text": "/"}],
        "headers": [{"name": "Host", "value": [{"part": "literal", "text": f"127.0.0.1:{port}"}]}],
        "body": None,
        "expected_statuses": [[200, 299]],
        "checks": [],
        "timeout_ns": 10**10,
    }
    document: dict[str, Any] = {
        "format": plan_format,
        "name": "instructions",
        "seed": 1,
        "endpoints": ["e"],
        "origins": [{"scheme": "http", "host": "127.0.0.1", "port": port, "addresses": ["127.0.0.1"]}],
        "flows": [{"name": "e", "weight": 1, "steps": [step]}],
        "graceful_stop_ns": 10**10,
        "sampling": {"first_per_endpoint": 0, "failures_per_kind": 0, "slowest": 0, "body_bytes": 0},
    }
    load = {
        "model": model,
        "segments": [{"start": level, "end": level, "duration_ns": None}],
        "warm_up_ns": 0,
        "warm_up_level": 0.0,
        "arrival": "even",
        "on_saturation": "queue",
        "catch_up": "full",
        "catch_up_max_ns": 10**11,
        "max_in_flight": None if model == "closed" else 10,
        "max_rate": None,
    }
    lane = {"selection": "round_robin", "load": load, "duration_ns": None}
    if plan_format == 1:
        document |= {**lane, "total_requests": total}
    else:
        document["lanes"] = [{**lane, "name": "instructions", "flows": [0], "total": total, "start_ns": 0}]
    return json.dumps(document).encode()


def format_of(native: Path) -> int:
    """Return the format of the plans that an engine reads. Raises MeasurementError if its source does not say it."""
    source = (native / "loadgen/src/plan/mod.rs").read_text(encoding="utf-8")
    found = re.search(r"^pub const PLAN_FORMAT: u32 = (\d+);$", source, re.MULTILINE)
    if found is None:
        raise MeasurementError(f"{native} does not say which format of plans it reads")
    return int(found[1])


def programs(native: Path) -> Path:
    """Return the directory of the examples built by cargo."""
    return Path(os.environ.get("CARGO_TARGET_DIR", native / "target")) / "release/examples"


def instructions(native: Path, model: str, port: int, total: int) -> tuple[int, int]:
    """Return the instructions of the load thread over a whole run, and the number of requests sent: on a busy machine
    some arrivals are still waiting at the end. Raises MeasurementError if they cannot be counted.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        path.write_bytes(plan(format_of(native), model, port, total))
        command = ["valgrind", "--tool=callgrind", f"--toggle-collect={_THREAD}*", "--callgrind-out-file=/dev/null"]
        drive = programs(native) / "drive"
        result = subprocess.run(
            [*command, str(drive), str(path), "1"], capture_output=True, text=True, check=False, timeout=600
        )
    collected = re.search(r"Collected\s*:\s*(\d+)", result.stderr)
    if result.returncode != 0 or collected is None:
        raise MeasurementError(f"valgrind ended with {result.returncode}: {result.stderr.strip()[-300:]}")
    started = re.search(r"^started (\d+)$", result.stdout, re.MULTILINE)
    if started is None:
        raise MeasurementError(f"the engine did not say how many requests it sent: {result.stdout.strip()[-300:]}")
    return int(collected[1]), int(started[1])


def per_request(native: Path, model: str, port: int, few: int, many: int) -> float:
    """Return the instructions per request, from the difference between two runs."""
    (before, sent), (after, sent_in_all) = (instructions(native, model, port, total) for total in (few, many))
    return (after - before) / (sent_in_all - sent)


@contextmanager
def target(native: Path) -> Iterator[int]:
    """Start a target in a separate process; yield its port."""
    with subprocess.Popen([programs(native) / "answer"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def main(native: Path = _NATIVE) -> int:
    if shutil.which("valgrind") is None:
        print("error: valgrind is not installed (Debian: apt-get install valgrind)", file=sys.stderr)
        return 2
    build = [
        "cargo",
        "build",
        "--quiet",
        "--release",
        "--locked",
        "-p",
        "loadgen",
        "--example",
        "drive",
        "--example",
        "answer",
    ]
    subprocess.run(build, cwd=native, check=True)
    with target(native) as port:
        for model, (few, many) in REQUESTS.items():
            counts = [per_request(native, model, port, few, many) for _ in range(COUNTS)]
            print(f"{model}: {min(counts):,.1f} instructions per request, the least of", end=" ")
            print(", ".join(f"{count:,.1f}" for count in counts), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
