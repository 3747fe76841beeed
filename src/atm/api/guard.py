"""ASGI middleware that authenticates and authorises a request before its body is read: Host, Origin, key, body size.

While no key exists, only local processes have access, whatever address the server listens on. Host and Origin are
checked because a browser on this machine runs foreign code: DNS rebinding shows as an unknown Host, a cross-site
request as another Origin.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from atm.access.loopback import is_loopback
from atm.api.access import SESSION, Access, access_of, has_control_characters
from atm.api.auth import COOKIE, LOCAL, Keys, Principal, TooManyWrongKeysError, client_address
from atm.api.deps import SAFE_METHODS
from atm.api.errors import response, status_of
from atm.api.local_access import LocalMode, came_through_a_proxy
from atm.api.paths import normalise_path, route_path
from atm.api.request_head import GRAPHQL, body_limit, host_of_origin
from atm.api.revocation import while_admitted
from atm.api.security_headers import cookie_name, security_headers
from atm.config import Settings
from atm.errors import AtmError, Problem
from atm.http_connection import BAD_FRAMING, refusal_of_head
from atm.storage.api_keys import Role

log = logging.getLogger("atm.api")

ADMIT = "admit"
"""Key in the state of a WebSocket without a key: a function that admits it by the key of its first message."""
LATE_KEY = "late_key"
"""Key in that state: the API key of the first message."""
CLIENT_LEFT = 499
"""Status in the log, as in nginx: the client closed the connection before the request or response was complete."""
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/\s]*))(?::[0-9]*)?")


class _RefusedError(Exception):
    def __init__(self, status: int, what: str, code: str, hint: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.problem = Problem(what, code, hint=hint)
        self.headers: dict[str, str] = {}


class Guard:
    """The outermost middleware but for audit and CORS; it checks the same path that routing uses.

    The keys are in the app's state, because they need the storage, which opens at startup.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._proxies = _networks(settings.trusted_proxies)
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = frozenset(origin.rstrip("/").lower() for origin in settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        normalise_path(scope, self._settings.root_path)
        state = scope.setdefault("state", {})
        state["request_id"] = secrets.token_hex(6)
        began = time.monotonic()
        status = 0
        is_stream = False

        async def sending(message: Message) -> None:
            nonlocal status, is_stream
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message.setdefault("headers", [])
                if not any(name.lower() == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                headers.extend([(b"x-request-id", state["request_id"].encode()), *security_headers(scope)])
                is_stream = (b"content-type", b"text/event-stream; charset=utf-8") in headers
            await send(message)

        try:
            state["principal"] = await self._admitted(scope)
            work = self._app(scope, self._limited(scope, receive), sending)
            is_waiting = state["principal"] is None and access_of(scope) is Access.INIT
            if is_waiting:
                state[ADMIT] = partial(self._admit_later, scope)
            changes = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
            if changes or (state["principal"] is None and not is_waiting):
                # Do not interrupt a request that changes something.
                await work
            elif not await while_admitted(work, partial(self._is_still_admitted, scope)):
                await _end(scope, sending, is_stream=is_stream)
        except _RefusedError as error:
            await self._refuse(scope, receive, sending, error)
        except ClientDisconnect:
            # Not an error of the server; only log the request below.
            status = CLIENT_LEFT
        except TooManyWrongKeysError as error:
            problem = _RefusedError(429, str(error), "too_many_wrong_keys", "wait and check the key")
            problem.headers = {"Retry-After": str(error.seconds)}
            await self._refuse(scope, receive, sending, problem)
        except HTTPException as error:
            # A body beyond its limit that was read before routing.
            if scope["type"] != "http" or status:
                raise
            refused = _RefusedError(error.status_code, str(error.detail), "body_too_large")
            await self._refuse(scope, receive, sending, refused)
        except AtmError as error:
            # The storage was unavailable during the key lookup.
            if scope["type"] != "http" or status:
                raise
            log.error("%s %s: %s", scope["method"], scope["path"], error)
            problems = [replace(problem, place="") for problem in error.problems]
            await response(status_of(error), problems, state["request_id"])(scope, receive, sending)
        finally:
            if scope["type"] == "http":
                milliseconds = (time.monotonic() - began) * 1e3
                log.info(
                    "%s %s %d",
                    scope["method"],
                    scope["path"],
                    status,
                    extra={
                        "request_id": state["request_id"],
                        "milliseconds": round(milliseconds, 1),
                        "address": client_address(scope),
                    },
                )

    async def _admitted(self, scope: Scope) -> Principal | None:
        """Return the principal; None for a path that needs none. Raises _RefusedError."""
        if (refusal := refusal_of_head(scope)) is not None:
            raise _RefusedError(*refusal)
        headers = Headers(scope=scope)
        if has_control_characters(scope["path"]):
            raise _RefusedError(400, "the path has control characters", "bad_path")
        access = access_of(scope)
        if access is Access.OPEN:
            return None
        keys: Keys = scope["app"].state.keys
        self._check_origin(scope, headers)
        if await keys.exist():
            self._check_host(headers)
        else:
            self._require_loopback(scope, headers)
            if keys.local.admits(scope):
                return LOCAL
            self._check_local(keys)
        if access in (Access.PAGE, Access.SIGN_IN):
            return None
        principal = await self._principal(keys, scope, headers)
        if principal is None:
            if access is Access.INIT and not _has_key(scope, headers):
                return None
            raise _no_key(keys)
        # The audit log needs the principal of a refused request.
        scope["state"]["principal"] = principal
        if not principal.may_come_from(client_address(scope)):
            log.warning(
                "key %r was used from a network that it does not allow", principal.name, extra=_about(scope, principal)
            )
            raise _RefusedError(
                403, f"the key {principal.name!r} is not valid from this network", "network_not_allowed"
            )
        own = route_path(scope) == SESSION or route_path(scope).startswith(f"{SESSION}s/")
        # Queries are sent by POST too; mutations check the role themselves.
        may_read = own or route_path(scope) == GRAPHQL
        changes = scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not may_read
        if changes and not principal.may(Role.OPERATOR):
            raise _RefusedError(
                403,
                f"the key {principal.name!r} is read-only",
                "role_too_low",
                "use a key with the role operator",
            )
        return principal

    async def _admit_later(self, scope: Scope, key: str) -> str:
        """Admit a WebSocket by the key of its first message; return why it is refused, or nothing."""
        scope["state"][LATE_KEY] = key
        try:
            scope["state"]["principal"] = await self._admitted(scope)
        except (_RefusedError, TooManyWrongKeysError) as error:
            return str(error)
        return ""

    async def _is_still_admitted(self, scope: Scope) -> bool:
        is_waiting = access_of(scope) is Access.INIT and not _has_key(scope, Headers(scope=scope))
        try:
            return await self._admitted(scope) is not None or is_waiting
        except (_RefusedError, TooManyWrongKeysError):
            return False

    async def _principal(self, keys: Keys, scope: Scope, headers: Headers) -> Principal | None:
        key = headers.get("x-api-key", scope["state"].get(LATE_KEY))
        authorization = headers.get("authorization", "")
        if key is None and authorization[:7].lower() == "bearer ":
            key = authorization[7:].strip()
        if key is not None:
            return await keys.authenticate(key, client_address(scope))
        cookie = _cookie(headers, cookie_name(scope, COOKIE))
        return await keys.of_session(cookie) if cookie else None

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None:
            site = headers.get("sec-fetch-site", "none")
            if site in ("cross-site", "same-site") and (
                scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
            ):
                raise _RefusedError(403, "cross-site requests are not allowed", "cross_site")
            return
        if origin.rstrip("/").lower() in self._origins:
            return
        host = self._host(scope, headers)
        if host_of_origin(origin) != host or not host:
            raise _RefusedError(
                403,
                f"requests from pages of {origin[:200]} are not allowed",
                "cross_origin",
                "ATM_CORS_ORIGINS lists the allowed origins",
            )

    def _host(self, scope: Scope, headers: Headers) -> str:
        host = headers.get("host", "").lower()
        if self._is_proxy(_peer(scope)):
            host = headers.get("x-forwarded-host", host).lower()
        return host

    def _check_host(self, headers: Headers) -> None:
        name = _host_name(headers.get("host", ""))
        if name in self._hosts or "*" in self._hosts or _is_loopback_name(name) or _address(name) is not None:
            return
        raise _RefusedError(
            421,
            f"the host name {name[:200]!r} is not allowed",
            "unknown_host",
            "ATM_ALLOWED_HOSTS lists the allowed host names",
        )

    def _require_loopback(self, scope: Scope, headers: Headers) -> None:
        peer = _peer(scope)
        if (
            peer is not None
            and peer.is_loopback
            and _is_loopback_name(_host_name(headers.get("host", "")))
            and not came_through_a_proxy(headers)
        ):
            return
        raise _RefusedError(
            403,
            "this server has no key yet, so it accepts only local requests",
            "no_key_yet",
            "create one on the server: `atm keys create NAME`, or set API_TEST_MACHINE_API_KEY",
        )

    @staticmethod
    def _check_local(keys: Keys) -> None:
        """Reject a process of another account, unless it may send the token. Raises _RefusedError."""
        if keys.local.mode is not LocalMode.TOKEN:
            raise _RefusedError(
                403,
                f"this server has no key yet, so it accepts only {keys.local.who}",
                "other_account",
                "create a key as the server's account: `atm keys create NAME`, or set API_TEST_MACHINE_API_KEY",
            )

    def _is_proxy(self, peer: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
        return peer is not None and any(peer in network for network in self._proxies)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Wrap `receive` to reject a body beyond the limit, by its announced or its actual length."""
        if scope["type"] != "http":
            return receive
        most, setting = body_limit(self._settings, scope["method"], route_path(scope))
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > most:
            raise _too_large(most, setting)
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    # Code that reads bodies passes on only this type of exception.
                    raise HTTPException(413, str(_too_large(most, setting)))
            return message

        return limited

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: _RefusedError) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose(code=4401 if error.status == 401 else 4403, reason=str(error)[:120])(
                scope, receive, send
            )
            return
        headers = {**error.headers, **({"WWW-Authenticate": "ApiKey"} if error.status == 401 else {})}
        if error.problem.code == BAD_FRAMING:
            headers["Connection"] = "close"
        refusal = response(error.status, [error.problem], scope["state"]["request_id"], **headers)
        await refusal(scope, receive, send)


def _no_key(keys: Keys) -> _RefusedError:
    if keys.local.mode is LocalMode.TOKEN:
        hint = "send as X-API-Key a key from `atm keys create` or, before one exists, the token in the data directory"
    else:
        hint = "send it as X-API-Key; `atm keys create` creates one"
    return _RefusedError(401, "this server requires a valid key", "key_needed", hint)


async def _end(scope: Scope, send: Send, *, is_stream: bool) -> None:
    """End a response that was cancelled because its key or session is no longer valid.

    For a download nothing more is sent, so that the connection breaks off and the file is visibly incomplete.
    """
    log.info("ended %s: its key or session is no longer valid", scope["path"], extra=_about(scope, None))
    if scope["type"] == "websocket":
        with suppress(RuntimeError):  # already closed by the client
            await send({"type": "websocket.close", "code": 4401, "reason": "the key or session is no longer valid"})
    elif is_stream:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _about(scope: Scope, principal: Principal | None) -> dict[str, str]:
    about = {"request_id": scope["state"]["request_id"], "address": client_address(scope)}
    return {**about, "key": principal.name} if principal else about


def _too_large(most: int, setting: str) -> _RefusedError:
    return _RefusedError(413, f"the body is larger than {most:,} bytes", "body_too_large", setting)


def _has_key(scope: Scope, headers: Headers) -> bool:
    given = ("x-api-key" in headers, "authorization" in headers, LATE_KEY in scope["state"])
    return any(given) or _cookie(headers, cookie_name(scope, COOKIE)) is not None


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _peer(scope: Scope) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    client = scope.get("client")
    return _address(client[0]) if client else None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _host_name(host: str) -> str:
    """Return the name in a Host header without port, brackets and trailing dot; an invalid header unchanged."""
    host = host.strip().lower()
    match = _HOST.fullmatch(host)
    return (match[1] or match[2] or "").rstrip(".") if match else host


def _is_loopback_name(name: str) -> bool:
    # Browsers resolve names below localhost to this machine without asking.
    return is_loopback(name) or name.endswith(".localhost")


def _networks(entries: Iterable[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)
