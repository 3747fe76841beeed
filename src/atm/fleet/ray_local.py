"""Starts a Ray on this machine for one run, `ray:local`, to try a fleet without a cluster."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import tempfile
from collections import deque
from functools import cache

from atm import child_process
from atm.errors import Problem
from atm.fleet.transport import FleetError
from atm.models.ray_address import RayAddress

START_SECONDS = 120.0
_CHECK_SECONDS = 0.1
_LAST_LINES = 5
_SHORT_DIRECTORY = "/tmp" if os.path.isdir("/tmp") else None
"""Ray puts sockets below its directory, and their paths have at most 107 characters: TMPDIR may be too long."""


@cache
def local_token() -> str:
    """The token of each Ray that this process starts. Ray reads its token once per process, so it stays the same."""
    return secrets.token_hex(32)


def loopback_environment(token: str) -> dict[str, str]:
    """Variables with which Ray listens on 127.0.0.1 only, demands a token, and reports no usage to its makers."""
    return {
        # Named after the systems on which it is the default: without it Ray takes the address of a network card.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        # Ray forks in processes that use gRPC; on a busy machine, gRPC's own handlers of that have broken the child.
        "GRPC_ENABLE_FORK_SUPPORT": "0",
    }


class LocalRay:
    """A Ray of one node, in processes of its own."""

    def __init__(self, process: asyncio.subprocess.Process, address: RayAddress) -> None:
        self.address = address
        self._process = process
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._reading = asyncio.create_task(self._read_errors())

    @classmethod
    async def start(cls, cores: int) -> LocalRay:
        """Start Ray with `cores` for its scheduler. Raises FleetError."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        directory = tempfile.mkdtemp(prefix="atm-ray-", dir=_SHORT_DIRECTORY)
        pipe = asyncio.subprocess.PIPE
        process = await child_process.start_async(
            "atm.fleet.local_ray_process",
            *(str(port), str(cores), directory),
            variables={**child_process.environment(), **loopback_environment(local_token())},
            stdin=pipe,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=pipe,
            start_new_session=True,
        )
        ray = cls(process, RayAddress("127.0.0.1", port))
        try:
            await ray._until_reachable()
        except BaseException:
            await ray.close()
            raise
        return ray

    async def close(self) -> None:
        """End Ray and all its processes. Idempotent."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reading

    async def _until_reachable(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while self._process.returncode is None:
                    try:
                        _, writer = await asyncio.open_connection("127.0.0.1", self.address.port)
                    except OSError:
                        await asyncio.sleep(_CHECK_SECONDS)
                    else:
                        writer.close()
                        return
        except TimeoutError as error:
            raise _not_started(f"nothing listens after {START_SECONDS:g} s") from error
        await self._reading
        raise _not_started("; ".join(self._last_lines) or f"exit code {self._process.returncode}")

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            if text := line.decode(errors="replace").strip():
                self._last_lines.append(text)


def _not_started(reason: str) -> FleetError:
    return FleetError(Problem(f"Ray did not start here: {reason}", "ray_not_started"))
