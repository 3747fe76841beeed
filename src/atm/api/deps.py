"""What routes ask for by type: the control plane, and who is asking."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from atm.api.auth import LOCAL, Keys, Principal
from atm.bootstrap import ControlPlane


def _plane(connection: HTTPConnection) -> ControlPlane:
    plane: ControlPlane = connection.app.state.plane
    return plane


def _keys(connection: HTTPConnection) -> Keys:
    keys: Keys = connection.app.state.keys
    return keys


def _principal(connection: HTTPConnection) -> Principal:
    principal: Principal | None = connection.scope["state"]["principal"]
    return principal or LOCAL


Plane = Annotated[ControlPlane, Depends(_plane)]
ServerKeys = Annotated[Keys, Depends(_keys)]
Asking = Annotated[Principal, Depends(_principal)]
