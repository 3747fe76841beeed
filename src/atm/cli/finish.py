"""After a run: the report or the document, the files, what CI wants, and the exit code."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from atm.cli.files import Writer, write_whole
from atm.cli.output import Output
from atm.cli.report import report_lines
from atm.models.run import RunResult


def finish(result: RunResult, output: Output, files: Mapping[Path, Writer], *, saved: bool = False) -> int:
    """Show and write the result; returns the exit code. Raises OutputError when something cannot be written.

    `saved` is whether the history has it, so that the report may name `atm show`.
    """
    show(result, output, files, saved=saved)
    if output.github:
        _tell_github(result, output)
    return result.verdict.exit_code


def show(
    result: RunResult, output: Output, files: Mapping[Path, Writer], *, saved: bool, everything: bool = False
) -> None:
    """The report or the document, and the files. Raises OutputError when something cannot be written."""
    if output.json:
        output.out.write(_document(result, output.out.paper.unicode))
    else:
        output.out.lines(report_lines(result, output.out.paper, quiet=output.quiet, saved=saved, everything=everything))
    for path, render in files.items():
        write_whole(path, render(result))
        if not output.quiet and not output.json:
            output.err.lines([output.err.paper.line(f" wrote {path}")])


def _document(result: RunResult, unicode: bool) -> str:
    if unicode:
        return result.model_dump_json(indent=2) + "\n"
    return json.dumps(result.model_dump(mode="json"), indent=2) + "\n"


def _tell_github(result: RunResult, output: Output) -> None:
    from atm.reports.github import step_summary, workflow_commands

    # With --json stdout is the document's; the runner reads workflow commands from stderr as well.
    (output.err if output.json else output.out).write(workflow_commands(result))
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as summary:
            summary.write(step_summary(result))
