"""Sessions of browsers: a key is exchanged for a cookie that scripts cannot read and other sites cannot send."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Path, Request, Response

from atm.api.auth import COOKIE, Keys, Principal, TooManyWrongKeysError, client_address
from atm.api.deps import Asking, ServerKeys
from atm.api.errors import ApiError
from atm.api.security_headers import cookie_name, is_https
from atm.errors import Problem
from atm.models.control.keys import OpenSession, SessionList, SessionRequest, SessionView
from atm.storage.access import Session
from atm.storage.api_keys import Role, hash_api_key
from atm.storage.errors import session_not_found

router = APIRouter(tags=["session"])

_WRONG: dict[int | str, dict[str, object]] = {
    429: {"description": "Too many wrong keys came from this address; Retry-After says how long to wait"}
}
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "There is no such session, or it has ended"}}


@router.post("/session", responses=_WRONG)
async def create_session(body: SessionRequest, keys: ServerKeys, request: Request, response: Response) -> SessionView:
    """Exchange a key for a session cookie (HttpOnly, SameSite=Strict)."""
    address = client_address(request.scope)
    try:
        principal = await keys.checked(body.key, address)
    except TooManyWrongKeysError as error:
        raise ApiError(429, Problem(str(error), "too_many_wrong_keys", path="body.key")) from error
    if principal is None or not principal.may_come_from(address):
        raise ApiError(401, Problem("this key opens nothing here", "key_unknown", path="body.key"))
    session = await _open(keys, body.key, principal, request, response)
    # For the audit log: from here on it is known who asks.
    request.scope["state"]["principal"] = replace(principal, session_id=session.id)
    return SessionView(role=principal.role.value, name=principal.name, expires_at=session.expires_at)


async def sign_in_by_address(request: Request) -> Response | None:
    """What `?token=` asks for on any page: a session, and the page without the token; null where it is not the token.

    Only the local token signs in so, as the start of a server prints it; keys never stand in an address.
    """
    keys: Keys = request.app.state.keys
    token = request.query_params.get("token")
    if token is None or not keys.local.knows(hash_api_key(token)):
        return None
    principal = await keys.checked(token, client_address(request.scope))
    if principal is None:
        return None
    rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
    # One slash: two would be an address elsewhere.
    path = "/" + quote(request.scope["path"].lstrip("/"))
    response = Response(status_code=303, headers={"Location": f"{path}?{rest}" if rest else path})
    await _open(keys, token, principal, request, response)
    return response


@router.get("/session")
async def read_session(asking: Asking) -> SessionView:
    """Say who is asking, and what they may do."""
    return SessionView(role=asking.role.value, name=asking.name, expires_at=None)


@router.delete("/session", status_code=204)
async def end_session(asking: Asking, keys: ServerKeys, request: Request, response: Response) -> None:
    """End the session of the cookie, on the server too; with a key, nothing."""
    if asking.session_id is not None:
        await keys.end_session(asking.session_id)
    response.delete_cookie(
        cookie_name(request.scope, COOKIE),
        path=_path(request),
        httponly=True,
        samesite="strict",
        secure=_secure(request),
    )


@router.get("/sessions")
async def list_sessions(asking: Asking, keys: ServerKeys) -> SessionList:
    """List the sessions that last: all of them for admins, else those of the same key."""
    return SessionList(sessions=[_view(each, asking) for each in await keys.sessions() if _may_see(asking, each)])


@router.delete("/sessions/{session_id}", status_code=204, responses=_NOT_FOUND)
async def revoke_session(
    asking: Asking, keys: ServerKeys, session_id: Annotated[str, Path(min_length=1, max_length=64)]
) -> None:
    """End a session: within two seconds it and its streams open nothing any more. Another key's, for admins."""
    if not any(each.id == session_id and _may_see(asking, each) for each in await keys.sessions()):
        raise session_not_found(session_id)
    await keys.end_session(session_id)


def _may_see(asking: Principal, session: Session) -> bool:
    return asking.may(Role.ADMIN) or (asking.key_hash is not None and asking.key_hash == session.key_hash)


def _view(session: Session, asking: Principal) -> OpenSession:
    return OpenSession(
        id=session.id,
        name=session.name,
        created_at=session.created_at,
        expires_at=session.expires_at,
        last_used_at=session.last_used_at,
        address=session.address,
        user_agent=session.user_agent,
        current=session.id == asking.session_id,
    )


async def _open(keys: Keys, key: str, principal: Principal, request: Request, response: Response) -> Session:
    user_agent = request.headers.get("user-agent", "")
    cookie, session = await keys.open_session(key, principal, client_address(request.scope), user_agent)
    response.set_cookie(
        cookie_name(request.scope, COOKIE),
        cookie,
        max_age=max(0, int((session.expires_at - session.created_at).total_seconds())),
        path=_path(request),
        httponly=True,
        samesite="strict",
        secure=_secure(request),
    )
    return session


def _path(request: Request) -> str:
    return str(request.scope.get("root_path") or "/")


def _secure(request: Request) -> bool:
    return is_https(request.scope)
