"""`atm audit`: who did what, from the storage of this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.storage import on_storage
from atm.cli.text import Style
from atm.models.exit_code import ExitCode


def command(
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Only this key, account or schedule.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="Only this: key.revoke; or all of an object: run.")
    ] = None,
    object_id: Annotated[str | None, typer.Option("--object", metavar="ID", help="Only what was done to this.")] = None,
    since: Annotated[str | None, typer.Option("--since", metavar="SPAN", help="Only of the last 12h, 30d, …")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="At most so many.")] = 50,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List who changed what.

    Newest first: through the API, on the command line, by schedules and by the server. It reads the storage of this
    machine; `GET /api/v1/audit` is the same over the API, for admins.
    """
    from atm.cli.commands.db import span
    from atm.storage.access import AuditQuery

    ago = span(since, "--since")
    query = AuditQuery(
        actor=actor,
        action=action if action is None or "." in action else f"{action}.",
        object_id=object_id,
        since=datetime.now(UTC) - ago if ago is not None else None,
        limit=limit,
    )
    found = on_storage(lambda storage: storage.audit.page(query))
    output = Output.of(color, json=json)
    if json:
        from dataclasses import asdict

        output.document({"entries": [{**asdict(each), "at": each.at.isoformat()} for each in found]})
        return ExitCode.PASSED
    paper = output.out.paper
    lines = []
    for each in found:
        line = paper.line(f" {each.at:%Y-%m-%d %H:%M:%S}").to(22)
        line.add(paper.fitted(f"{each.actor} ({each.actor_kind})", 26)).to(49)
        line.add(paper.fitted(f"{each.action} {each.object_id}", 38)).to(88)
        line.add(each.outcome, Style.DIM if each.outcome == "done" else Style.WARN).to(97)
        lines.append(line.add(paper.fitted(f"{each.address} {each.detail}".strip(), 60), Style.DIM))
    output.out.lines(lines or [paper.line("nothing of this kind was done")])
    return ExitCode.PASSED
