"""`atm cancel`: end a run that goes on, or take back one that waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.commands.show import RunArgument
from atm.cli.door import ServerOption, find_run, open_door
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.models.control import RunAccepted


def command(
    run: RunArgument,
    graceful: Annotated[bool, typer.Option("--graceful", help="Let what is in flight finish.")] = False,
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Ask a run to end. One that waits is cancelled at once; one that has ended stays as it is."""
    output = Output.of(color, json=json)
    answer = asyncio.run(_cancel(server, run, graceful))
    if json:
        output.out.write(answer.model_dump_json(indent=2) + "\n")
    else:
        output.out.lines([output.out.paper.line(f" {answer.id[:6]}  {answer.message}")])
    return ExitCode.PASSED


async def _cancel(server: str | None, run: str, graceful: bool) -> RunAccepted:
    async with open_door(server) as door:
        return await door.cancel(await find_run(door, run), graceful=graceful)
