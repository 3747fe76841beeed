"""`atm status`: what is running, what waits, and where the history is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from atm.cli.door import ServerOption, open_door
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.text import Style
from atm.models import figures
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.models.control import RunSummaryView, StorageStatusView


def command(
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Say what is running, what waits for its turn, and how much history there is and where."""
    output = Output.of(color, json=json)
    storage, active = asyncio.run(_status(server))
    if json:
        runs = [run.model_dump(mode="json") for run in active]
        output.document({"storage": storage.model_dump(mode="json"), "active": runs})
        return ExitCode.PASSED
    paper = output.out.paper
    lines = [
        paper.line(f" {storage.kind}", Style.BOLD).add(f"  {storage.location}  {figures.size(storage.size_bytes)}")
    ]
    counts = ", ".join(f"{figures.count(count)} {status.value}" for status, count in storage.runs.items() if count)
    lines.append(paper.line(f" {counts or 'no runs'}"))
    for run in active:
        done = f"{figures.count(run.requests_completed)} requests so far" if run.status == "running" else "waits"
        lines.append(paper.line(f" {run.id[:6]}", Style.BOLD).add(f"  {run.status.value:8} {done}  {run.name}"))
    output.out.lines(lines)
    return ExitCode.PASSED


async def _status(server: str | None) -> tuple[StorageStatusView, list[RunSummaryView]]:
    async with open_door(server) as door:
        running = await door.runs(status="running")
        pending = await door.runs(status="pending")
        return await door.storage_status(), [*running.runs, *reversed(pending.runs)]
