"""The seam between a run on several workers and the ways to reach them: links to worker processes carry messages.

Every worker is a process of its own (`worker_process`), which answers one message at a time. A message and its answer
are bytes; only `messages` knows what is in them.
"""

from __future__ import annotations

from typing import Protocol

from atm.errors import AtmError


class FleetError(AtmError):
    """A run on several workers could not begin or continue."""


class LinkLostError(Exception):
    """The worker cannot be reached any more: its process, its node or the connection ended, or it did not answer."""


class Link(Protocol):
    """The way to one worker process."""

    @property
    def name(self) -> str:
        """Unique within the run, for people: `worker 1`, or `worker 1 on node-a`."""
        ...

    async def call(self, message: bytes, timeout_seconds: float) -> bytes:
        """Send a message and return the answer. Calls of one link do not overlap.

        Raises LinkLostError, after which the link is of no use.
        """
        ...

    async def kill(self) -> bool:
        """End the worker process and all it started; return whether it has ended, False if it is out of reach.

        Idempotent.
        """
        ...


class Transport(Protocol):
    """Starts worker processes. All implementations pass one contract suite, tests/fleet/test_transports.py."""

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        """Start `count` workers, each in a place of its own where the transport has places (nodes).

        If not all can be started, `least` are enough. Raises FleetError when fewer were; they have ended then.
        """
        ...

    async def close(self) -> None:
        """Kill every worker; nothing that this transport started is left behind. Idempotent."""
        ...
