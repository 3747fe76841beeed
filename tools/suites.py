"""Run all test suites in order, also after a failure, and print the time of each.

A suite is a list of commands. To add one, insert a `Suite` into `SUITES` before core. The last line has the format of
pytest's closing line, which CI reads. With `--prove` property tests run at full counts, and the output of each suite
is written to docs/proof/.

Usage: python -m tools.suites [--prove] [NAME ...]
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from tools import chromium, postgresql
from tools.repository import ROOT

PROOF = ROOT / "docs" / "proof"


@dataclass(frozen=True, slots=True)
class Suite:
    """Name and commands of a suite; `prove` replaces the commands under `--prove`."""

    name: str
    command: tuple[str, ...]
    prove: tuple[str, ...] = ()


# A failing test must not hide those of later crates.
_CARGO_TEST = (
    *("cargo", "test", "--quiet", "--no-fail-fast", "--locked", "--workspace"),
    *("--manifest-path", "native/Cargo.toml"),
)

_PYTEST = (sys.executable, "-u", "-m", "pytest")
_PROCESSES = f"--numprocesses={min(2 * (os.cpu_count() or 1) + 1, 9)}"
"""More processes than cores, as tests mostly wait; tests/distribution.py distributes the files."""
_PARALLEL = (_PROCESSES, "-p", "no:schemathesis")
"""Each process would take most of a second to import the plugin of schemathesis, which no test uses."""
_FEWER_PROCESSES = (f"--numprocesses={min((os.cpu_count() or 1) + 2, 9)}", *_PARALLEL[1:])
"""For agents and core: each process takes seconds to collect their small tests, and some tests look at the clock."""
_PATIENT = "--override-ini=timeout=1800"
_CONTROL = (
    # These start servers and databases, which is slow on a busy machine.
    "--override-ini=timeout=600",
    *(f"tests/{room}" for room in ("api", "client", "faults", "runs", "security", "storage")),
    *(f"tests/contract/test_{name}.py" for name in ("bundles", "storage", "storage_access", "storage_series")),
)
"""Tests of the control plane, which start servers, databases and runs."""
_AGENTS = (
    *(f"tests/{room}" for room in ("agent", "mcp_server", "notifications", "schedules")),
    "tests/contract/test_storage_schedules.py",
)
"""Tests of schedules, notifications and tools for LLM agents."""
_REST = tuple(f"--ignore={path}" for path in (*_CONTROL, *_AGENTS) if path.startswith("tests/"))
# Logic, and then the pages in a browser against a real server; `make lint` checks style and types.
_DASHBOARD = ("npm", "run", "--silent", "--prefix", "webapp", "suite")

SUITES: tuple[Suite, ...] = (
    # Rust tests need a toolchain; set-up prints a line if there is none.
    *((Suite("native", command=_CARGO_TEST),) if shutil.which("cargo") else ()),
    *((Suite("dashboard", command=_DASHBOARD),) if (ROOT / "webapp" / "node_modules").is_dir() else ()),
    Suite("control", command=(*_PYTEST, *_PARALLEL, *_CONTROL), prove=(*_PYTEST, *_CONTROL, _PATIENT)),
    Suite("agents", command=(*_PYTEST, *_FEWER_PROCESSES, *_AGENTS), prove=(*_PYTEST, *_AGENTS, _PATIENT)),
    Suite("core", command=(*_PYTEST, *_FEWER_PROCESSES, *_REST), prove=(*_PYTEST, _PATIENT, *_REST)),
)


@dataclass(slots=True)
class Outcome:
    """Result of a suite: `counts` are those of its closing line, if it printed one; `cpu` is the CPU time in seconds of
    its processes, except those that it left behind."""

    name: str
    status: int
    seconds: float
    counts: Counter[str] = field(default_factory=Counter)
    skips: list[str] = field(default_factory=list)
    cpu: float = 0.0


def run(suite: Suite, prove: bool) -> Outcome:
    """Run a suite and print its output as it arrives."""
    print(f"suite: {suite.name}", flush=True)
    command = suite.prove or suite.command if prove else suite.command
    environment = {
        **os.environ,
        "ATM_TEST_PYTHON": sys.executable,
        "ATM_TEST_CHROMIUM": chromium.browser() or "",
        "NO_COLOR": "1",
        "ATM_TEST_PROFILE": "prove" if prove else "test",
        "CARGO_TARGET_DIR": str(ROOT / "native" / "target"),
        "PROPTEST_CASES": "10000" if prove else "1000",
    }
    start, cpu = time.monotonic(), cpu_of_children()
    outcome = Outcome(suite.name, status=0, seconds=0)
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    record = open_record(suite.name) if prove else None
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if record is not None:
                record.write(line.replace(str(ROOT), "."))
            read_line(line.rstrip(), outcome)
    if record is not None:
        record.close()
    outcome.status = process.returncode
    outcome.seconds = time.monotonic() - start
    outcome.cpu = cpu_of_children() - cpu
    return outcome


def cpu_of_children() -> float:
    """Return the CPU time of all processes that this one has waited for, in seconds."""
    times = os.times()
    return times.children_user + times.children_system


def open_record(name: str) -> TextIO:
    """Create the file of a suite in docs/proof/, with a head: date, command and machine."""
    PROOF.mkdir(parents=True, exist_ok=True)
    describe = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(describe, cwd=ROOT, capture_output=True, text=True, check=True)
    record = (PROOF / f"{name}.txt").open("w", encoding="utf-8")
    record.write(f"make prove, suite {name}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip()}\n")
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    record.write(f"{machine}\n\n")
    return record


def read_line(line: str, outcome: Outcome) -> None:
    """Record a skipped test with its reason, or the counts of a closing line of pytest, vitest or cargo."""
    if line.startswith("SKIPPED ["):
        outcome.skips.append(line)
    elif re.fullmatch(r"=+ .* in [\d.]+s.* =+", line):
        found = re.findall(r"(\d+) ([a-z]+)", line.split(" in ")[0])
        outcome.counts = Counter({word: int(number) for number, word in found})
    elif vitest := re.fullmatch(r"\s+Tests\s+(\d+ \w+(?: \| \d+ \w+)*) \(\d+\)", line):
        # Vitest prints this for the unit tests and for the browser tests.
        for part in vitest[1].split(" | "):
            number, word = part.split()
            outcome.counts[word] += int(number)
    elif crate := re.match(r"test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", line):
        # Cargo prints this for each crate.
        for word, number in zip(("passed", "failed", "skipped"), crate.groups(), strict=True):
            outcome.counts[word] += int(number)


def closing_lines(outcomes: list[Outcome]) -> list[str]:
    """Return the end of the output: a line per suite, all skips, and one closing line in pytest's format."""
    lines = [
        f"suite: {each.name:14} {'FAILED' if each.status else 'ok'}  {each.seconds:.1f} s, CPU {each.cpu:.0f} s"
        for each in outcomes
    ]
    lines += [f"{skip}  ({each.name})" for each in outcomes for skip in each.skips]
    total = sum((each.counts for each in outcomes), start=Counter[str]())
    # A failed suite without counts must still show in the closing line.
    silent = [each for each in outcomes if each.status != 0 and not each.counts["failed"] + each.counts["error"]]
    total["failed"] += len(silent)
    summary = ", ".join(f"{number} {word}" for word, number in sorted(total.items()) if number)
    seconds = sum(each.seconds for each in outcomes)
    return [*lines, f" {summary or 'no tests'} in {seconds:.2f}s ".center(80, "=")]


def compile_tests() -> subprocess.Popen[bytes]:
    """Start to compile the tests of a new checkout, beside the first suites. Otherwise each process of pytest-xdist
    compiles all of them."""
    return subprocess.Popen(
        (*_PYTEST, "--collect-only", "-qq"), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )


def main(arguments: list[str]) -> int:
    names = [argument for argument in arguments if argument != "--prove"]
    unknown = set(names) - {suite.name for suite in SUITES}
    if unknown:
        print(f"error: no suite named {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    postgresql.main()
    chromium.main()
    compiler = None if (ROOT / "tests" / "__pycache__").exists() else compile_tests()
    outcomes = [run(suite, "--prove" in arguments) for suite in SUITES if not names or suite.name in names]
    if compiler is not None:
        compiler.wait()
    if len(outcomes) > 1:
        print(*closing_lines(outcomes), sep="\n", flush=True)
    return 0 if all(outcome.status == 0 for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
