"""The actor on each node of a Ray cluster: it starts a worker process there and relays messages to it.

Ray sends this class to the nodes by value, so a node without atm, or with another version, can say so. Therefore
nothing of atm is imported before `open`. Ray's actor carries bytes only: no load runs in its event loop.
"""

from __future__ import annotations

import importlib.metadata
import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atm.fleet.local_processes import ProcessLink
    from atm.fleet.sealed_channel import SealedChannel

ANSWER, LOST = b"\0", b"\1"
"""The first byte of what `call` seals: an answer of the worker, or the reason why there is none."""


class Relay:
    """Starts one worker process and passes it one message at a time. Ray calls it from one event loop."""

    def __init__(self) -> None:
        self._link: ProcessLink | None = None
        self._channel: SealedChannel | None = None

    async def open(self, name: str, public_key: bytes) -> dict[str, str | bytes]:
        """Start the worker process. Return host, installed versions, and this end's public key or a problem."""
        try:
            version = importlib.metadata.version("api-test-machine")
        except importlib.metadata.PackageNotFoundError:
            version = ""
        ray = importlib.metadata.version("ray")
        node: dict[str, str | bytes] = {"host": platform.node(), "version": version, "ray": ray}
        try:
            from atm.fleet.local_processes import ProcessLink
            from atm.fleet.sealed_channel import SealedChannel

            self._channel = SealedChannel()
            self._channel.agree(public_key)
            self._link = await ProcessLink.start(name)
        except (ImportError, OSError) as error:
            return {**node, "problem": str(error)}
        return {**node, "public_key": self._channel.public_key}

    async def call(self, sealed: bytes, timeout_seconds: float) -> bytes:
        """Pass a sealed message to the worker and return its sealed answer."""
        from atm.fleet.transport import LinkLostError

        assert self._link is not None
        assert self._channel is not None
        try:
            answer = ANSWER + await self._link.call(self._channel.open(sealed), timeout_seconds)
        except LinkLostError as error:
            answer = LOST + str(error).encode()
        return self._channel.seal(answer)

    async def kill(self) -> None:
        """End the worker process and all it started."""
        if self._link is not None:
            await self._link.kill()
