"""Output after a run: the report or JSON document, result files, GitHub annotations, and the exit code.

A failed output does not prevent the others; failures are listed on stderr at the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from atm.cli.files import Writer, write_whole
from atm.cli.output import Output
from atm.cli.report import report_lines
from atm.errors import OutputError, Problem
from atm.models.exit_code import ExitCode, first_of
from atm.models.run import RunResult


def finish(result: RunResult, output: Output, files: Mapping[Path, Writer], *, saved: bool = False) -> int:
    """Print the result, write the files and GitHub's summary, and return the exit code.

    `saved`: the run is in the history, so the report mentions `atm show`.
    """
    problems = _show(result, output, saved=saved)
    if output.github:
        problems += _write_github(result, output)
    problems += _write(result, output, files)
    return first_of([ExitCode(result.verdict.exit_code), _reported(problems, output)])


def show(
    result: RunResult, output: Output, files: Mapping[Path, Writer], *, saved: bool, everything: bool = False
) -> ExitCode:
    """Print the result and write the files; return PASSED, or OUTPUT_FAILED if an output could not be written."""
    problems = _show(result, output, saved=saved, everything=everything)
    return _reported(problems + _write(result, output, files), output)


def write_files(result: RunResult, output: Output, files: Mapping[Path, Writer]) -> ExitCode:
    """Write the files only; return PASSED, or OUTPUT_FAILED if one could not be written."""
    return _reported(_write(result, output, files), output)


def _show(result: RunResult, output: Output, *, saved: bool, everything: bool = False) -> list[Problem]:
    if output.json:
        text = _document(result, output.out.paper.unicode)
        return _problems_of(lambda: output.out.write(text))
    lines = report_lines(result, output.out.paper, quiet=output.quiet, saved=saved, everything=everything)
    return _problems_of(lambda: output.out.lines(lines))


def _write(result: RunResult, output: Output, files: Mapping[Path, Writer]) -> list[Problem]:
    problems: list[Problem] = []
    for path, render in files.items():
        failed = _problems_of(partial(_render_to, path, render, result))
        problems += failed
        if not failed and not output.quiet and not output.json:
            output.err.lines([output.err.paper.line(f" wrote {path}")])
    return problems


def _render_to(path: Path, render: Writer, result: RunResult) -> None:
    write_whole(path, render(result))


def _problems_of(write: Callable[[], None]) -> list[Problem]:
    try:
        write()
    except OutputError as error:
        return list(error.problems)
    return []


def _reported(problems: list[Problem], output: Output) -> ExitCode:
    # Not `output.problems`: with --json, stdout already has its document.
    output.failures(problems)
    return ExitCode.OUTPUT_FAILED if problems else ExitCode.PASSED


def _document(result: RunResult, unicode: bool) -> str:
    if unicode:
        return result.model_dump_json(indent=2) + "\n"
    return json.dumps(result.model_dump(mode="json"), indent=2) + "\n"


def _write_github(result: RunResult, output: Output) -> list[Problem]:
    from atm.reports.github import workflow_commands
    from atm.reports.markdown import render_markdown

    # With --json, stdout is reserved for the document; the runner also reads workflow commands from stderr.
    surface = output.err if output.json else output.out
    problems = _problems_of(lambda: surface.write(workflow_commands(result)))
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return problems
    try:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(render_markdown(result))
    except OSError as error:
        what = f"cannot write the step summary: {error.strerror or error}"
        problems.append(Problem(what, "unwritable", path="GITHUB_STEP_SUMMARY", place=path))
    return problems
