"""What is checked of a fleet before load: versions that must agree, limits, clocks, and the way to the target."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from atm.errors import Problem
from atm.fleet import messages
from atm.fleet.clocks import ClockEstimate
from atm.fleet.messages import Answer, Description, Message, Reach
from atm.fleet.transport import FleetError, Link, LinkLostError
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


def mismatch(here: Description, name: str, there: Description) -> Problem | None:
    """Return which versions of a worker differ from those here, so that it might send or count differently."""
    pairs = [
        ("atm", here.version, there.version),
        ("plan format", str(here.plan_format), str(there.plan_format)),
        ("Python", minor(here.python), minor(there.python)),
        *((f"engine {engine}", here.engines.get(engine, ""), there.engines.get(engine, ""))
          for engine in sorted({*here.engines, *there.engines})),
    ]  # fmt: skip
    differences = [
        f"{thing} {theirs or 'is missing'} (here {ours or 'missing'})"
        for thing, ours, theirs in pairs
        if ours != theirs
    ]
    if not differences:
        return None
    return Problem(
        f"{name} differs: {', '.join(differences)}",
        "worker_version",
        hint="Install the same version of api-test-machine, in the same Python, here and on all nodes",
    )


def minor(python: str) -> str:
    """Return the first two numbers of a version of Python, up to which Ray needs it the same."""
    return ".".join(python.split(".")[:2])


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


async def _check(link: Link, targets: Sequence[tuple[str, int]]) -> NodeCheck:
    described = await _ask(link, messages.Describe())
    if not isinstance(described, Description):
        raise FleetError(Problem(f"{link.name} answers in another format", "worker_version"))
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


async def _ask(link: Link, message: Message) -> Answer:
    data = await link.call(messages.encode(message), ANSWER_SECONDS)
    try:
        return messages.decode_answer(data)
    except ValueError as error:
        raise FleetError(
            Problem(
                f"{link.name} answers in another format",
                "worker_version",
                hint="Install the same version of api-test-machine here and on all nodes",
            )
        ) from error
