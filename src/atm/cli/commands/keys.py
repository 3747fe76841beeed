"""`atm keys`: manage API keys, in the storage of this machine. Only hashes of keys are stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.option_values import Commands
from atm.cli.options import OutputOptions
from atm.cli.storage import change_storage, on_storage
from atm.cli.text import Line, Paper, Style
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.storage import StorageInterface
    from atm.storage.api_keys import ApiKey

ROLES = ("viewer", "operator", "admin")
app = Commands()


@app.callback()
def _keys() -> None:
    """Create, list and revoke API keys of a server."""


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="User of the key: ci, grafana, anna.")],
    role: Annotated[
        str,
        typer.Option(
            "--role", metavar="ROLE", help="viewer (read), operator (start, change, delete) or admin (also keys)."
        ),
    ] = "operator",
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="SPAN", help="Expire the key after this time: 90d, 12h.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network", metavar="ADDRESS", help="Accept the key only from this network: 10.1.0.0/16; repeatable."
        ),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag", metavar="TAG", help="Limit the key to starting and changing items with this tag; repeatable."
        ),
    ] = None,
    runs_per_hour: Annotated[
        int | None,
        typer.Option("--runs-per-hour", metavar="N", min=1, help="Limit the runs that the key may start per hour."),
    ] = None,
    *,
    output: OutputOptions,
) -> int:
    """Create a key and print it. It cannot be shown again.

    Once a first key exists, the server rejects requests without one. Run this on the server's machine, with its
    settings.
    """
    from atm.cli.commands.db import span
    from atm.storage.api_keys import KeyLimits, Role, new_api_key

    if role not in ROLES:
        raise SpecError(
            Problem(f"unknown role {role!r}", "bad_value", path="--role", hint=f"One of {', '.join(ROLES)}")
        )
    limits = KeyLimits(span(expires, "--expires"), tuple(tag or ()), tuple(network or ()), runs_per_hour)
    try:
        record, key = new_api_key(name, Role(role), datetime.now(UTC), limits)
    except ValueError as error:
        raise SpecError(Problem(str(error), "bad_value", path="NAME")) from error
    change_storage(
        lambda storage: storage.keys.add(record), "key.create", lambda _: (record.id, f"{record.name} ({role})")
    )
    if output.json:
        output.document({"id": record.id, "name": record.name, "role": role, "key": key})
        return ExitCode.PASSED
    # Print only the key on stdout, so that `KEY=$(atm keys create ci)` works.
    output.out.write(f"{key}\n")
    paper = output.err.paper
    output.err.lines([paper.line(f" {record.name} may now {_MAY[role]}; the key is not shown again", Style.DIM)])
    return ExitCode.PASSED


_MAY = {
    "viewer": "read everything",
    "operator": "read, start, change and delete",
    "admin": "do everything, including creating and revoking keys",
}


@app.command("list")
def list_keys(
    every: Annotated[bool, typer.Option("--all", help="Include revoked keys.")] = False,
    *,
    output: OutputOptions,
) -> int:
    """List the keys by name. The keys themselves are not stored."""
    keys = [key for key in on_storage(lambda storage: storage.keys.all()) if every or key.revoked_at is None]
    if output.json:
        output.document({"keys": [_document(key) for key in keys]})
    elif not keys:
        is_closed = on_storage(lambda storage: storage.keys.is_closed())
        what = "no active keys; the server " + (
            "rejects all clients: " if is_closed else "serves its own account only: "
        )
        output.out.lines([output.out.paper.line(what).hint("`atm keys create NAME`")])
    else:
        output.out.lines(_lines(keys, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


@app.command("revoke")
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the key.")],
    *,
    output: OutputOptions,
) -> int:
    """Revoke a key, its sessions and its streams, effective within two seconds.

    After the last key is revoked, the server rejects all clients until a new key exists or `atm keys release` runs.
    """
    key = change_storage(lambda storage: _revoke(storage, name), "key.revoke", lambda key: (key.id, key.name))
    if output.json:
        output.document({"id": key.id, "name": key.name})
    else:
        output.out.lines([output.out.paper.line(f"revoked {key.name}")])
    return ExitCode.PASSED


@app.command("release")
def release(output: OutputOptions) -> int:
    """Allow the server's own account without a key again, after all keys were revoked."""
    change_storage(lambda storage: storage.keys.release(datetime.now(UTC)), "installation.release")
    if output.json:
        output.document({"released": True})
    else:
        what = "the server accepts local requests of its own account without a key again"
        output.out.lines([output.out.paper.line(what)])
    return ExitCode.PASSED


@app.command("rotate-seal")
def rotate_seal(output: OutputOptions) -> int:
    """Encrypt all stored credentials with a new key; servers may run meanwhile.

    With a key file, it makes the new key itself. With ATM_SECRET_KEY, set the new key there and the old one in
    ATM_OLD_SECRET_KEY first, and restart the servers. After an interruption, run it again.
    """
    from atm.config import load_settings
    from atm.storage.key_rotation import rotate_seal as rotate

    settings = load_settings()
    done = change_storage(
        lambda storage: rotate(storage, settings), "seal.rotate", lambda done: ("", f"{done.resealed} values")
    )
    if output.json:
        output.document({"resealed": done.resealed, "unreadable": done.unreadable, "resumed": done.resumed})
        return ExitCode.PASSED
    paper = output.out.paper
    lines = [paper.line(f"{done.resealed} stored values are encrypted with the new key")]
    if done.resumed:
        lines.append(paper.line("completed a rotation that was interrupted", Style.DIM))
    if done.unreadable:
        what = f"{done.unreadable} values cannot be opened with any known key"
        lines.append(paper.line(what, Style.WARN).hint("set ATM_OLD_SECRET_KEY, and run it again"))
    if settings.old_secret_key is not None and not done.unreadable:
        lines.append(paper.line("ATM_OLD_SECRET_KEY can be removed now", Style.DIM))
    output.out.lines(lines)
    return ExitCode.PASSED


@app.command("sessions")
def sessions(
    end: Annotated[str | None, typer.Option("--end", metavar="ID", help="End this session.")] = None,
    *,
    output: OutputOptions,
) -> int:
    """List the signed-in browser sessions, or end one within two seconds."""
    from atm.cli.run_list import age

    now = datetime.now(UTC)
    if end is not None:
        change_storage(lambda storage: storage.sessions.end(end, now), "session.end", lambda _: (end, ""))
    active = [session for session in on_storage(lambda storage: storage.sessions.all()) if session.expires_at > now]
    if output.json:
        shown = ("id", "name", "address", "user_agent", "created_at", "expires_at", "last_used_at")
        documents = [{name: getattr(session, name) for name in shown} for session in active]
        texts = [
            {name: v.isoformat() if isinstance(v, datetime) else v for name, v in document.items()}
            for document in documents
        ]
        output.document({"sessions": texts})
        return ExitCode.PASSED
    paper = output.out.paper
    lines = [
        paper.line(" id", Style.DIM).to(16).add("key", Style.DIM).to(36).add("opened", Style.DIM).to(52).add("from")
    ]
    for session in active:
        line = paper.line(f" {session.id}").to(16).add(paper.fitted(session.name, 18)).to(36)
        line.add(age(session.created_at, now)).to(52)
        lines.append(line.add(paper.fitted(f"{session.address} {session.user_agent}", 60)))
    output.out.lines(lines if active else [paper.line("no active sessions")])
    return ExitCode.PASSED


async def _revoke(storage: StorageInterface, name: str) -> ApiKey:
    from atm.storage.api_keys import key_in_use

    key = key_in_use(await storage.keys.all(), name)
    await storage.keys.revoke(key.id, datetime.now(UTC))
    return key


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
    from atm.cli.run_list import age

    lines = [
        paper.line(" name", Style.DIM)
        .to(26)
        .add("role", Style.DIM)
        .to(38)
        .add("created", Style.DIM)
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
