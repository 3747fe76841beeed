"""What is checked of a fleet before load: versions that must agree, limits, clocks, and the way to the target."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import field

from atm.dataclass import dataclass
from atm.errors import Problem
from atm.fleet import messages
from atm.fleet.clocks import ClockEstimate
from atm.fleet.messages import Answer, Description, Message, Reach
from atm.fleet.transport import FleetError, Link, LinkLostError
from atm.fleet.versions import SAME_VERSION, mismatch
from atm.fleet.worker import description

ANSWER_SECONDS = 30.0
CLOCK_READINGS = 20


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """One worker and its answers; `reaches` has the key `host:port`."""

    name: str
    description: Description
    clock: ClockEstimate
    reaches: Mapping[str, Reach]


@dataclass(frozen=True, slots=True)
class FleetCheck:
    """This machine and all workers."""

    here: Description
    nodes: Sequence[NodeCheck]
    ray_version: str = ""
    """Here; empty without Ray."""
    ray_versions: Mapping[str, str] = field(default_factory=dict)
    """By name of the worker."""

    @property
    def problems(self) -> list[Problem]:
        """All versions that differ from those here."""
        compared = (mismatch(self.here, node.name, node.description) for node in self.nodes)
        return [problem for problem in compared if problem is not None]

    @property
    def unreached(self) -> list[str]:
        """The workers that do not reach a target."""
        return [node.name for node in self.nodes if any(reach.problem for reach in node.reaches.values())]


async def check_fleet(links: Sequence[Link], targets: Sequence[tuple[str, int]] = ()) -> FleetCheck:
    """Question all workers at the same time. Raises FleetError when one does not answer."""
    checks = await asyncio.gather(*(_check(link, targets) for link in links), return_exceptions=True)
    lost = [check for check in checks if isinstance(check, LinkLostError)]
    if lost:
        raise FleetError([Problem(str(error), "worker_lost") for error in lost])
    done: list[NodeCheck] = []
    for check in checks:
        if isinstance(check, BaseException):
            raise check
        done.append(check)
    return FleetCheck(description(), done)


async def describe(link: Link, timeout_seconds: float = ANSWER_SECONDS) -> Description:
    """Ask a worker for its description. Raises LinkLostError, and FleetError for an answer of another version."""
    described = await _ask(link, messages.Describe(), timeout_seconds)
    if not isinstance(described, Description):
        raise FleetError(_another_format(link))
    return described


async def _check(link: Link, targets: Sequence[tuple[str, int]]) -> NodeCheck:
    described = await describe(link)
    clock = ClockEstimate()
    for _ in range(CLOCK_READINGS):
        sent = time.monotonic_ns()
        reading = await _ask(link, messages.ReadClock())
        if isinstance(reading, messages.ClockReading):
            clock = clock.including(sent, reading.now_ns, time.monotonic_ns())
    reaches = {}
    for host, port in targets:
        reach = await _ask(link, messages.CheckReach(host, port))
        if isinstance(reach, Reach):
            reaches[f"{host}:{port}"] = reach
    return NodeCheck(link.name, described, clock, reaches)


async def _ask(link: Link, message: Message, timeout_seconds: float = ANSWER_SECONDS) -> Answer:
    data = await link.call(messages.encode(message), timeout_seconds)
    try:
        return messages.decode_answer(data)
    except ValueError as error:
        raise FleetError(_another_format(link)) from error


def _another_format(link: Link) -> Problem:
    return Problem(f"{link.name} answers in another format", "worker_version", hint=SAME_VERSION)
