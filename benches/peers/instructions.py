"""Count instructions per request with `perf stat`, on machines with hardware counters.

Unlike CPU time they do not drift with the clock rate, so use them to detect regressions. Many virtual machines have no
counters; the rows then say so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from benches.measure import MeasurementError

_EVENTS = "instructions:u,instructions:k,duration_time"


@dataclass(frozen=True, slots=True)
class Instructions:
    """Instructions retired by processes in `seconds`, in user space and in the kernel."""

    user: float
    kernel: float
    seconds: float


def count(pids: Sequence[int], seconds: float) -> Instructions:
    """Count the instructions of running processes. Raises MeasurementError if that is not possible."""
    program = shutil.which("perf")
    if program is None:
        raise MeasurementError("perf is not installed (Debian: linux-perf)")
    command = [program, "stat", "--json-output", "--event", _EVENTS, "--pid", ",".join(map(str, pids))]
    result = subprocess.run(
        [*command, "--", "sleep", f"{seconds:g}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 20,
    )
    if result.returncode != 0:
        raise MeasurementError(f"perf stat ended with {result.returncode}: {result.stderr.strip()[-200:]}")
    return parse(result.stderr)


def parse(output: str) -> Instructions:
    """Parse the output of `perf stat --json-output`: one JSON object per line and event."""
    values: dict[str, float] = {}
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        name, value = event["event"].partition(":"), event["counter-value"]
        try:
            values[name[2] or name[0]] = float(value)
        except ValueError as error:
            raise MeasurementError(f"this machine does not count {event['event']}: {value}") from error
    try:
        return Instructions(values["u"], values["k"], values["duration_time"] / 1e9)
    except KeyError as error:
        raise MeasurementError(f"perf stat said nothing about {error}") from error
