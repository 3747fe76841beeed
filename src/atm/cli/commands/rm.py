"""`atm rm`: delete runs and their history."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from atm.cli.door import ServerOption, find_run, open_door
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.models.exit_code import ExitCode


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs, or their starts.")],
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Delete runs with all their history. One that is running must be cancelled first."""
    output = Output.of(color, json=json)
    deleted = asyncio.run(_delete(server, runs))
    if json:
        output.document({"deleted": deleted})
    else:
        output.out.lines([output.out.paper.line(f" deleted {run_id}") for run_id in deleted])
    return ExitCode.PASSED


async def _delete(server: str | None, starts: list[str]) -> list[str]:
    async with open_door(server) as door:
        # All are found before any is deleted: a slip in one deletes none.
        found = [await find_run(door, start) for start in starts]
        for run_id in found:
            await door.delete(run_id)
    return found
