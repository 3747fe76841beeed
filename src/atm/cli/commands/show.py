"""`atm show`: the report of a run again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.door import ServerOption, find_run, open_door
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output

if TYPE_CHECKING:
    from atm.models.run import RunResult

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="The id of a run, its start, or `last`.")]


def command(
    run: RunArgument = "last",
    server: ServerOption = None,
    output_files: Annotated[
        list[str] | None, typer.Option("-o", "--output", metavar="FILE", help="Write FILE.json, .csv or .html.")
    ] = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Show the report of a run again; exits as that run did."""
    from atm.cli.files import checked_outputs
    from atm.cli.finish import finish

    files = checked_outputs(output_files or (), None)
    result = asyncio.run(_result(server, run))
    return finish(result, Output.of(color, json=json), files)


async def _result(server: str | None, run: str) -> RunResult:
    async with open_door(server) as door:
        return await door.result(await find_run(door, run))
