"""Who may ask at all, decided before anything is read: Host, Origin, key, size of the body. Plain ASGI.

Without a key only this machine is answered, however the server was started. Host and Origin are checked because a
browser on this machine runs the code of others: DNS rebinding comes with a strange Host, a cross-site post with a
strange Origin.
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

from atm.api.access import SESSION, Access, access_of, has_control_characters
from atm.api.auth import COOKIE, LOCAL, Keys, Principal, TooManyWrongKeysError, client_address
from atm.api.deps import SAFE_METHODS
from atm.api.errors import response, status_of
from atm.api.local_access import LocalMode, came_through_a_proxy
from atm.api.paths import route_path, settle
from atm.api.request_head import host_of_origin, most_body_bytes
from atm.api.revocation import while_admitted
from atm.api.security_headers import cookie_name, security_headers
from atm.config import Settings
from atm.errors import AtmError, Problem
from atm.http_connection import BAD_FRAMING, refusal_of_head
from atm.storage.api_keys import Role

log = logging.getLogger("atm.api")

BUNDLE = "/api/v1/import/bundle"
"""Where a body may be as large as a run."""
CLIENT_LEFT = 499
"""In the log, as nginx writes it: the client closed the connection before its request or the answer was whole."""
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/\s]*))(?::[0-9]*)?")


class _RefusedError(Exception):
    def __init__(self, status: int, what: str, code: str, hint: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.problem = Problem(what, code, hint=hint)
        self.headers: dict[str, str] = {}


class Guard:
    """The outermost part of the app but for CORS; it judges the address that a route will be found for.

    `keys` come with the storage, when the server has started.
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
        settle(scope, self._settings.root_path)
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
            if state["principal"] is None or (scope["type"] == "http" and scope["method"] not in SAFE_METHODS):
                # What changes something goes to its end.
                await work
            elif not await while_admitted(work, partial(self._is_still_admitted, scope)):
                await _end(scope, sending, is_stream=is_stream)
        except _RefusedError as error:
            await self._refuse(scope, receive, sending, error)
        except ClientDisconnect:
            # No fault of the server, and there is no one to answer: the line of the request below is all.
            status = CLIENT_LEFT
        except TooManyWrongKeysError as error:
            problem = _RefusedError(429, str(error), "too_many_wrong_keys", "wait, and check the key")
            problem.headers = {"Retry-After": str(error.seconds)}
            await self._refuse(scope, receive, sending, problem)
        except HTTPException as error:
            # A body beyond its limit, where it was read before a route was found.
            if scope["type"] != "http" or status:
                raise
            refused = _RefusedError(error.status_code, str(error.detail), "body_too_large")
            await self._refuse(scope, receive, sending, refused)
        except AtmError as error:
            # Storage away while the key was looked up.
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
        """The principal; null where the address needs none. Raises _RefusedError."""
        if (refusal := refusal_of_head(scope)) is not None:
            raise _RefusedError(*refusal)
        headers = Headers(scope=scope)
        if has_control_characters(scope["path"]):
            raise _RefusedError(400, "the path of the address has control characters", "bad_path")
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
            raise _no_key(keys)
        # The audit log names who was refused.
        scope["state"]["principal"] = principal
        if not principal.may_come_from(client_address(scope)):
            log.warning(
                "key %r was sent from a network that is not its own", principal.name, extra=_about(scope, principal)
            )
            raise _RefusedError(
                403, f"the key {principal.name!r} opens nothing from this network", "network_not_allowed"
            )
        own = route_path(scope) == SESSION or route_path(scope).startswith(f"{SESSION}s/")
        changes = scope["type"] == "http" and scope["method"] not in SAFE_METHODS and not own
        if changes and not principal.may(Role.OPERATOR):
            raise _RefusedError(
                403,
                f"the key {principal.name!r} may look, and not change anything",
                "role_too_low",
                "use a key with the role operator",
            )
        return principal

    async def _is_still_admitted(self, scope: Scope) -> bool:
        try:
            return await self._admitted(scope) is not None
        except (_RefusedError, TooManyWrongKeysError):
            return False

    async def _principal(self, keys: Keys, scope: Scope, headers: Headers) -> Principal | None:
        key = headers.get("x-api-key")
        authorization = headers.get("authorization", "")
        if key is None and authorization[:7].lower() == "bearer ":
            key = authorization[7:].strip()
        if key is not None:
            return await keys.checked(key, client_address(scope))
        cookie = _cookie(headers, cookie_name(scope, COOKIE))
        return await keys.of_session(cookie) if cookie else None

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        origin = headers.get("origin")
        if origin is None:
            site = headers.get("sec-fetch-site", "none")
            if site in ("cross-site", "same-site") and (
                scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
            ):
                raise _RefusedError(403, "a page of another site may not do this", "cross_site")
            return
        if origin.rstrip("/").lower() in self._origins:
            return
        host = self._host(scope, headers)
        if host_of_origin(origin) != host or not host:
            raise _RefusedError(
                403,
                f"a page of {origin[:200]} may not ask this server",
                "cross_origin",
                "ATM_CORS_ORIGINS names the pages that may",
            )

    def _host(self, scope: Scope, headers: Headers) -> str:
        host = headers.get("host", "").lower()
        if self._is_proxy(_peer(scope)):
            host = headers.get("x-forwarded-host", host).lower()
        return host

    def _check_host(self, headers: Headers) -> None:
        name = _host_name(headers.get("host", ""))
        if name in self._hosts or "*" in self._hosts or _is_loopback(name) or _address(name) is not None:
            return
        raise _RefusedError(
            421,
            f"this server is not called {name[:200]!r}",
            "unknown_host",
            "ATM_ALLOWED_HOSTS names what it is called",
        )

    def _require_loopback(self, scope: Scope, headers: Headers) -> None:
        peer = _peer(scope)
        if (
            peer is not None
            and peer.is_loopback
            and _is_loopback(_host_name(headers.get("host", "")))
            and not came_through_a_proxy(headers)
        ):
            return
        raise _RefusedError(
            403,
            "this server has no key yet, so it answers this machine only",
            "no_key_yet",
            "make one on the server: `atm keys create NAME`, or set API_TEST_MACHINE_API_KEY",
        )

    @staticmethod
    def _check_local(keys: Keys) -> None:
        """What no token can help: a process of another account. Raises _RefusedError."""
        if keys.local.mode is not LocalMode.TOKEN:
            raise _RefusedError(
                403,
                f"this server has no key yet, so it answers only {keys.local.who}",
                "other_account",
                "make a key as the server's account: `atm keys create NAME`, or set API_TEST_MACHINE_API_KEY",
            )

    def _is_proxy(self, peer: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
        return peer is not None and any(peer in network for network in self._proxies)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that refuses a body beyond the limit, said or sent."""
        if scope["type"] != "http":
            return receive
        settings = self._settings
        is_bundle = route_path(scope) == BUNDLE and scope["method"] == "POST"
        most = most_body_bytes(settings, route_path(scope), is_bundle=is_bundle)
        said = Headers(scope=scope).get("content-length", "0")
        if said.isdecimal() and int(said) > most:
            raise _too_large(most, is_bundle)
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > most:
                    # What reads bodies lets only this kind of error through as it is.
                    raise HTTPException(413, str(_too_large(most, is_bundle)))
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
        answer = response(error.status, [error.problem], scope["state"]["request_id"], **headers)
        await answer(scope, receive, send)


def _no_key(keys: Keys) -> _RefusedError:
    if keys.local.mode is LocalMode.TOKEN:
        hint = (
            "send it as X-API-Key: a key of `atm keys create`, or before there is one the token of the data directory"
        )
    else:
        hint = "send it as X-API-Key; `atm keys create` makes one"
    return _RefusedError(
        401, "this server asks for a key, and none that it knows came with the request", "key_needed", hint
    )


async def _end(scope: Scope, send: Send, *, is_stream: bool) -> None:
    """End what was cancelled because its key or session opens nothing any more.

    Of a download nothing is sent, so that the connection breaks off: a cut file must not look like a whole one.
    """
    log.info("ended %s: its key or session opens nothing any more", scope["path"], extra=_about(scope, None))
    if scope["type"] == "websocket":
        with suppress(RuntimeError):  # it has been closed by the other side
            await send({"type": "websocket.close", "code": 4401, "reason": "the key or session opens nothing any more"})
    elif is_stream:
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _about(scope: Scope, principal: Principal | None) -> dict[str, str]:
    about = {"request_id": scope["state"]["request_id"], "address": client_address(scope)}
    return {**about, "key": principal.name} if principal else about


def _too_large(most: int, is_bundle: bool = False) -> _RefusedError:
    setting = "ATM_MAX_BUNDLE_BYTES" if is_bundle else "ATM_MAX_BODY_BYTES"
    return _RefusedError(413, f"the body is larger than {most:,} bytes", "body_too_large", setting)


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
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _host_name(host: str) -> str:
    """The name in a Host header: without port, brackets and a dot at its end."""
    host = host.strip().lower()
    found = _HOST.fullmatch(host)
    # What is no host is nobody's name.
    return (found[1] or found[2] or "").rstrip(".") if found else host


def _is_loopback(name: str) -> bool:
    address = _address(name)
    return address.is_loopback if address is not None else name == "localhost" or name.endswith(".localhost")


def _networks(entries: Iterable[str]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)
