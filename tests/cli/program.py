"""The program with a history of its own: within this process, where that is as good, or in one of its own."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from atm.cli.main import main

_LEFT_OUT = ("CI", "GITHUB_ACTIONS", "FORCE_COLOR", "ATM_NO_HISTORY", "ATM_API_URL", "ATM_API_KEY")


def environment(data_dir: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What the program sees: the history is in `data_dir`."""
    plain = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    return {**plain, "COLUMNS": "80", "ATM_DATA_DIR": str(data_dir), **(more or {})}


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def atm(data_dir: Path, *arguments: str, given: bytes = b"", more: Mapping[str, str] | None = None) -> Said:
    """Run a command to its end, in this process: what it imports is imported once for all tests."""
    with (
        mock.patch.dict(os.environ, environment(data_dir, more), clear=True),
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") as out,
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") as err,
        io.TextIOWrapper(io.BytesIO(given)) as stdin,
        mock.patch.object(sys, "stdin", stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(arguments)
        out.flush()
        err.flush()
        return Said(code, _written(out), _written(err))


def _written(stream: io.TextIOWrapper) -> str:
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()


def started(data_dir: Path, *arguments: str, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "atm", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(data_dir, more),
    )
