"""The directory from which a server may run Python code. A process of its own finds out what a file has."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from atm import child_process
from atm.errors import DataError, Problem
from atm.models.own_metric import OwnMetric
from atm.plan.code_hooks import HookFile
from atm.plan.code_scenarios import CodeFunction, code_refused
from atm.plan.plan_decoder import decode

MOST_SECONDS = 20.0
"""Within which a file must be imported."""


class CodeDirectory:
    """Opens the files below a directory."""

    def __init__(self, directory: Path | None) -> None:
        """With None, no code may run."""
        self._directory = directory

    def open(self, text: str) -> CodeFunction:
        """Load `FILE.py:FUNCTION` in a process of its own. Raises DataError."""
        file, _, function = text.rpartition(":")
        base, inside = self._below(file)
        description = self._read(base, "code", f"{inside}:{function}")["function"]
        metrics = decode(tuple[OwnMetric, ...], description["metrics"])
        return CodeFunction(
            description["file"], description["function"], description["digest"], frozenset(description["data"]), metrics
        )

    def open_hooks(self, text: str) -> HookFile:
        """Load `FILE.py` with hooks in a process of its own. Raises DataError."""
        base, inside = self._below(text)
        return decode(HookFile, self._read(base, "hooks", inside)["hooks"])

    def _below(self, file: str) -> tuple[Path, str]:
        """Return the directory, and a file of it. Raises DataError for any other file."""
        if self._directory is None:
            raise code_refused("this server runs no Python code: its operator has not set ATM_CODE_DIR")
        base = self._directory.resolve()
        written = PurePosixPath(file)
        path = (base / file).resolve()
        if not file or written.is_absolute() or ".." in written.parts or not path.is_relative_to(base):
            what = f'the file "{file}" is not below the directory for code of this server'
            hint = "Name it relative to that directory: `code: shop.py:checkout`, `hooks: shop_hooks.py`"
            raise DataError(Problem(what, "code_not_allowed", hint=hint))
        return base, str(path.relative_to(base))

    def _read(self, base: Path, kind: Literal["code", "hooks"], text: str) -> dict[str, Any]:
        process = child_process.start(
            "atm.code.reader_process",
            str(base),
            kind,
            text,
            directory=base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        try:
            answer, _ = process.communicate(timeout=MOST_SECONDS)
            document = json.loads(answer)
        except (subprocess.TimeoutExpired, ValueError):
            process.kill()
            process.communicate()
            what = f"{text.partition(':')[0]} could not be imported within {MOST_SECONDS:.0f} s"
            raise DataError(Problem(what, "code_failed", hint="Import it yourself: `python FILE`")) from None
        if "problems" in document:
            raise DataError([Problem(**problem) for problem in document["problems"]])
        return dict(document)
