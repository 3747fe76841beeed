"""`atm watch`: a run that goes on, as `atm run` shows it, and its report at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, RunArgument, ServerOption
from atm.cli.output import Color, Output
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History
    from atm.models.run import RunResult


def command(
    run: RunArgument,
    server: ServerOption = None,
    json: JsonOption = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print the verdicts only, and no progress.")] = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Follow a run until it ends, then show its report.

    Ends with the run's exit code. Ctrl-C leaves, and the run goes on.
    """
    from atm.cli.history import asked
    from atm.cli.run_output import finish

    output = Output.of(color, json=json, quiet=quiet)
    result = asked(server, lambda history: _followed(history, run, output))
    return ExitCode.INTERRUPTED if result is None else finish(result, output, {}, saved=True)


async def _followed(history: History, written: str, output: Output) -> RunResult | None:
    from atm.cli.history.base import resolved
    from atm.cli.remote_run import followed

    return await followed(history, await resolved(history, written), output, ours=False)
