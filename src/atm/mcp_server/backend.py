"""The server that carries out what agents ask for: the one that ATM_API_URL names, or one of our own.

One of our own is `atm serve` on loopback, started at the first call that needs it, in a process of its own. It ends
with us however we end: its standard input is a pipe that we hold.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO

from atm import child_process, data_directory
from atm.client import ControlClient
from atm.config import Settings
from atm.errors import Problem, ServerUnreachableError

READY_SECONDS = 60.0
STOP_SECONDS = 1.0
"""After this the child, which knows that it is to end, is left to it: who started us does not wait longer."""
_SAID_BYTES = 2000
_LEFT_OUT = ("ATM_API_URL", "ATM_API_KEY", "ATM_MCP_KEY", "ATM_TLS_CERT", "ATM_TLS_KEY")
"""What a server of our own has no use for."""


class Backend:
    """Gives a client of the server, and starts the server where there is none. One event loop."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is what a server of our own gets; that of this process by default."""
        self._settings = settings
        self._environment = os.environ if environment is None else environment
        self._lock = asyncio.Lock()
        self._client: ControlClient | None = None
        self._child: OwnServer | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the server is, or would be, one of our own."""
        return self._settings.api_url is None

    @property
    def open_client(self) -> ControlClient | None:
        """The client that is open; null before the first use."""
        return self._client

    async def control(self) -> ControlClient:
        """A client of a server that was there a moment ago.

        Raises ServerUnreachableError where a server of our own does not start; the address in ATM_API_URL is only
        tried when something is asked of it.
        """
        async with self._lock:
            if self._client is not None and (self._child is None or self._child.is_alive):
                return self._client
            await self._let_go()
            if self._settings.api_url is None:
                self._child = OwnServer(self._settings, self._environment)
                self._client = ControlClient(await self._child.start(), self._child.key, source="mcp")
            else:
                url = self._settings.api_url
                self._client = ControlClient(url, self._settings.key_for(url), source="mcp")
            return self._client

    async def close(self) -> None:
        """Let go of the server; one of our own ends."""
        async with self._lock:
            await self._let_go()

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        child, self._child = self._child, None
        if client is not None:
            await client.close()
        if child is not None:
            await child.stop()


def _absolute(environment: Mapping[str, str]) -> dict[str, str]:
    """What our server gets, with files by their whole paths: it works in the data directory."""
    return {
        name: os.path.abspath(value) if value and name.startswith("ATM_") and name.endswith("_FILE") else value
        for name, value in environment.items()
        if name not in _LEFT_OUT
    }


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, although the event loop has not been told yet."""
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


class OwnServer:
    """`atm serve` as a child that ends when we do. Nobody else has its key."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self.key = secrets.token_urlsafe(32)
        self._directory = settings.data_dir
        self._environment = {**_absolute(environment), **self._changed(settings)}
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] | None = None

    def _changed(self, settings: Settings) -> dict[str, str]:
        changed = {"API_TEST_MACHINE_API_KEY": self.key, "ATM_DATA_DIR": str(self._directory)}
        if settings.database_url is not None:
            changed["ATM_DATABASE_URL"] = settings.database_url.get_secret_value()
        if settings.mcp_read_only:
            # Whoever may only look starts no load, by schedules neither.
            changed["ATM_AGENT"] = "off"
        return changed

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None and not _has_ended(self._process.pid)

    async def start(self) -> str:
        """Start it and wait until it listens; its address. Raises ServerUnreachableError with what it said."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the child)
        try:
            await asyncio.to_thread(data_directory.prepare, self._directory)
            self._process = await child_process.start_async(
                *("atm", "serve", "--host=127.0.0.1", "--port=0", "--for-parent"),
                directory=self._directory,
                variables=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                # Whoever ends our group lets it end in its own time.
                process_group=0,
            )
        except OSError as error:
            what = f"the server that this MCP server starts for itself did not start: {error.strerror or error}"
            hint = "ATM_DATA_DIR names a directory of this user; `atm serve` by hand shows more"
            raise ServerUnreachableError(
                Problem(what, "own_server_failed", place=str(self._directory), hint=hint)
            ) from error
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), READY_SECONDS)
        except TimeoutError:
            line = b""
        if not line:
            said = self._said()
            await self.stop()
            what = f"the server that this MCP server starts for itself did not start: {said or 'it said nothing'}"
            hint = "Start one by hand to see more (`atm serve`), and name it in ATM_API_URL"
            raise ServerUnreachableError(Problem(what, "own_server_failed", hint=hint))
        return str(json.loads(line)["url"])

    async def stop(self) -> None:
        """Have it end: its input is closed, and it is told by signal; not waited for beyond a moment."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
        if self._log is not None:
            self._log.close()
            self._log = None

    def _said(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _SAID_BYTES))
        return self._log.read().decode(errors="replace").strip()
