"""What a run on several workers knows of each of them, and of each load that it gave to one."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from enum import StrEnum

from atm.dataclass import dataclass
from atm.engine.base import EngineReport
from atm.fleet.clocks import ClockEstimate
from atm.fleet.messages import Message
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import SECOND


class OnLoss(StrEnum):
    """What the run does when a worker is lost."""

    ABORT = "abort"
    CONTINUE = "continue"
    REASSIGN = "reassign"


class Step(StrEnum):
    """How far a worker is."""

    PREPARING = "preparing"
    READY = "ready"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    MISSING = "missing"
    """It was not ready, and the run started without it."""


@dataclass(slots=True)
class LoadRecord:
    """One load of a worker: its share of the plan, or a part of that of a lost worker."""

    plan: LoadPlan
    received: int = 0
    """Number of its last second received, counted from 1."""
    has_ended: bool = False
    report: EngineReport | None = None
    dealt_from_ns: int | None = None
    """Of a lost worker: other workers send what is due from then on. None if none does."""

    @property
    def first_second(self) -> int:
        """The second of the run that is its first one."""
        return self.plan.share.from_ns // SECOND

    @property
    def next_second(self) -> int:
        """The first second of the run that has not been received."""
        return self.first_second + self.received


@dataclass(slots=True)
class WorkerRecord:
    """What is known of one worker."""

    step: Step = Step.PREPARING
    shares_clock: bool = True
    """It has the controller's clock: it is on the same machine."""
    loads: list[LoadRecord] = field(default_factory=list)
    """By incarnation: its own share first, then parts of the shares of lost workers."""
    clock: ClockEstimate = field(default_factory=ClockEstimate)
    """At the start of the run."""
    clock_error_ns: int = 0
    """How far its clock may be off at any time of the run."""
    why_lost: str = ""
    """Also of one that is missing."""
    lost_second: int = 0
    """The first second of the run that it did not report."""
    again: ClockEstimate | None = None
    """The estimate that is being made during the run."""
    queue: deque[Message] = field(default_factory=deque)
    outstanding: Message | None = None
    sent_ns: int = 0
    lease_ns: int = 0
    """It sends no load after this time without another message; 0 before the start."""
    last_pull_ns: int = 0
    has_confirmed_cancel: bool = False

    @property
    def is_over(self) -> bool:
        return self.step in (Step.ENDED, Step.LOST, Step.MISSING)

    @property
    def received(self) -> int:
        """Number of the last second of its own share that was received; 0 for none."""
        return self.loads[0].received if self.loads else 0
