"""Dependencies of the routes: the control plane, the principal, and path parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Depends, Header, Path
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection

from atm.api.auth import Keys, Principal
from atm.api.errors import ApiError
from atm.bootstrap import ControlPlane
from atm.errors import Problem
from atm.models.control.base import SOURCE_HEADER
from atm.runs.lookup import whole_run_id
from atm.storage.api_keys import Role
from atm.storage.records import RunSource


def _plane(connection: HTTPConnection) -> ControlPlane:
    plane: ControlPlane = connection.app.state.plane
    return plane


def _keys(connection: HTTPConnection) -> Keys:
    keys: Keys = connection.app.state.keys
    return keys


def _principal(connection: HTTPConnection) -> Principal:
    principal: Principal | None = connection.scope.get("state", {}).get("principal")
    if principal is None:
        what = "this server requires a valid key"
        if connection.scope["type"] == "websocket":
            raise WebSocketException(4401, what)
        raise ApiError(401, Problem(what, "key_needed", hint="send it as X-API-Key; `atm keys create` creates one"))
    return principal


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""


def require_principal(connection: HTTPConnection) -> None:
    """Reject a request without a principal, as a second check behind the guard."""
    _principal(connection)


def _admin(connection: HTTPConnection) -> Principal:
    principal = _principal(connection)
    if not principal.may(Role.ADMIN):
        what = f"the key {principal.name!r} does not have the role admin"
        raise ApiError(
            403, Problem(what, "role_too_low", hint="use an admin key, or `atm keys` on the server's machine")
        )
    return principal


def require_operator(connection: HTTPConnection) -> None:
    """Reject a principal without the role operator, on a route that only reads."""
    principal = _principal(connection)
    if not principal.may(Role.OPERATOR):
        what = f"the key {principal.name!r} is read-only, and the files of a test may hold logins"
        raise ApiError(403, Problem(what, "role_too_low", hint="use a key with the role operator"))


def _source(
    source: Annotated[Literal["api", "mcp"], Header(alias=SOURCE_HEADER, description="Origin of the run.")] = "api",
) -> RunSource:
    return RunSource(source)


async def _run_id(
    connection: HTTPConnection,
    run_id: Annotated[
        str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="The run's id, or a unique prefix of it.")
    ],
) -> str:
    return await whole_run_id(_plane(connection).storage, run_id)


Plane = Annotated[ControlPlane, Depends(_plane)]
RunId = Annotated[str, Depends(_run_id)]
"""The full id of the run in a path. Raises NotFoundError."""
ServerKeys = Annotated[Keys, Depends(_keys)]
Caller = Annotated[Principal, Depends(_principal)]
Admin = Annotated[Principal, Depends(_admin)]
"""The principal, with the role admin."""
Source = Annotated[RunSource, Depends(_source)]

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="Repeated requests with the same key and content start one run, or one batch.",
    ),
]
