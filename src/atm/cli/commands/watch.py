"""`atm watch`: a run that goes on, as if it were here."""

from __future__ import annotations

import asyncio

from atm.cli.commands.show import RunArgument
from atm.cli.door import ServerOption, find_run, open_door
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.models.exit_code import ExitCode


def command(
    run: RunArgument = "last",
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Watch a run until it ends, then show its report. Ctrl-C leaves it; the run goes on."""
    return asyncio.run(_watch(server, run, Output.of(color, json=json)))


async def _watch(server: str | None, start: str, output: Output) -> int:
    from atm.cli.finish import finish
    from atm.cli.following import Following

    async with open_door(server) as door:
        run = await door.run(await find_run(door, start))
        if await Following(door, run, output, steers=False).follow() is None:
            return ExitCode.PASSED
        return finish(await door.result(run.id), output, {})
