"""What scenarios in code add to a second of a run: names that are used first, exceptions, and blocking calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from atm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class AnnouncedEndpoint:
    """An endpoint that a scenario in code has used first."""

    index: int
    """One more than the last one so far; or that of an endpoint of the plan, of which method and URL are now known."""
    scenario: int
    """Index of its flow."""
    name: str
    method: str
    url: str


@dataclass(frozen=True, slots=True)
class AnnouncedCheck:
    """A check that a scenario in code has used first."""

    index: int
    """One more than the last one so far."""
    name: str
    endpoint: int


@dataclass(frozen=True, slots=True)
class RaisedGroup:
    """Exceptions of one kind that ended iterations within one second. Times in ns since the start of the run."""

    scenario: int
    """Index of the flow."""
    warm_up: bool
    message: str
    """`ValueError: no stock (shop.py:12)`."""
    count: int
    first_ns: int
    last_ns: int
    traceback: str
    """That of the first one; empty where enough of its kind were reported."""


@dataclass(frozen=True, slots=True)
class BlockingGroup:
    """Times in one second at which code kept the engine from doing anything else."""

    scenario: int
    """Index of the flow that ran when it began; -1 if unknown."""
    place: str
    """`time.sleep in checkout (shop.py:12)`."""
    count: int
    total_ns: int


@dataclass(frozen=True, slots=True)
class CodeInterval:
    """One second of the scenarios in code. Announcements are in ascending order of their indices."""

    endpoints: tuple[AnnouncedEndpoint, ...] = ()
    checks: tuple[AnnouncedCheck, ...] = ()
    exceptions: tuple[RaisedGroup, ...] = ()
    blocking: tuple[BlockingGroup, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.checks or self.exceptions or self.blocking)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without what is empty."""
        return {name: parts for name, parts in asdict(self).items() if parts}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CodeInterval:
        """Read the output of `to_json`. Raises TypeError on anything else."""
        return cls(
            tuple(AnnouncedEndpoint(**part) for part in document.get("endpoints", ())),
            tuple(AnnouncedCheck(**part) for part in document.get("checks", ())),
            tuple(RaisedGroup(**part) for part in document.get("exceptions", ())),
            tuple(BlockingGroup(**part) for part in document.get("blocking", ())),
        )


NO_CODE = CodeInterval()
