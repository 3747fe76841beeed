"""The program of a flow, ready to be run by many users."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atm.engine.asyncio_engine.scenario.answer import Answer
from atm.engine.asyncio_engine.scenario.condition import condition_of
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.users.scenario_step import ScenarioStep
from atm.engine.asyncio_engine.users.session import Session
from atm.plan.before_user import joined, steps_before
from atm.plan.load_plan import Flow
from atm.plan.program import Condition, Op, RequestOp
from atm.plan.table_uses import tables_of

_NO_ANSWER = Answer(status=0, time_ns=0, size=0, raw=b"", body=b"")
"""Conditions of operations read values only."""


class PreparedProgram:
    """The parts of a flow's program that all its users share."""

    def __init__(self, flow: Flow, steps: Sequence[ScenarioStep], context: Context) -> None:
        self.steps = steps
        operations, self.start = joined(flow)
        self.ops: tuple[Op, ...] = operations or tuple(RequestOp(index) for index in range(len(steps)))
        """Those before the first iteration of a user, then those of an iteration, from `start` on."""
        self.counters = flow.counters
        self.slots = len(flow.slots)
        self.uses_cookies = flow.uses_cookies
        self.keeps_session = flow.keeps_session
        self.pace_ns = flow.pace_ns
        self.tables = sorted(tables_of(flow))
        """Indices of the data tables that it uses."""
        self.endpoints = tuple(step.endpoint for step in steps)
        self.all_visited = (1 << len(steps)) - 1
        """The value of `Session.visited` after a request of each step."""
        self.steps_before = sum(1 << step for step in steps_before(flow))
        """The steps that are no part of an iteration, as bits; 0 if users do nothing before their first iteration."""
        self.conditions: dict[int, Callable[[Session], bool]] = {
            position: _test_of(op.condition, context) for position, op in enumerate(self.ops) if op.op == "unless"
        }
        """The conditions of operations, by position."""


def _test_of(condition: Condition, context: Context) -> Callable[[Session], bool]:
    holds = condition_of(condition, context)
    return lambda session: holds(_NO_ANSWER, session)
