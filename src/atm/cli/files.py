"""Result files: paths are checked before the run, files are written atomically after it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from atm.errors import OutputError, Problem, SpecError

if TYPE_CHECKING:
    from atm.models.run import RunResult


def _json(result: RunResult) -> str:
    return result.model_dump_json(indent=2) + "\n"


def _csv(result: RunResult) -> str:
    from atm.reports.csv import render_csv

    return render_csv(result)


def _html(result: RunResult) -> str:
    from atm.reports.html import render_html

    return render_html(result)


def _markdown(result: RunResult) -> str:
    from atm.reports.markdown import render_markdown

    return render_markdown(result)


def _pdf(result: RunResult) -> bytes:
    from atm.reports.pdf import render_pdf

    return render_pdf(result)


def _junit(result: RunResult) -> str:
    from atm.reports.junit import render_junit

    return render_junit(result)


Writer = Callable[["RunResult"], str | bytes]
WRITERS: Mapping[str, Writer] = {".json": _json, ".csv": _csv, ".html": _html, ".md": _markdown, ".pdf": _pdf}
"""Renderer of `-o` by file name suffix."""


def checked_outputs(outputs: Sequence[str], junit: str | None) -> dict[Path, Writer]:
    """Map each output file to its renderer. Raises SpecError with every problem, before the run starts."""
    writers: dict[Path, Writer] = {}
    problems: list[Problem] = []
    for name in outputs:
        path = Path(name)
        writer = WRITERS.get(path.suffix.lower())
        if writer is None:
            suffixes = ", ".join(WRITERS)
            what = f"{name} has no known file name suffix"
            problems.append(Problem(what, "unknown_format", path="--output", hint=f"Use one of {suffixes}"))
        else:
            writers[path] = writer
            problems += _unwritable(path, "--output")
    if junit is not None:
        writers[Path(junit)] = _junit
        problems += _unwritable(Path(junit), "--junit")
    if problems:
        raise SpecError(problems)
    return writers


def _unwritable(path: Path, flag: str) -> list[Problem]:
    if path.is_dir():
        return [Problem(f"{path} is a directory", "unwritable", path=flag, hint="Name a file in it")]
    if not path.parent.is_dir():
        hint = f"`mkdir -p {path.parent}`"
        return [Problem(f"directory {path.parent} does not exist", "unwritable", path=flag, hint=hint)]
    try:
        _part_of(path).open("xb").close()
    except OSError as error:
        return [Problem(f"cannot write {path}: {error.strerror or error}", "unwritable", path=flag)]
    _part_of(path).unlink()
    return []


def _part_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically. Raises OutputError if it cannot be written."""
    part = _part_of(path)
    try:
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(Problem(f"cannot write {path}: {error.strerror or error}", "unwritable")) from error
