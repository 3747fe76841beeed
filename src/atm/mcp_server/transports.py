"""The two transports: stdio and streamable HTTP."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

from atm.access.loopback import is_loopback
from atm.access.peers import account_name, can_identify, is_admitted, owner_of
from atm.access.token import FILE_NAME, local_token
from atm.config import LocalAuth, Settings
from atm.errors import Problem, SettingsError
from atm.http_connection import (
    MAXIMUM_HEAD_BYTES,
    Connection,
    ServerConfig,
    TlsConnection,
    most_connections,
    url_of,
    warn_of_clear_text,
)
from atm.logs import MaskedLines
from atm.mcp_server.request_limits import App, Receive, RequestLimits, Scope, Send, refuse
from atm.mcp_server.server import AgentServer
from atm.mcp_server.services import ToolServices

DEFAULT_PORT = 8001
PATH = "/mcp"
GRACE_SECONDS = 2
_AT_A_TERMINAL = (
    "atm mcp speaks the Model Context Protocol on standard input and output; an agent's host program starts it, see\n"
    "docs/guide/from-an-llm-agent.md. Ctrl-C ends it.\n"
)
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def set_up_logs(settings: Settings) -> None:
    """Log warnings to standard error; standard output carries the protocol."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskedLines("%(levelname)s %(name)s: %(message)s", settings.secret_values()))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def serve_stdio(settings: Settings) -> None:
    """Serve the client on standard input and output until it disconnects."""
    set_up_logs(settings)
    if sys.stdin.isatty():
        sys.stderr.write(_AT_A_TERMINAL)
    asyncio.run(_serve_stdio(AgentServer(ToolServices.of(settings))))


async def _serve_stdio(server: AgentServer) -> None:
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []

    def ended(number: int) -> None:
        if not ending:
            ending.append(loop.create_task(_end(server, number)))

    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, ended, number)
    await server.run_stdio_async()


async def _end(server: AgentServer, number: int) -> None:
    """Close the session, then end the process with this signal.

    A thread blocks on standard input and cannot be interrupted, so a normal exit would hang.
    """
    asyncio.get_running_loop().remove_signal_handler(number)
    # A second signal ends the process at once.
    signal.signal(number, signal.SIG_DFL)
    try:
        await server.services.close()
    finally:
        os.kill(os.getpid(), number)


def serve_http(settings: Settings, host: str, port: int) -> None:
    """Serve clients over HTTP until a signal ends it. Raises SettingsError without a key on a non-loopback address."""
    set_up_logs(settings)
    if not is_loopback(host) and settings.mcp_key is None:
        what = f"{host} is reachable from other machines, and no key is set"
        hint = "set ATM_MCP_KEY to a long random text, or listen on 127.0.0.1"
        raise SettingsError(Problem(what, "key_needed", path="ATM_MCP_KEY", hint=hint))
    app: App = AgentServer(ToolServices.of(settings)).streamable_http_app(
        streamable_http_path=PATH,
        max_request_body_size=settings.max_body_bytes,
        transport_security=security(settings, host),
    )
    app = _guarded(RequestLimits(app, settings.max_body_bytes), settings)
    warn_of_clear_text(settings, host)
    config = ServerConfig(
        app,
        settings,
        host=host,
        port=port,
        # uvloop starts no process in a group of its own, as the server behind the tools is.
        loop="asyncio",
        log_config=None,
        access_log=False,
        http=Connection,
        https=_HttpsConnection,
        h11_max_incomplete_event_size=MAXIMUM_HEAD_BYTES,
        limit_concurrency=most_connections(settings.max_connections) + 1,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Server(config).run()


def _guarded(app: App, settings: Settings) -> App:
    """Wrap the app in authentication: by key, or without one by the loopback rules of `atm serve`."""
    if settings.mcp_key is not None:
        return KeyAuthentication(app, settings.mcp_key.get_secret_value())
    if settings.auth is LocalAuth.OFF:
        sys.stderr.write("ATM_AUTH=off: every process and every user of this machine may use these tools\n")
        return app
    if settings.auth is LocalAuth.AUTO and can_identify():
        return AccountAuthentication(app)
    token = local_token(settings.data_dir)
    sys.stderr.write(f"clients send the token in {settings.data_dir / FILE_NAME} as Authorization: Bearer\n")
    return KeyAuthentication(app, token)


class _HttpsConnection(TlsConnection):
    http = Connection


class _Server(uvicorn.Server):
    """Prints its address once it listens."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port, *_ = self.servers[0].sockets[0].getsockname()
            sys.stderr.write(f"atm mcp listens on {url_of(host, port, is_tls=self.config.is_ssl)}{PATH}\n")
            sys.stderr.flush()


def security(settings: Settings, host: str) -> TransportSecuritySettings:
    """Allow the Host and Origin headers of this machine and of the settings.

    This rejects pages in a local browser by their Origin, and DNS rebinding by the Host.
    """
    names = [*_LOOPBACK, *settings.allowed_hosts]
    if not _is_unspecified(host):
        names.append(f"[{host}]" if ":" in host else host)
    hosts = [pattern for name in dict.fromkeys(names) for pattern in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[*origins, *settings.cors_origins])


class AccountAuthentication:
    """ASGI middleware that admits only processes of this account and of root."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            client, server = scope["client"], scope["server"]
            if not (client and server and is_admitted(owner_of(tuple(client), tuple(server)))):
                await refuse(send, 403, f"without a key (ATM_MCP_KEY) only processes of {account_name()} have access")
                return
        await self._app(scope, receive, send)


class KeyAuthentication:
    """ASGI middleware that requires the key as `Authorization: Bearer …`."""

    def __init__(self, app: App, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sent = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(sent, self._expected):
                what = "send the key of this MCP server (its ATM_MCP_KEY) as Authorization: Bearer KEY"
                await refuse(send, 401, what, (b"www-authenticate", b"Bearer"))
                return
        await self._app(scope, receive, send)


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return not host
