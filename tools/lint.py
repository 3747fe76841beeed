"""Run every check, also after a failure, and print one line for each.

Usage: python -m tools.lint
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.repository import ROOT

BIN = Path(sys.executable).parent

CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("style", [str(BIN / "ruff"), "check", "--quiet"]),
    ("format", [str(BIN / "ruff"), "format", "--check", "--quiet"]),
    ("types", [str(BIN / "mypy"), "--no-error-summary"]),
    ("import arrows", [str(BIN / "lint-imports")]),
    ("generated files", [sys.executable, "-m", "tools.generate", "--check"]),
    ("locks and paths", [sys.executable, "-m", "tools.guard"]),
    ("wording", [sys.executable, "-m", "tools.wording"]),
)

_CARGO = ("--locked", "--manifest-path", str(ROOT / "native" / "Cargo.toml"))
_NPM = ["npm", "run", "--silent", "--prefix", "webapp"]
DASHBOARD_CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("dashboard", [*_NPM, "static"]),
    ("dashboard types", [*_NPM, "types", "--", "--check"]),
)
_STUBS = [sys.executable, "-m", "mypy.stubtest", "atm_engine"]
NATIVE_CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("Rust format", ["cargo", "fmt", "--check", "--all", *_CARGO[1:]]),
    ("Rust style", ["cargo", "clippy", "--quiet", "--all-targets", *_CARGO, "--", "-D", "warnings"]),
)


def checks() -> Iterator[tuple[str, list[str]]]:
    """Yield the checks that can run on this machine: those of the native engine need a Rust toolchain, those of
    the dashboard its packages."""
    yield from CHECKS
    if shutil.which("cargo"):
        yield from NATIVE_CHECKS
    else:
        print("lint: no Rust toolchain, so native/ is not checked", flush=True)
    if (ROOT / "webapp" / "node_modules").is_dir():
        yield from DASHBOARD_CHECKS
    else:
        print("lint: webapp/node_modules is missing, so the dashboard is not checked", flush=True)
    if importlib.util.find_spec("atm_engine"):
        yield "native stubs", _STUBS


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a check: `output` is what it printed."""

    name: str
    status: int
    seconds: float
    output: str


def run(check: tuple[str, list[str]]) -> Outcome:
    name, command = check
    start = time.monotonic()
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "CARGO_TARGET_DIR": str(ROOT / "native" / "target")},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return Outcome(name, result.returncode, time.monotonic() - start, result.stdout + result.stderr)


def main() -> int:
    failed = False
    # Two at a time: most checks keep one core busy.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for outcome in pool.map(run, checks()):
            word = "FAILED" if outcome.status else "ok"
            print(f"lint: {outcome.name:16} {word}  {outcome.seconds:4.1f} s", flush=True)
            if outcome.status:
                failed = True
                print(outcome.output, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
