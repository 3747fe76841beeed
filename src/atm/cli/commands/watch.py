"""`atm watch`: follow a run with the live view of `atm run`, then print its report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import OutputOptions, RunArgument, ServerOption
from atm.cli.output import Output
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History
    from atm.models.run import RunResult


def command(
    run: RunArgument,
    server: ServerOption = None,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print only the verdicts, without progress.")] = False,
    *,
    output: OutputOptions,
) -> int:
    """Follow a run until it ends, then print its report.

    Returns the run's exit code. Ctrl-C stops watching; the run continues.
    """
    from atm.cli.history import with_history
    from atm.cli.run_output import finish

    output = replace(output, quiet=quiet)
    result = with_history(server, lambda history: _follow(history, run, output))
    return ExitCode.INTERRUPTED if result is None else finish(result, output, {}, saved=True)


async def _follow(history: History, reference: str, output: Output) -> RunResult | None:
    from atm.cli.history.base import resolve_run
    from atm.cli.remote_run import follow_run

    return await follow_run(history, await resolve_run(history, reference), output, owned=False)
