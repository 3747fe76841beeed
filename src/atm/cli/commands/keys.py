"""`atm keys`: who may ask the server."""

from __future__ import annotations

import asyncio
import secrets
from enum import StrEnum
from typing import Annotated, Any

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.text import Style
from atm.errors import NotFoundError, Problem, SpecError
from atm.models.exit_code import ExitCode

KEY_BYTES = 24


class Action(StrEnum):
    """What is to be done."""

    CREATE = "create"
    LIST = "list"
    REVOKE = "revoke"


class RoleName(StrEnum):
    """What the holder of a key may do; each may all that the one before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def command(
    action: Annotated[Action, typer.Argument(metavar="ACTION", help="create, list or revoke.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of the key to create or revoke.")] = None,
    role: Annotated[RoleName, typer.Option("--role", help="viewer looks, operator runs tests.")] = RoleName.OPERATOR,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Create, list or revoke the keys that the server of this machine asks for.

    A key is shown once, when it is made; stored is its hash. As soon as there is one, the server answers nobody
    without, and other machines too.
    """
    if action is not Action.LIST and not name:
        raise SpecError(Problem(f"keys {action} needs a name", "usage", path="NAME"))
    output = Output.of(color, json=json)
    document = asyncio.run(_do(action, name or "", role))
    if json:
        output.document(document)
        return ExitCode.PASSED
    paper = output.out.paper
    if action is Action.CREATE:
        output.out.lines(
            [
                paper.line(f" {document['key']}", Style.BOLD),
                paper.line(" This is the only time it is shown.", Style.DIM),
            ]
        )
    elif action is Action.REVOKE:
        output.out.lines([paper.line(f" revoked {name}")])
    for key in document.get("keys", ()):
        state = "revoked" if key["revoked_at"] else f"last used {key['last_used_at'] or 'never'}"
        output.out.lines([paper.line(f" {key['name']:20}", Style.BOLD).add(f"  {key['role']:8}  {state}")])
    return ExitCode.PASSED


async def _do(action: Action, name: str, role: RoleName) -> dict[str, Any]:
    from datetime import UTC, datetime

    from atm.config import load_settings
    from atm.storage import open_storage
    from atm.storage.records import ApiKey, Role, hash_api_key

    storage = await open_storage(load_settings())
    now = datetime.now(UTC)
    try:
        if action is Action.CREATE:
            key = f"atm_{secrets.token_urlsafe(KEY_BYTES)}"
            await storage.keys.add(ApiKey(secrets.token_hex(6), name, Role(role.value), hash_api_key(key), now))
            return {"name": name, "role": role.value, "key": key}
        keys = await storage.keys.all()
        if action is Action.REVOKE:
            found = next((each for each in keys if each.name == name and each.revoked_at is None), None)
            if found is None:
                raise NotFoundError(Problem(f"there is no key named {name!r}", "key_not_found", hint="atm keys list"))
            await storage.keys.revoke(found.id, now)
            return {"name": name, "revoked": True}
        return {"keys": [_shown(each) for each in keys]}
    finally:
        await storage.close()


def _shown(key: Any) -> dict[str, Any]:
    times = {field: getattr(key, field) for field in ("created_at", "last_used_at", "revoked_at")}
    texts = {field: at.isoformat(timespec="seconds") if at else None for field, at in times.items()}
    return {"name": key.name, "role": key.role.value, **texts}
