"""`atm keys`: who may ask a server. Keys are made where its storage is; only their hashes are kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.storage import on_storage
from atm.cli.text import Line, Paper, Style
from atm.cli.values import PlainCommand, PlainGroup
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.storage import StorageInterface
    from atm.storage.records import ApiKey

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
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Make a key and print it, this once.

    With the first key the server answers nobody without one. Run it on the server's machine, with its settings.
    """
    from atm.storage.api_keys import new_api_key
    from atm.storage.records import Role

    if role not in ROLES:
        raise SpecError(
            Problem(f"there is no role {role!r}", "bad_value", path="--role", hint=f"One of {', '.join(ROLES)}")
        )
    if not 1 <= len(name.strip()) <= 128 or not name.isprintable():
        raise SpecError(Problem("a name has 1 to 128 printable characters", "bad_value", path="NAME"))
    record, key = new_api_key(name, Role(role), datetime.now(UTC))
    on_storage(lambda storage: storage.keys.add(record))
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
        line = output.out.paper.line("there is no key; the server answers its own account only: ")
        output.out.lines([line.hint("`atm keys create NAME`")])
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
    """Revoke a key: within two seconds it opens nothing any more."""
    key = on_storage(lambda storage: _revoked(storage, name))
    output = Output.of(color, json=json)
    if json:
        output.document({"id": key.id, "name": key.name})
    else:
        output.out.lines([output.out.paper.line(f"revoked {key.name}")])
    return ExitCode.PASSED


async def _revoked(storage: StorageInterface, name: str) -> ApiKey:
    from atm.storage.api_keys import key_in_use

    found = key_in_use(await storage.keys.all(), name)
    await storage.keys.revoke(found.id, datetime.now(UTC))
    return found


def _document(key: ApiKey) -> dict[str, str | None]:
    times = {"created_at": key.created_at, "last_used_at": key.last_used_at, "revoked_at": key.revoked_at}
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role.value,
        **{name: at.isoformat() if at else None for name, at in times.items()},
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
        lines.append(line.add("revoked", Style.WARN) if key.revoked_at else line.add(used))
    return lines
