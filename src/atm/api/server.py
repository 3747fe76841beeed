"""Run the app with uvicorn, with settings from the environment."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from atm import child_process
from atm.api.app import END_STREAMS, create_app
from atm.api.local_access import LocalAccess
from atm.api.protocol import HttpProtocol, HttpsProtocol
from atm.config import Settings, load_settings
from atm.errors import Problem, SettingsError
from atm.http_connection import (
    MAXIMUM_HEAD_BYTES,
    ServerConfig,
    most_connections,
    url_of,
    warn_of_clear_text,
)
from atm.logs import set_up
from atm.storage import open_storage

log = logging.getLogger("atm.api")

GRACE_SECONDS = 5
"""Time for responses in progress at shutdown; streams end at once."""
WORKER_SILENCE_SECONDS = 60
"""Health check timeout after which a worker is replaced. It exceeds the startup time on a busy machine, so no worker is
replaced while it starts."""
_MOST_WORKERS = 64


def configuration(settings: Settings, host: str, port: int, workers: int) -> ServerConfig:
    """Return uvicorn's configuration. Raises SettingsError."""
    return ServerConfig(
        "atm.api.server:app_of_worker",
        settings,
        factory=True,
        http=HttpProtocol,
        https=HttpsProtocol,
        host=host,
        port=port,
        workers=workers,
        log_config=None,
        access_log=False,
        h11_max_incomplete_event_size=MAXIMUM_HEAD_BYTES,
        limit_concurrency=most_connections(settings.max_connections) + 1,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=GRACE_SECONDS,
        ws_max_size=65_536,
        timeout_worker_healthcheck=WORKER_SILENCE_SECONDS,
    )


def app_of_worker() -> FastAPI:
    """Build the app of a server or worker process, with logging set up."""
    settings = load_settings()
    set_up(secrets=settings.secret_values())
    return create_app(settings)


def serve(host: str, port: int, workers: int, *, for_parent: bool) -> None:
    """Serve until a signal ends it, with settings from the environment.

    `for_parent` is for programs that start a server as a child: it ends when standard input closes, so it does not
    outlive its parent, and prints its address as one line of JSON on standard output (`port` 0: any free one). Raises
    SettingsError (also for a port in use), SchemaError, StorageUnavailableError.
    """
    # The imports are done: collect what requests leave behind as often as usual, without what stays.
    gc.freeze()
    gc.set_threshold(700, 10, 10)
    settings = load_settings()
    os.umask(child_process.PRIVATE_UMASK)
    child_process.protect_workers()
    if not 1 <= workers <= _MOST_WORKERS:
        raise SettingsError(Problem(f"workers must be 1 to {_MOST_WORKERS}, not {workers}", "invalid_setting"))
    set_up(secrets=settings.secret_values())
    config = configuration(settings, host, port, workers)
    # In the parent, so that the storage is ready before workers start.
    is_open = asyncio.run(_prepare(settings))
    _check_port(host, port)
    if is_open and not for_parent:
        _print_address(settings, host, port)
    warn_of_clear_text(settings, host)
    if workers == 1:
        (_ParentsServer if for_parent else _Server)(config).run()
        return
    from atm.api.workers import Workers

    listener = config.bind_socket()
    supervisor = Workers(config, listener)
    if for_parent:
        # Connections wait in the backlog until the workers accept them.
        listener.listen(config.backlog)
        _print_url(listener, is_tls=config.is_ssl)
        _at_end_of_input(supervisor.should_exit.set)
    supervisor.run()


def _print_url(listener: socket.socket, *, is_tls: bool) -> None:
    host, port, *_ = listener.getsockname()
    os.write(1, json.dumps({"url": url_of(host, port, is_tls=is_tls)}).encode() + b"\n")


def _at_end_of_input(end: Callable[[], object]) -> None:
    """Call a function, in a thread, when standard input ends."""

    def read() -> None:
        while os.read(0, 4096):
            pass
        end()

    # No event loop can watch /dev/null or a file.
    threading.Thread(target=read, name="standard input", daemon=True).start()


class _Server(uvicorn.Server):
    """Logs its URL with the right scheme."""

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        host, port, *_ = listeners[0].getsockname()
        log.info("listening on %s (Ctrl-C ends it)", url_of(host, port, is_tls=self.config.is_ssl))


class _ParentsServer(_Server):
    """A server that belongs to its parent process and ends when its standard input closes."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        _print_url(self.servers[0].sockets[0], is_tls=self.config.is_ssl)
        loop = asyncio.get_running_loop()

        def end() -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has ended
                loop.call_soon_threadsafe(self._end)

        _at_end_of_input(end)

    def _end(self) -> None:
        self.lifespan.state[END_STREAMS]()
        self.should_exit = True


async def _prepare(settings: Settings) -> bool:
    """Open the storage once; return whether the installation has no key yet."""
    storage = await open_storage(settings)
    try:
        return settings.server_api_key is None and not await storage.keys.all()
    finally:
        await storage.close()


def _print_address(settings: Settings, host: str, port: int) -> None:
    """Print the sign-in URL with the local token, only to a terminal, because logs must not contain secrets."""
    token = LocalAccess(settings).token
    if token is not None and sys.stderr.isatty():
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        url = url_of(name, port, is_tls=settings.tls_cert is not None)
        sys.stderr.write(f"open this URL to sign in: {url}{settings.root_path}/?token={token}\n")


def _check_port(host: str, port: int) -> None:
    """Check early that the port can be bound. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is in use" if taken else f"cannot be listened on: {error.strerror}"
            what = f"port {port} on {host} {why}"
            hint = "use another one: `atm serve --port 8001`" if taken else ""
            raise SettingsError(Problem(what, "port_in_use" if taken else "cannot_listen", hint=hint)) from error
