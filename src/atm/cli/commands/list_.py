"""`atm list`: the runs there are, newest first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.door import ServerOption, open_door
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.text import Line, Paper, Style
from atm.models import figures
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.models.control import RunList, RunSummaryView


def command(
    name: Annotated[str | None, typer.Option("--name", metavar="TEXT", help="Exactly this name.")] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TEXT", help="With this tag.")] = None,
    status: Annotated[str | None, typer.Option("--status", metavar="WORD", help="running, completed, …")] = None,
    text: Annotated[str | None, typer.Option("--text", metavar="TEXT", help="Somewhere in name or URL.")] = None,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", help="At most so many.")] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List runs, newest first: of this machine's history, or of a server."""
    output = Output.of(color, json=json)
    page = asyncio.run(_page(server, name=name, tag=tag, status=status, text=text, limit=limit))
    if json:
        output.out.write(page.model_dump_json(indent=2) + "\n")
    elif not page.runs:
        output.out.lines([output.out.paper.line(" no runs: ").hint("`atm run URL` makes one")])
    else:
        output.out.lines(_line(run, output.out.paper) for run in page.runs)
    return ExitCode.PASSED


async def _page(server: str | None, **filters: Any) -> RunList:
    from atm.cli.door import checked_filters

    async with open_door(server) as door:
        return await door.runs(**checked_filters(filters))


def _line(run: RunSummaryView, paper: Paper) -> Line:
    signs = paper.signs
    sign, style = {
        True: (signs.passed, Style.PASS),
        False: (signs.failed, Style.FAIL),
        None: (signs.warning if run.status == "failed" else " " * signs.width, Style.WARN),
    }[run.passed]
    line = paper.line(" ").add(sign, style).add(f" {run.id[:6]}", Style.BOLD).add(f"  {run.created_at:%m-%d %H:%M}")
    line = line.add(f"  {run.status.value:9}").add(f"  {figures.time(run.latency_p95_ms):>8} p95")
    return line.add(f"  {figures.rate(run.requests_per_second):>7}/s").add(f"  {run.name}")
