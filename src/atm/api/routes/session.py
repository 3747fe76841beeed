"""Sessions of browsers: a key is exchanged for a cookie that scripts cannot read and other sites cannot send."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request, Response

from atm.api.auth import COOKIE, SESSION_LIFE, Keys
from atm.api.deps import Asking, ServerKeys
from atm.api.errors import ApiError
from atm.errors import Problem
from atm.models.control.keys import SessionRequest, SessionView
from atm.storage.records import hash_api_key

router = APIRouter(tags=["session"])


@router.post("/session")
async def create_session(body: SessionRequest, keys: ServerKeys, request: Request, response: Response) -> SessionView:
    """Exchange a key for a session cookie (HttpOnly, SameSite=Strict)."""
    principal = await keys.principal(body.key)
    if principal is None:
        raise ApiError(401, Problem("this key opens nothing here", "key_unknown", path="body.key"))
    until = _open(keys, body.key, request, response)
    return SessionView(role=principal.role.value, name=principal.name, expires_at=until)


async def sign_in_by_address(request: Request) -> Response | None:
    """What `?token=` asks for on any page: a session, and the page without the token; null where it is not the token.

    Only the local token signs in so, as the start of a server prints it; keys never stand in an address.
    """
    keys: Keys = request.app.state.keys
    token = request.query_params.get("token")
    if token is None or not keys.local.knows(hash_api_key(token)) or await keys.principal(token) is None:
        return None
    rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
    # One slash: two would be an address elsewhere.
    path = "/" + quote(request.scope["path"].lstrip("/"))
    response = Response(status_code=303, headers={"Location": f"{path}?{rest}" if rest else path})
    _open(keys, token, request, response)
    return response


def _open(keys: Keys, key: str, request: Request, response: Response) -> datetime:
    cookie, until = keys.session(key)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_LIFE.total_seconds()),
        path=request.scope.get("root_path") or "/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return until


@router.get("/session")
async def read_session(asking: Asking) -> SessionView:
    """Say who is asking, and what they may do."""
    return SessionView(role=asking.role.value, name=asking.name, expires_at=None)


@router.delete("/session", status_code=204)
async def end_session(request: Request, response: Response) -> None:
    """Forget the session cookie."""
    response.delete_cookie(COOKIE, path=request.scope.get("root_path") or "/", httponly=True, samesite="strict")
