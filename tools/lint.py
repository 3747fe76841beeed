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
_DASHBOARD_TYPES = ["npm", "run", "--silent", "--prefix", "webapp", "types", "--", "--check"]
_STUBS = [sys.executable, "-m", "mypy.stubtest", "atm_engine"]
NATIVE_CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("Rust format", ["cargo", "fmt", "--check", "--all", *_CARGO[1:]]),
    ("Rust style", ["cargo", "clippy", "--quiet", "--all-targets", *_CARGO, "--", "-D", "warnings"]),
)


def checks() -> Iterator[tuple[str, list[str]]]:
    """Yield the checks that can run on this machine: those of the native engine need a Rust toolchain, that of the
    types generated from openapi.json the packages of the dashboard."""
    yield from CHECKS
    if shutil.which("cargo"):
        yield from NATIVE_CHECKS
    else:
        print("lint: no Rust toolchain, so native/ is not checked", flush=True)
    if (ROOT / "webapp" / "node_modules").is_dir():
        yield "dashboard types", _DASHBOARD_TYPES
    else:
        print("lint: webapp/node_modules is missing, so the dashboard's types are not checked", flush=True)
    if importlib.util.find_spec("atm_engine"):
        yield "native stubs", _STUBS


def main() -> int:
    failed = False
    for name, command in checks():
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
        seconds = time.monotonic() - start
        print(f"lint: {name:16} {'ok' if result.returncode == 0 else 'FAILED'}  {seconds:4.1f} s", flush=True)
        if result.returncode != 0:
            failed = True
            print(result.stdout + result.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
