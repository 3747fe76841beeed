"""The API server behind the tools: the one at ATM_API_URL, or a child process.

The child is `atm serve` on loopback, started by the first call that needs it. It always ends with this process, because
its standard input is a pipe that this process holds.
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
"""Stop waiting for the child after this; it is shutting down, and our own parent does not wait longer."""
_LOG_TAIL_BYTES = 2000
_LEFT_OUT = ("ATM_API_URL", "ATM_API_KEY", "ATM_MCP_KEY", "ATM_TLS_CERT", "ATM_TLS_KEY")
"""Variables that the child does not get."""


class Backend:
    """Provides a client of the server and starts the server if needed. Bound to one event loop."""

    def __init__(self, settings: Settings, environment: Mapping[str, str] | None = None) -> None:
        """`environment` is the child's, by default that of this process."""
        self._settings = settings
        self._environment = os.environ if environment is None else environment
        self._lock = asyncio.Lock()
        self._client: ControlClient | None = None
        self._child: ChildServer | None = None

    @property
    def is_child(self) -> bool:
        """Whether the server is, or would be, a child process."""
        return self._settings.api_url is None

    @property
    def open_client(self) -> ControlClient | None:
        """The open client; None before the first use."""
        return self._client

    async def control(self) -> ControlClient:
        """Return a client, after starting the child or replacing one that has ended.

        Raises ServerUnreachableError if the child does not start. The server at ATM_API_URL is not contacted here.
        """
        async with self._lock:
            if self._client is not None and (self._child is None or self._child.is_alive):
                return self._client
            await self._close()
            if self._settings.api_url is None:
                self._child = ChildServer(self._settings, self._environment)
                self._client = ControlClient(await self._child.start(), self._child.key, source="mcp")
            else:
                url = self._settings.api_url
                self._client = ControlClient(url, self._settings.key_for(url), source="mcp")
            return self._client

    async def close(self) -> None:
        """Close the client and end the child."""
        async with self._lock:
            await self._close()

    async def _close(self) -> None:
        client, self._client = self._client, None
        child, self._child = self._child, None
        if client is not None:
            await client.close()
        if child is not None:
            await child.stop()


def _absolute(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment with absolute file paths: it runs in the data directory."""
    return {
        name: os.path.abspath(value) if value and name.startswith("ATM_") and name.endswith("_FILE") else value
        for name, value in environment.items()
        if name not in _LEFT_OUT
    }


def _has_ended(pid: int) -> bool:
    """Whether a child has ended, even if the event loop has not noticed yet."""
    if not hasattr(os, "waitid"):
        return False
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


class ChildServer:
    """`atm serve` as a child process that ends with this one; only this process has its key."""

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
            # Read-only also means that schedules start no load.
            changed["ATM_AGENT"] = "off"
        return changed

    @property
    def is_alive(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.returncode is None and not _has_ended(self._process.pid)

    async def start(self) -> str:
        """Start it, wait until it listens, return its address. Raises ServerUnreachableError with its output."""
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
                # A signal to our process group must not interrupt its shutdown.
                process_group=0,
            )
        except OSError as error:
            what = f"the API server of this MCP server did not start: {error.strerror or error}"
            hint = "ATM_DATA_DIR must be a directory of this user; run `atm serve` to see more"
            raise ServerUnreachableError(
                Problem(what, "own_server_failed", place=str(self._directory), hint=hint)
            ) from error
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), READY_SECONDS)
        except TimeoutError:
            line = b""
        if not line:
            output = self._log_tail()
            await self.stop()
            what = f"the API server of this MCP server did not start: {output or 'no output'}"
            hint = "Run `atm serve` to see more, and set ATM_API_URL to its address"
            raise ServerUnreachableError(Problem(what, "own_server_failed", hint=hint))
        return str(json.loads(line)["url"])

    async def stop(self) -> None:
        """Close its input and terminate it; wait for at most `STOP_SECONDS`."""
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

    def _log_tail(self) -> str:
        if self._log is None:
            return ""
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - _LOG_TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()
