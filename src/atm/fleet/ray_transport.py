"""Workers on the nodes of a Ray cluster: one actor per node relays messages to a worker process there.

Everything that Ray carries is encrypted between here and the actor, so that neither its object store, logs and
dashboard nor the network sees a plan or a secret.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import Any

from atm.errors import Problem
from atm.fleet import ray_relay
from atm.fleet.ray_local import LocalRay, local_token
from atm.fleet.ray_session import RaySession, too_few_nodes
from atm.fleet.sealed_channel import SealedChannel
from atm.fleet.transport import FleetError, Link, LinkLostError
from atm.models.ray_address import RayAddress

PLACE_SECONDS = 60.0
"""How long to wait for free cores; a cluster that grows by demand needs time to start nodes."""
START_SECONDS = 60.0
END_SECONDS = 5.0
_RELAY_SECONDS = 1.0
"""What a call may take beyond the timeout of the worker itself, which the relay observes."""


class RayLink:
    """The way to one worker process: an actor on its node."""

    def __init__(self, name: str, session: RaySession, actor: Any) -> None:
        self._name = name
        self._session = session
        self._actor = actor
        self._channel = SealedChannel()
        self._is_lost = False
        self._is_gone = False
        """Neither the worker nor its relay can be reached."""
        self._has_ended = False
        """The worker was killed by its relay."""
        self.ray_version = ""
        """On its node."""

    @property
    def name(self) -> str:
        return self._name

    async def start(self) -> None:
        """Start the worker process. Raises LinkLostError."""
        node = await self._exchange(START_SECONDS, "open", self._name, self._channel.public_key)
        self._name = f"{self._name} on {node['host']}"
        self.ray_version = node["ray"]
        if problem := node.get("problem"):
            self._is_lost = True
            installed = f"atm {node['version']} is installed there" if node["version"] else "atm is not installed there"
            raise LinkLostError(f"{self._name}: {problem} ({installed})")
        self._channel.agree(node["public_key"])

    async def call(self, message: bytes, timeout_seconds: float) -> bytes:
        if self._is_lost:
            raise LinkLostError(f"{self._name} was lost before")
        sealed = self._channel.seal(message)
        answer = await self._exchange(timeout_seconds + _RELAY_SECONDS, "call", sealed, timeout_seconds)
        try:
            plain = self._channel.open(answer)
        except ValueError as error:
            self._is_lost = True
            raise LinkLostError(f"{self._name} answered out of order") from error
        if plain[:1] == ray_relay.LOST:
            self._is_lost = True
            reason = plain[1:].decode().removeprefix(self._name.partition(" on ")[0])
            raise LinkLostError(f"{self._name} {reason.strip()}")
        return plain[1:]

    async def kill(self) -> bool:
        self._is_lost = True
        if not self._is_gone:
            # Out of reach: what is left ends with the relay, or by itself without messages.
            with suppress(LinkLostError):
                await self._exchange(END_SECONDS, "kill")
                self._has_ended = True
            self._is_gone = True
            await asyncio.to_thread(self._session.kill, self._actor)
        return self._has_ended

    async def _exchange(self, timeout_seconds: float, method: str, *arguments: Any) -> Any:
        """Call a method of the actor. Raises LinkLostError."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._session.call(self._actor, method, *arguments)
        except TimeoutError as error:
            self._is_lost = True
            raise LinkLostError(f"{self._name} did not answer within {timeout_seconds:g} s") from error
        except LinkLostError as error:
            self._is_lost = self._is_gone = True
            raise LinkLostError(f"{self._name} is gone: {error}") from error


class RayTransport:
    """The transport to workers on a Ray cluster.

    `allow_open` permits a cluster on another machine that demands no token. A given `session` is used and stays open.
    """

    def __init__(
        self,
        address: RayAddress,
        *,
        allow_open: bool = False,
        place_seconds: float = PLACE_SECONDS,
        session: RaySession | None = None,
    ) -> None:
        self._address = address
        self._allow_open = allow_open
        self._place_seconds = place_seconds
        self._session = session
        self._keeps_session = session is not None
        self._local: LocalRay | None = None
        self._places: list[Any] = []
        self._links: list[RayLink] = []

    async def count_nodes(self) -> int:
        """Return how many nodes could have a worker each. Raises FleetError, also if there are none."""
        session = await self._connected(1)
        nodes = len(await asyncio.to_thread(session.nodes))
        if nodes == 0:
            raise FleetError(too_few_nodes(1, 0, 0))
        return nodes

    def ray_versions(self) -> dict[str, str]:
        """Return the version of Ray on each worker's node, by the name of the worker."""
        return {link.name: link.ray_version for link in self._links}

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        try:
            return await self._open(count, count if least is None else least)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await asyncio.gather(*(link.kill() for link in self._links))
        if self._session is not None:
            while self._places:
                await asyncio.to_thread(self._session.release, self._places.pop())
            if not self._keeps_session:
                session, self._session = self._session, None
                await asyncio.to_thread(session.close)
        if self._local is not None:
            await self._local.close()
            self._local = None

    async def _open(self, count: int, least: int) -> list[Link]:
        session = await self._connected(count)
        places, actors = await asyncio.to_thread(self._placed, session, count, least)
        self._places.append(places)
        first = len(self._links) + 1
        links = [RayLink(f"worker {number}", session, actor) for number, actor in enumerate(actors, first)]
        self._links += links
        outcomes = await asyncio.gather(*(link.start() for link in links), return_exceptions=True)
        lost = [outcome for outcome in outcomes if isinstance(outcome, LinkLostError)]
        if len(links) - len(lost) < least:
            raise FleetError([Problem(str(error), "worker_not_started") for error in lost])
        for outcome in outcomes:
            if outcome is not None and not isinstance(outcome, LinkLostError):
                raise outcome
        return [link for link, outcome in zip(links, outcomes, strict=True) if outcome is None]

    def _placed(self, session: RaySession, count: int, least: int) -> tuple[Any, list[Any]]:
        """Start `count` actors, or as many as there are nodes if these are `least`. Blocks; raises FleetError."""
        try:
            return session.place(count, self._place_seconds)
        except FleetError:
            nodes = len(session.nodes())
            if not least <= nodes < count:
                raise
            return session.place(nodes, self._place_seconds)

    async def _connected(self, count: int) -> RaySession:
        if self._session is None:
            address = await self._start_local(count) if self._address.is_local else self._address
            self._session = await asyncio.to_thread(RaySession.connect, address, self._allow_open)
        return self._session

    async def _start_local(self, count: int) -> RayAddress:
        self._local = await LocalRay.start(max(count, os.cpu_count() or 1))
        os.environ["RAY_AUTH_TOKEN"] = local_token()
        return self._local.address
