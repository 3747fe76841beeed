"""`atm rm`: delete runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, ServerOption
from atm.cli.output import Color, Output
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History


def command(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="The beginnings of their ids as far as they are unique.")
    ],
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Delete runs with all their seconds and samples.

    A run that goes on must be cancelled first. Nothing is deleted when one of several is not there.
    """
    from atm.cli.history import asked

    deleted = asked(server, lambda history: _deleted(history, runs))
    output = Output.of(color, json=json)
    if json:
        output.document({"deleted": deleted})
    else:
        output.out.lines(output.out.paper.line(f"deleted {run_id}") for run_id in deleted)
    return ExitCode.PASSED


async def _deleted(history: History, written: list[str]) -> list[str]:
    from atm.cli.history.base import resolved

    found = list(dict.fromkeys([await resolved(history, each) for each in written]))
    for run_id in found:
        await history.delete(run_id)
    return found
