"""Browser sessions: a key is exchanged for a cookie that scripts cannot read and other sites cannot send."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Path, Request, Response

from atm.api.auth import COOKIE, Keys, Principal, TooManyWrongKeysError, client_address
from atm.api.deps import Caller, ServerKeys
from atm.api.errors import ApiError
from atm.api.late_route import Routes
from atm.api.security_headers import cookie_name, is_https
from atm.errors import Problem
from atm.models.control.keys import OpenSession, SessionList, SessionRequest, SessionView
from atm.storage.access import Session
from atm.storage.api_keys import Role, hash_api_key
from atm.storage.errors import session_not_found

router = Routes("session")

_WRONG: dict[int | str, dict[str, object]] = {
    429: {"description": "Too many invalid keys from this address; Retry-After has the waiting time"}
}
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The session does not exist or has ended"}}


@router.post("/session", responses=_WRONG)
async def create_session(body: SessionRequest, keys: ServerKeys, request: Request, response: Response) -> SessionView:
    """Exchange a key for a session cookie (HttpOnly, SameSite=Strict)."""
    address = client_address(request.scope)
    try:
        principal = await keys.authenticate(body.key, address)
    except TooManyWrongKeysError as error:
        raise ApiError(429, Problem(str(error), "too_many_wrong_keys", path="body.key")) from error
    if principal is None or not principal.may_come_from(address):
        raise ApiError(401, Problem("the key is invalid", "key_unknown", path="body.key"))
    session = await _open(keys, body.key, principal, request, response)
    # For the audit log.
    request.scope["state"]["principal"] = replace(principal, session_id=session.id)
    return SessionView(role=principal.role.value, name=principal.name, expires_at=session.expires_at)


async def sign_in_by_address(request: Request) -> Response | None:
    """Sign in with `?token=` on any page: create a session and redirect without the token; None without a valid token.

    Accepts only the local token, in the URL that the server prints at startup; keys never appear in URLs.
    """
    keys: Keys = request.app.state.keys
    token = request.query_params.get("token")
    if token is None or not keys.local.knows(hash_api_key(token)):
        return None
    principal = await keys.authenticate(token, client_address(request.scope))
    if principal is None:
        return None
    rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
    # A single slash: two would redirect to another host.
    path = "/" + quote(request.scope["path"].lstrip("/"))
    response = Response(status_code=303, headers={"Location": f"{path}?{rest}" if rest else path})
    await _open(keys, token, principal, request, response)
    return response


@router.get("/session")
async def read_session(caller: Caller) -> SessionView:
    """Read the caller's name and role."""
    return SessionView(role=caller.role.value, name=caller.name, expires_at=None)


@router.delete("/session", status_code=204)
async def end_session(caller: Caller, keys: ServerKeys, request: Request, response: Response) -> None:
    """End the session of the cookie; has no effect with a key."""
    if caller.session_id is not None:
        await keys.end_session(caller.session_id)
    response.delete_cookie(
        cookie_name(request.scope, COOKIE),
        path=_path(request),
        httponly=True,
        samesite="strict",
        secure=_secure(request),
    )


@router.get("/sessions")
async def list_sessions(caller: Caller, keys: ServerKeys) -> SessionList:
    """List the active sessions: all for admins, otherwise those of the same key."""
    sessions = [session for session in await keys.sessions() if _may_see(caller, session)]
    return SessionList(sessions=[_view(session, caller) for session in sessions])


@router.delete("/sessions/{session_id}", status_code=204, responses=_NOT_FOUND)
async def revoke_session(
    caller: Caller, keys: ServerKeys, session_id: Annotated[str, Path(min_length=1, max_length=64)]
) -> None:
    """End a session and its streams within two seconds. For sessions of other keys, admins only."""
    if not any(session.id == session_id and _may_see(caller, session) for session in await keys.sessions()):
        raise session_not_found(session_id)
    await keys.end_session(session_id)


def _may_see(caller: Principal, session: Session) -> bool:
    return caller.may(Role.ADMIN) or (caller.key_hash is not None and caller.key_hash == session.key_hash)


def _view(session: Session, caller: Principal) -> OpenSession:
    return OpenSession(
        id=session.id,
        name=session.name,
        created_at=session.created_at,
        expires_at=session.expires_at,
        last_used_at=session.last_used_at,
        address=session.address,
        user_agent=session.user_agent,
        current=session.id == caller.session_id,
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
