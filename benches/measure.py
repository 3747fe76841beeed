"""How the benchmarks measure: CPU time of child processes, rounds that interleave, ratios, bars.

Frequency and load of a machine drift while a benchmark runs. So every round measures each subject once, right after
one another; a ratio is taken within a round, and the figure is the median of those. CPU time is user + system of the
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
    """A command could not be measured; the message says which and what it printed."""


def cpu_seconds(command: Sequence[str | Path], data_dir: str = "") -> float:
    """CPU time of `command` from its start to its end, children it waited for included.

    `data_dir` is the data directory of the command, where it is not the user's own.

    Raises `MeasurementError` when it fails: a command that stops early is fast for the wrong reason.
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
        said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise MeasurementError(f"{' '.join(map(str, command))} ended with {process.returncode}: {said.strip()[-400:]}")
    return usage.ru_utime + usage.ru_stime


def cpu_seconds_so_far(pid: int) -> float:
    """CPU time that the running process `pid` has used, all its threads together, to the nanosecond (Linux).

    The kernel gives each process a clock whose number is made from the process id: see clock_getcpuclockid(3).
    """
    return time.clock_gettime(~pid << 3 | 2)


def interleaved(subjects: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each subject once per round, after one round that is thrown away (cold caches)."""
    samples: dict[str, list[float]] = {name: [] for name in subjects}
    for number in range(rounds + 1):
        for name, measure in subjects.items():
            figure = measure()
            if number > 0:
                samples[name].append(figure)
    return samples


@dataclass(frozen=True, slots=True)
class Row:
    """One measured ratio against its bar: the median over all rounds, and the range; it holds when at most the bar."""

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
class Answer:
    """How long something took (wall time, milliseconds) against its bar; it holds when the 95th percentile does.

    The CPU time of the process beside it tells a slow answer from a busy machine.
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
    def of(cls, name: str, seconds: Sequence[float], cpu_seconds: Sequence[float], bar_ms: float) -> Answer:
        """From samples in seconds."""
        ranked = sorted(seconds)
        p95 = ranked[max(0, -(-95 * len(ranked) // 100) - 1)]
        cpu = statistics.median(cpu_seconds) * 1000
        return cls(name, statistics.median(ranked) * 1000, p95 * 1000, ranked[-1] * 1000, cpu, bar_ms)


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number in its unit, and the most that it may be; without a bar it is only told."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def holds(self) -> bool:
        return self.bar is None or self.value <= self.bar


def figures(rows: Sequence[Figure]) -> str:
    """The rows as people read them."""
    width = max(len(row.name) for row in rows)
    lines = []
    for row in rows:
        verdict = "" if row.bar is None else f"   at most {row.bar:,g}: {'ok' if row.holds else 'MISSED'}"
        lines.append(f"{row.name:{width}}  {row.value:12,.2f} {row.unit}{verdict}")
    return "\n".join(lines)


def answers(rows: Sequence[Answer]) -> str:
    """The rows as people read them."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}   p50 ms   p95 ms   max ms   cpu ms   bar"]
    for row in rows:
        verdict = "ok" if row.holds else "MISSED"
        figures = f"{row.p50_ms:8.2f} {row.p95_ms:8.2f} {row.highest_ms:8.2f} {row.cpu_p50_ms:8.2f}"
        lines.append(f"{row.name:{width}} {figures} {row.bar_ms:5g}  {verdict}")
    return "\n".join(lines)


def against(samples: Mapping[str, Sequence[float]], baseline: str, bars: Mapping[str, float]) -> list[Row]:
    """A row for each subject that has a bar: its figure divided by that of `baseline` in the same round."""
    rows = []
    for name, bar in bars.items():
        ratios = [figure / base for figure, base in zip(samples[name], samples[baseline], strict=True)]
        median = statistics.median(ratios)
        rows.append(Row(name, statistics.median(samples[name]), median, min(ratios), max(ratios), bar))
    return rows


def table(rows: Sequence[Row], baseline: str) -> str:
    """The rows as people read them, in milliseconds of CPU time."""
    width = max(len(row.name) for row in rows)
    lines = [f"{'':{width}}     CPU ms   x {baseline} (range)            bar"]
    for row in rows:
        ratio = f"{row.ratio:5.2f} ({row.lowest:.2f} to {row.highest:.2f})"
        verdict = "ok" if row.holds else "MISSED"
        lines.append(f"{row.name:{width}}  {row.seconds * 1000:9.1f}   {ratio:28} {row.bar:5g}  {verdict}")
    return "\n".join(lines)


def keep(bench: str, samples: Mapping[str, Sequence[float]], rows: Sequence[Row | Answer | Figure]) -> Path:
    """Write every sample, the rows and what they were measured on to results/`bench`.json; returns its path."""
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
    """The model name of the processor as Linux tells it, None where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
