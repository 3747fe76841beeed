"""Sessions of browsers: a key is exchanged for a cookie that scripts cannot read and other sites cannot send."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from atm.api.auth import COOKIE, SESSION_LIFE
from atm.api.deps import Asking, ServerKeys
from atm.api.errors import ApiError
from atm.errors import Problem
from atm.models.control.keys import SessionRequest, SessionView

router = APIRouter(tags=["session"])


@router.post("/session")
async def create_session(body: SessionRequest, keys: ServerKeys, request: Request, response: Response) -> SessionView:
    """Exchange a key for a session cookie (HttpOnly, SameSite=Strict)."""
    principal = await keys.principal(body.key)
    if principal is None:
        raise ApiError(401, Problem("this key opens nothing here", "key_unknown", path="body.key"))
    cookie, until = keys.session(body.key)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(SESSION_LIFE.total_seconds()),
        path=request.scope.get("root_path") or "/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return SessionView(role=principal.role.value, name=principal.name, expires_at=until)


@router.get("/session")
async def read_session(asking: Asking) -> SessionView:
    """Say who is asking, and what they may do."""
    return SessionView(role=asking.role.value, name=asking.name, expires_at=None)


@router.delete("/session", status_code=204)
async def end_session(request: Request, response: Response) -> None:
    """Forget the session cookie."""
    response.delete_cookie(COOKIE, path=request.scope.get("root_path") or "/", httponly=True, samesite="strict")
