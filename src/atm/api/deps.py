"""What routes ask for by type: the control plane, and who is asking."""

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
        what = "this server asks for a key, and none that it knows came with the request"
        if connection.scope["type"] == "websocket":
            raise WebSocketException(4401, what)
        raise ApiError(401, Problem(what, "key_needed", hint="send it as X-API-Key; `atm keys create` makes one"))
    return principal


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""They change nothing."""


def admitted(connection: HTTPConnection) -> None:
    """A second lock behind the guard's: no route of this kind runs without a principal, whatever the guard let by."""
    _principal(connection)


def _admin(connection: HTTPConnection) -> Principal:
    principal = _principal(connection)
    if not principal.may(Role.ADMIN):
        what = f"the key {principal.name!r} is no admin's"
        raise ApiError(403, Problem(what, "role_too_low", hint="use a key with the role admin, or `atm keys` there"))
    return principal


def _source(
    source: Annotated[
        Literal["api", "mcp"], Header(alias=SOURCE_HEADER, description="Which front door the run comes through.")
    ] = "api",
) -> RunSource:
    return RunSource(source)


async def _run_id(
    connection: HTTPConnection,
    run_id: Annotated[
        str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="The run's id, or a beginning that only one run has.")
    ],
) -> str:
    return await whole_run_id(_plane(connection).storage, run_id)


Plane = Annotated[ControlPlane, Depends(_plane)]
RunId = Annotated[str, Depends(_run_id)]
"""The whole id of the run that a path names. Raises NotFoundError."""
ServerKeys = Annotated[Keys, Depends(_keys)]
Asking = Annotated[Principal, Depends(_principal)]
Admin = Annotated[Principal, Depends(_admin)]
"""For what decides over others: who may ask at all."""
Source = Annotated[RunSource, Depends(_source)]
