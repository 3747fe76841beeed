"""Compares the locked packages with the advisories that are known of them, with each ecosystem's own tool.

Needs the network, so it is no part of lint and test. Exits with 1 when an advisory applies, and with 2 when the data of
an ecosystem could not be had, which says nothing about its packages.

Usage: python -m tools.audit
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tools.repository import ROOT

PIP_AUDIT = "pip-audit@2.10.1"
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Audit:
    """One ecosystem."""

    name: str
    command: tuple[str, ...]
    directory: Path
    found: str
    """Pattern in the tool's answer when it compared packages and an advisory applies."""
    install: str
    """How to get the tool."""


def audits() -> tuple[Audit, ...]:
    """All ecosystems."""
    uv = str(ROOT / ".venv/bin/uv")
    locked = ("-r", "requirements/ray.txt", "--require-hashes", "--disable-pip", "--strict")
    return (
        Audit("Python", (uv, "tool", "run", PIP_AUDIT, *locked), ROOT, r"^found \d+ known vulnerabilit", "make setup"),
        Audit(
            "Rust",
            ("cargo", "audit", "--file", "native/Cargo.lock"),
            ROOT,
            r"\d+ vulnerabilit",
            "cargo install --locked cargo-audit",
        ),
        Audit("npm", ("npm", "audit", "--package-lock-only"), ROOT / "webapp", r"^severity:", "https://nodejs.org"),
    )


def outcome(audit: Audit) -> tuple[int, str]:
    """0, 1 or 2 as the exit code says, and a line about it."""
    if shutil.which(audit.command[0]) is None:
        return 2, f"not compared: {audit.command[0]} is missing ({audit.install})"
    try:
        done = subprocess.run(
            audit.command, cwd=audit.directory, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return 2, f"not compared: no answer within {_SECONDS} s"
    said = (done.stdout + done.stderr).strip()
    if done.returncode == 0:
        return 0, "no known advisory applies"
    if re.search(audit.found, said, re.IGNORECASE | re.MULTILINE):
        return 1, f"advisories apply\n{said}"
    lines = said.splitlines() or ["it said nothing"]
    last = next((line for line in lines if "error" in line.lower()), lines[-1])
    if "no such command" in said:
        last = f"{' '.join(audit.command[:2])} is missing ({audit.install})"
    return 2, f"not compared, as the advisories could not be had: {last}"


def main() -> int:
    """Compare all; the worst exit code."""
    codes = []
    for audit in audits():
        code, line = outcome(audit)
        codes.append(code)
        print(f"audit: {audit.name}: {line}", flush=True)
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
