"""`atm run`: run a load test from a spec or a URL; print the report, write files, set the exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import NoHistoryOption, OutputOptions
from atm.cli.output import Output
from atm.cli.request_options import COMMON, RESULT, LoadOptions, RequestOptions, RunOptions, overrides_of
from atm.cli.specs import compile_document, document_of, is_folder
from atm.plan.compile import CompiledTest

if TYPE_CHECKING:
    from atm.models.run import RunResult
    from atm.plan.document import SpecDocument


def command(
    specs: Annotated[
        list[str],
        typer.Argument(
            metavar="SPEC|URL|-",
            help="YAML, JSON or Python file, URL, folder, - for stdin; several run one by one.",
        ),
    ],
    *,
    load: LoadOptions,
    request: RequestOptions,
    tasks: RunOptions,
    file_names: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write FILE.json, .csv, .html, .md or .pdf; repeatable.",
            rich_help_panel=COMMON,
        ),
    ] = None,
    junit: Annotated[
        str | None,
        typer.Option("--junit", metavar="FILE", help="Write the verdicts as JUnit XML.", rich_help_panel=RESULT),
    ] = None,
    quiet: Annotated[
        bool,
        typer.Option("-q", "--quiet", help="Print only the verdicts, without progress.", rich_help_panel=RESULT),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 4 for a suspect measurement, too.", rich_help_panel=RESULT),
    ] = False,
    no_fail: Annotated[
        bool, typer.Option("--no-fail", help="Exit with 0 instead of 99, 4 or 3.", rich_help_panel=RESULT)
    ] = False,
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            envvar="ATM_API_URL",
            metavar="URL",
            help="Run on this server; '' runs locally.",
            rich_help_panel=RESULT,
        ),
    ] = None,
    no_history: NoHistoryOption = False,
    output: OutputOptions,
) -> int:
    """Run a load test from a spec file or straight from a URL.

    Options override the spec. By default 10 users send 100 requests. Ctrl-C stops and reports, twice quits at once.
    Several specs run one after the other; of a folder, all its YAML files. Ctrl-C skips the rest. Files of -o get the
    name of each test.
    """
    from atm.cli.files import checked_outputs

    overrides = overrides_of("-" if "-" in specs else specs[0], load, request, tasks)
    output = replace(output, quiet=quiet)
    if len(specs) > 1 or is_folder(specs[0]):
        from atm.cli.batch import BatchEntry, compiled, expanded, for_server, run_batch

        files = checked_outputs(file_names or (), None)
        checked_outputs((), junit)

        def execute(entry: BatchEntry) -> tuple[RunResult, bool]:
            if entry.test is None:
                return _run_there(entry.document, output, server or "", strict=strict, no_fail=no_fail)
            return _run_here(entry.test, output, strict=strict, no_fail=no_fail, history=not no_history)

        sources = expanded(specs)
        entries = for_server(sources, overrides) if server else compiled(sources, overrides)
        return run_batch(entries, output, execute, Path(junit) if junit else None, files)
    files = checked_outputs(file_names or (), junit)
    with output.code_prints():
        document = document_of(specs[0], overrides)
        if server:
            result, saved = _run_there(document, output, server, strict=strict, no_fail=no_fail)
        else:
            test = compile_document(document)
            result, saved = _run_here(test, output, strict=strict, no_fail=no_fail, history=not no_history)
    # Slow to import, and not needed before the first request.
    from atm.cli.run_output import finish

    return finish(result, output, files, saved=saved)


def _run_here(
    test: CompiledTest, output: Output, *, strict: bool, no_fail: bool, history: bool
) -> tuple[RunResult, bool]:
    from atm.cli.local_run import run_locally

    if not output.quiet:
        for note in test.notes:
            output.note(note)
    return run_locally(test, output, strict=strict, no_fail=no_fail, history=history)


def _run_there(
    document: SpecDocument, output: Output, server: str, *, strict: bool, no_fail: bool
) -> tuple[RunResult, bool]:
    from atm.cli.remote_run import run_on_server

    return run_on_server(document, output, server, strict=strict, no_fail=no_fail), True
