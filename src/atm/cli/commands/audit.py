"""`atm audit`: the audit log in the storage of this machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from atm.cli.options import OutputOptions
from atm.cli.storage import on_storage
from atm.cli.text import Style
from atm.models.exit_code import ExitCode


def command(
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="Only entries of this key, account or schedule.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", metavar="ACTION", help="Only this action (key.revoke), or all on one kind of object (run)."
        ),
    ] = None,
    object_id: Annotated[
        str | None, typer.Option("--object", metavar="ID", help="Only entries about this object.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="SPAN", help="Only entries of the last 12h, 30d, …")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="Show at most N entries.")] = 50,
    *,
    output: OutputOptions,
) -> int:
    """List entries of the audit log, newest first.

    Covers changes over the API, on the command line, by schedules and by the server. Reads the storage of this machine;
    admins get the same entries from `GET /api/v1/audit`.
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
    entries = on_storage(lambda storage: storage.audit.page(query))
    if output.json:
        from dataclasses import asdict

        output.document({"entries": [{**asdict(entry), "at": entry.at.isoformat()} for entry in entries]})
        return ExitCode.PASSED
    paper = output.out.paper
    lines = []
    for entry in entries:
        line = paper.line(f" {entry.at:%Y-%m-%d %H:%M:%S}").to(22)
        line.add(paper.fitted(f"{entry.actor} ({entry.actor_kind})", 26)).to(49)
        line.add(paper.fitted(f"{entry.action} {entry.object_id}", 38)).to(88)
        line.add(entry.outcome, Style.DIM if entry.outcome == "done" else Style.WARN).to(97)
        lines.append(line.add(paper.fitted(f"{entry.address} {entry.detail}".strip(), 60), Style.DIM))
    output.out.lines(lines or [paper.line("no matching entries")])
    return ExitCode.PASSED
