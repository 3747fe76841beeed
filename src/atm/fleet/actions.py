"""What a run on several workers does: actions of the state machine, which a driver carries out in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from atm.dataclass import dataclass
from atm.fleet.messages import Message

LoadKey: TypeAlias = tuple[int, int]
"""A load: worker and incarnation."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; its answer goes to `answered`, or its failure to `lost`. One at a time for each worker."""

    worker: int
    message: Message
    timeout_seconds: float
    lease_ns: int = 0
    """In the worker's clock, see `messages.lease_of`."""


@dataclass(frozen=True, slots=True)
class Kill:
    """End the worker's process; the outcome goes to `killed`."""

    worker: int


@dataclass(frozen=True, slots=True)
class Second:
    """A complete second: what was reported of each load that ran."""

    second: int
    parts: Mapping[LoadKey, bytes]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over; nothing follows."""


Action: TypeAlias = Send | Kill | Second | Finished
