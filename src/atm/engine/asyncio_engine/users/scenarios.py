"""Prepare the flows of a plan with scenarios, and create their users."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.data_rows import DataRows, Rows
from atm.engine.asyncio_engine.users.prepared_program import PreparedProgram
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep, needs_session
from atm.engine.asyncio_engine.users.scenario_step import ScenarioStep
from atm.engine.asyncio_engine.users.scenario_user import ScenarioContext, ScenarioUser
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.traces import Traces
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.plan.load_plan import LoadPlan


class Scenarios:
    """The prepared flows of a plan of which at least one needs a session."""

    def __init__(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        rows: Sequence[Rows],
        on_session_end: Callable[[Session], None] | None = None,
    ) -> None:
        """`secrets` may change during the run; `rows` are the cells of the plan's data tables.

        `on_session_end` gets the variables at the end of each iteration.
        """
        self._on_session_end = on_session_end
        self._scope = Context(plan.seed, secrets)
        self._data = DataRows(plan.seed, plan.data, rows)
        self.flows: list[tuple[PreparedStep, ...]] = []
        self._programs: list[PreparedProgram | None] = []
        for flow in plan.flows:
            if needs_session(flow):
                steps = tuple(ScenarioStep(plan, flow, step, secrets, self._scope) for step in flow.steps)
                self.flows.append(steps)
                self._programs.append(PreparedProgram(flow, steps, self._scope))
            else:
                self.flows.append(tuple(PreparedStep(plan, step, secrets) for step in flow.steps))
                self._programs.append(None)

    def context(
        self,
        context: UserContext,
        on_user_stopped: Callable[[User, int], None],
        on_not_prepared: Callable[[User, int], None],
        stop_run: Callable[[], None],
    ) -> ScenarioContext:
        """Return the context of users of scenarios, from that of users without."""
        shared = {field.name: getattr(context, field.name) for field in fields(context)}
        return ScenarioContext(
            **shared,
            programs=self._programs,
            scope=self._scope,
            data=self._data,
            traces=Traces(context.ledger.iteration_sampler),
            on_user_stopped=on_user_stopped,
            on_not_prepared=on_not_prepared,
            stop_run=stop_run,
            on_session_end=self._on_session_end,
        )

    @staticmethod
    def user(context: ScenarioContext, connections: Connections, number: int) -> User:
        """Create a user; `number` is 0 in an open load without prepared users: there it is that of the iteration."""
        return ScenarioUser(context, connections, number)
