"""Runs every check, all of them even when one fails, and says in one line each how it went.

Usage: python -m tools.lint
"""

from __future__ import annotations

import subprocess
import sys
import time
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
)


def main() -> int:
    failed = False
    for name, command in CHECKS:
        start = time.monotonic()
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        seconds = time.monotonic() - start
        print(f"lint: {name:16} {'ok' if result.returncode == 0 else 'FAILED'}  {seconds:4.1f} s", flush=True)
        if result.returncode != 0:
            failed = True
            print(result.stdout + result.stderr, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
