"""Prepare the flows of a plan with scenarios, and create their users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from atm.dataclass import dataclass
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
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.users.hook_functions import HookFunctions


@dataclass(frozen=True, slots=True)
class HookParts:
    """What users with hooks need of the run."""

    loop: asyncio.AbstractEventLoop
    origin_of: Callable[[str, str, int], int]
    stop_load: Callable[[StopReason], None]


class Scenarios:
    """The prepared flows of a plan of which at least one needs a session."""

    def __init__(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        rows: Sequence[Rows],
        on_session_end: Callable[[Session], None] | None = None,
        functions: HookFunctions | None = None,
    ) -> None:
        """`secrets` may change during the run; `rows` are the cells of the plan's data tables.

        `on_session_end` gets the variables at the end of each iteration; `functions` are those of the plan's hooks.
        """
        self._plan = plan
        self._secrets = secrets
        self._functions = functions
        self._on_session_end = on_session_end
        self._scope = Context(plan.seed, secrets)
        self._data = DataRows(plan.seed, plan.data, rows)
        self.flows: list[tuple[PreparedStep, ...]] = []
        self._programs: list[PreparedProgram | None] = []
        for flow in plan.flows:
            if needs_session(flow) or (functions is not None and flow.code is None):
                steps = tuple(ScenarioStep(plan, flow, step, secrets, self._scope) for step in flow.steps)
                for step in steps:
                    step.wants_body = step.wants_body or (
                        functions is not None and functions.after_response is not None
                    )
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

    def users(self, context: ScenarioContext, parts: HookParts) -> Callable[[Connections, int], User]:
        """Return the function that creates a user with a number.

        The number is 0 in an open load without prepared users: there it is that of the iteration.
        """
        functions, hooks = self._functions, self._plan.hooks
        if functions is None or hooks is None:
            return lambda connections, number: ScenarioUser(context, connections, number)
        # Imported here because few plans have hooks.
        from atm.engine.asyncio_engine.users.hooked_user import HookedContext, HookedUser
        from atm.engine.asyncio_engine.users.request_draft import Destination

        secrets = {name: self._secrets[slot] for name, slot in hooks.secrets if slot in self._secrets}
        hooked = HookedContext(
            **{field.name: getattr(context, field.name) for field in fields(context)},
            loop=parts.loop,
            plan=self._plan,
            functions=functions,
            slots=[{slot.name: index for index, slot in enumerate(flow.slots)} for flow in self._plan.flows],
            tables={table.name: index for index, table in enumerate(self._plan.data)},
            constants={**dict(hooks.variables), **secrets},
            destination=Destination(
                parts.origin_of,
                lambda: context.origins.origins,
                self._plan.connections.proxy is not None,
                self._secrets.values,
            ),
            stop_load=parts.stop_load,
        )
        return lambda connections, number: HookedUser(hooked, connections, number)
