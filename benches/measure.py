"""Measurement tools of the benchmarks: CPU time of child processes, interleaved rounds, ratios, bars.

Clock rate and load of a machine drift during a benchmark. Every round therefore measures each subject once, directly
after one another; ratios are taken within a round, and the figure is their median. CPU time is user + system of the
whole process, in seconds.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
RESULTS = ROOT / "benches" / "results"


class MeasurementError(Exception):
    """A command could not be measured; the message contains the command and its output."""


def cpu_seconds(command: Sequence[str | Path], data_dir: str = "") -> float:
    """Return the CPU time of `command` from start to end, including children it waited for.

    `data_dir` is the data directory of the command, if it is not the user's.

    Raises `MeasurementError` if it fails, since a command that stops early appears fast.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **({"ATM_DATA_DIR": data_dir} if data_dir else {})},
    )
    assert process.stderr is not None
    with process.stderr:
        output = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        name = " ".join(map(str, command))
        raise MeasurementError(f"{name} ended with {process.returncode}: {output.strip()[-400:]}")
    return usage.ru_utime + usage.ru_stime


def cpu_seconds_so_far(pid: int) -> float:
    """Return the CPU time used so far by the process `pid` with all its threads, in nanosecond resolution (Linux).

    Reads the kernel's CPU clock of the process, whose id is derived from the process id: see clock_getcpuclockid(3).
    """
    return time.clock_gettime(~pid << 3 | 2)


def interleaved(subjects: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each subject once per round, after one discarded round (cold caches)."""
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, measure in subjects.items():
            figure = measure()
            if number > 0:
                samples[name].append(figure)
    return samples


@dataclass(frozen=True, slots=True)
class Row:
    """A measured ratio and its bar: median and range over all rounds; it holds if the median is at most the bar."""

    name: str
    seconds: float
    ratio: float
    lowest: float
    highest: float
    bar: float

    @property
    def holds(self) -> bool:
        return self.ratio <= self.bar


@dataclass(frozen=True, slots=True)
class Timing:
    """Wall times in milliseconds and their bar; it holds if the 95th percentile is at most the bar.

    The CPU time of the process distinguishes a slow response from a busy machine.
    """

    name: str
    p50_ms: float
    p95_ms: float
    highest_ms: float
    cpu_p50_ms: float
    bar_ms: float

    @property
    def holds(self) -> bool:
        return self.p95_ms <= self.bar_ms

    @classmethod
    def of(cls, name: str, seconds: Sequence[float], cpu_seconds: Sequence[float], bar_ms: float) -> Timing:
        """Create from samples in seconds."""
        ranked = sorted(seconds)
        p95 = ranked[max(0, -(-95 * len(ranked) // 100) - 1)]
        cpu = statistics.median(cpu_seconds) * 1000
        return cls(name, statistics.median(ranked) * 1000, p95 * 1000, ranked[-1] * 1000, cpu, bar_ms)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number with its unit and its maximum; without a bar it is informational."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def holds(self) -> bool:
        return self.bar is None or self.value <= self.bar


def figures(rows: Sequence[Figure]) -> str:
    """Format the rows as a text table."""
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        verdict = "" if row.bar is None else f"   at most {row.bar:,g}: {'ok' if row.holds else 'MISSED'}"
        lines.append(f"{row.name:{width}}  {row.value:12,.2f} {row.unit}{verdict}")
    return "\n".join(lines)


def timing_table(rows: Sequence[Timing]) -> str:
    """Format the rows as a text table."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}   p50 ms   p95 ms   max ms   cpu ms   bar"]
    for row in rows:
        verdict = "ok" if row.holds else "MISSED"
        figures = f"{row.p50_ms:8.2f} {row.p95_ms:8.2f} {row.highest_ms:8.2f} {row.cpu_p50_ms:8.2f}"
        lines.append(f"{row.name:{width}} {figures} {row.bar_ms:5g}  {verdict}")
    return "\n".join(lines)


def against(samples: Mapping[str, Sequence[float]], baseline: str, bars: Mapping[str, float]) -> list[Row]:
    """Return a row for each subject with a bar: its figure divided by that of `baseline` in the same round."""
    rows = []
    for name, bar in bars.items():
        ratios = [figure / base for figure, base in zip(samples[name], samples[baseline], strict=True)]
        median = statistics.median(ratios)
        rows.append(Row(name, statistics.median(samples[name]), median, min(ratios), max(ratios), bar))
    return rows


def table(rows: Sequence[Row], baseline: str) -> str:
    """Format the rows as a text table, in milliseconds of CPU time."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}     CPU ms   x {baseline} (range)            bar"]
    for row in rows:
        ratio = f"{row.ratio:5.2f} ({row.lowest:.2f} to {row.highest:.2f})"
        verdict = "ok" if row.holds else "MISSED"
        lines.append(f"{row.name:{width}}  {row.seconds * 1000:9.1f}   {ratio:28} {row.bar:5g}  {verdict}")
    return "\n".join(lines)


def keep(bench: str, samples: Mapping[str, Sequence[float]], rows: Sequence[Row | Timing | Figure]) -> Path:
    """Write all samples, the rows and the machine to results/`bench`.json, and return the path."""
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    document = {
        "bench": bench,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit.stdout.strip() or None,
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "rows": [{**asdict(row), "holds": row.holds} for row in rows],
        "samples_seconds": {name: list(figures) for name, figures in samples.items()},
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{bench}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def processor() -> str | None:
    """Return the model name of the processor (Linux), or None."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
