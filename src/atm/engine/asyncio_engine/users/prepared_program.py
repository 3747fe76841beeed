"""The program of a flow, ready to be run by many users."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.session import Session
from atm.plan.load_plan import Flow
from atm.plan.program import Op, RequestOp


class PreparedProgram:
    """The parts of a flow's program that all its users share."""

    def __init__(self, flow: Flow, steps: Sequence[PreparedStep]) -> None:
        self.steps = steps
        self.ops: tuple[Op, ...] = flow.program or tuple(RequestOp(index) for index in range(len(steps)))
        self.is_scenario = bool(flow.program)
        """False for the steps of an endpoint spec, which count neither iteration times nor steps not reached."""
        self.counters = flow.counters
        self.keeps_session = flow.keeps_session
        self.pace_ns = flow.pace_ns
        self.endpoints = tuple(step.endpoint for step in steps)
        self.all_visited = (1 << len(steps)) - 1
        """The value of `Session.visited` after a request of each step."""
        self.conditions: dict[int, Callable[[Session], bool]] = {}
        """The conditions of operations, by position."""


def needs_program(flow: Flow) -> bool:
    """Return whether the users of a flow need the state of a program."""
    return bool(flow.program)
