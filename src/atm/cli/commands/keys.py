"""`atm keys`: who may ask a server. Keys are made where its storage is; only their hashes are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.parsing import PlainCommand, PlainGroup
from atm.cli.storage import change_storage, on_storage
from atm.cli.text import Line, Paper, Style
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.storage import StorageInterface
    from atm.storage.api_keys import ApiKey

ROLES = ("viewer", "operator", "admin")
app = typer.Typer(cls=PlainGroup, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _keys() -> None:
    """Make, list and revoke the API keys of a server."""


@app.command("create", cls=PlainCommand)
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what will use it: ci, grafana, anna.")],
    role: Annotated[
        str,
        typer.Option("--role", metavar="ROLE", help="viewer (look), operator (start, delete) or admin (also keys)."),
    ] = "operator",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="SPAN", help="It opens nothing after that: 90d, 12h.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", metavar="ADDRESS", help="It opens only to clients there: 10.1.0.0/16. Repeatable."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="TAG", help="It starts and changes only what carries this tag. Repeatable."),
    ] = None,
    runs_per_hour: Annotated[
        int | None, typer.Option("--runs-per-hour", metavar="N", min=1, help="The most runs that it may start.")
    ] = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Make a key and print it, this once.

    With the first key the server answers nobody without one. Run it on the server's machine, with its settings.
    """
    from atm.cli.commands.db import span
    from atm.storage.api_keys import KeyLimits, Role, new_api_key

    if role not in ROLES:
        raise SpecError(
            Problem(f"there is no role {role!r}", "bad_value", path="--role", hint=f"One of {', '.join(ROLES)}")
        )
    limits = KeyLimits(span(expires, "--expires"), tuple(tag or ()), tuple(network or ()), runs_per_hour)
    try:
        record, key = new_api_key(name, Role(role), datetime.now(UTC), limits)
    except ValueError as error:
        raise SpecError(Problem(str(error), "bad_value", path="NAME")) from error
    change_storage(
        lambda storage: storage.keys.add(record), "key.create", lambda _: (record.id, f"{record.name} ({role})")
    )
    output = Output.of(color, json=json)
    if json:
        output.document({"id": record.id, "name": record.name, "role": role, "key": key})
        return ExitCode.PASSED
    # The key alone on stdout, so that `KEY=$(atm keys create ci)` works.
    output.out.write(f"{key}\n")
    paper = output.err.paper
    output.err.lines([paper.line(f" {record.name} may now {_MAY[role]}; it is not shown again", Style.DIM)])
    return ExitCode.PASSED


_MAY = {
    "viewer": "look at everything",
    "operator": "look, start, change and delete",
    "admin": "do everything, and make and revoke keys",
}


@app.command("list", cls=PlainCommand)
def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Revoked ones too.")] = False,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List the keys by name; never the keys themselves, which nobody knows any more."""
    found = [key for key in on_storage(lambda storage: storage.keys.all()) if every or key.revoked_at is None]
    output = Output.of(color, json=json)
    if json:
        output.document({"keys": [_document(key) for key in found]})
    elif not found:
        is_closed = on_storage(lambda storage: storage.keys.is_closed())
        what = "there is no key in use; the server answers " + ("nobody: " if is_closed else "its own account only: ")
        output.out.lines([output.out.paper.line(what).hint("`atm keys create NAME`")])
    else:
        output.out.lines(_lines(found, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


@app.command("revoke", cls=PlainCommand)
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id.")],
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Revoke a key: within two seconds it, its sessions and its streams open nothing any more.

    After the last one nobody is let in, until there is another one, or `atm keys release`.
    """
    key = change_storage(lambda storage: _revoked(storage, name), "key.revoke", lambda key: (key.id, key.name))
    output = Output.of(color, json=json)
    if json:
        output.document({"id": key.id, "name": key.name})
    else:
        output.out.lines([output.out.paper.line(f"revoked {key.name}")])
    return ExitCode.PASSED


@app.command("release", cls=PlainCommand)
def release(
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Let processes of the server's account in without a key again, once all keys are revoked."""
    change_storage(lambda storage: storage.keys.release(datetime.now(UTC)), "installation.release")
    output = Output.of(color, json=json)
    if json:
        output.document({"released": True})
    else:
        what = "the server answers its own account on its own machine without a key again"
        output.out.lines([output.out.paper.line(what)])
    return ExitCode.PASSED


@app.command("sessions", cls=PlainCommand)
def sessions(
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="End this one.")] = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List the browsers that are signed in, or end one of their sessions within two seconds."""
    from atm.cli.listing import age

    now = datetime.now(UTC)
    if end is not None:
        change_storage(lambda storage: storage.sessions.end(end, now), "session.end", lambda _: (end, ""))
    found = [each for each in on_storage(lambda storage: storage.sessions.all()) if each.expires_at > now]
    output = Output.of(color, json=json)
    if json:
        shown = ("id", "name", "address", "user_agent", "created_at", "expires_at", "last_used_at")
        documents = [{name: getattr(each, name) for name in shown} for each in found]
        texts = [
            {name: v.isoformat() if isinstance(v, datetime) else v for name, v in each.items()} for each in documents
        ]
        output.document({"sessions": texts})
        return ExitCode.PASSED
    paper = output.out.paper
    lines = [
        paper.line(" id", Style.DIM).to(16).add("key", Style.DIM).to(36).add("opened", Style.DIM).to(52).add("from")
    ]
    for each in found:
        line = paper.line(f" {each.id}").to(16).add(paper.fitted(each.name, 18)).to(36).add(age(each.created_at, now))
        lines.append(line.to(52).add(paper.fitted(f"{each.address} {each.user_agent}", 60)))
    output.out.lines(lines if found else [paper.line("nobody is signed in")])
    return ExitCode.PASSED


async def _revoked(storage: StorageInterface, name: str) -> ApiKey:
    from atm.storage.api_keys import key_in_use

    found = key_in_use(await storage.keys.all(), name)
    await storage.keys.revoke(found.id, datetime.now(UTC))
    return found


def _document(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created_at", "last_used_at", "revoked_at", "expires_at")}
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role.value,
        **{name: at.isoformat() if at else None for name, at in times.items()},
        "tags": list(key.tags),
        "networks": list(key.networks),
        "runs_per_hour": key.runs_per_hour,
    }


def _lines(keys: list[ApiKey], paper: Paper, now: datetime) -> list[Line]:
    from atm.cli.listing import age

    lines = [
        paper.line(" name", Style.DIM)
        .to(26)
        .add("role", Style.DIM)
        .to(38)
        .add("made", Style.DIM)
        .to(54)
        .add("last used", Style.DIM)
    ]
    for key in keys:
        line = paper.line(" ").add(paper.fitted(key.name, 24)).to(26).add(key.role.value).to(38)
        line.add(age(key.created_at, now)).to(54)
        used = age(key.last_used_at, now) if key.last_used_at else "never"
        over = "revoked" if key.revoked_at else "expired" if key.expires_at and key.expires_at <= now else ""
        lines.append(line.add(over, Style.WARN) if over else line.add(used))
    return lines
