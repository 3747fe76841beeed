"""Prepare the flows of a plan that are code: load their files, and create their users."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path

from atm.code.module import CodeModule, load
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.users.call_renderer import CallRenderer
from atm.engine.asyncio_engine.users.code_model import CodeModel
from atm.engine.asyncio_engine.users.code_user import CodeContext, CodeUser
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.data_rows import DataRows, TableRows
from atm.engine.asyncio_engine.users.timed_code import runner_of
from atm.engine.asyncio_engine.users.traces import Traces
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.errors import DataError, EngineError, Problem
from atm.models.outcome import StopReason
from atm.plan.load_plan import Code, LoadPlan
from atm.plan.templates import SETUP_SLOT


class CodeFlows:
    """The flows of a plan that are code, by index."""

    def __init__(self, loop: asyncio.AbstractEventLoop, plan: LoadPlan, secrets: Mapping[str, str]) -> None:
        """Raises EngineError for a file that cannot be loaded, or is another one than that of the plan."""
        self._runner = runner_of(loop)
        self._secret_values = {
            slot.removeprefix(SETUP_SLOT): value
            for slot, value in secrets.items()
            if slot.startswith(SETUP_SLOT) and value
        }
        """Those of `setup`, by the names of its variables."""
        self._plan = plan
        self._scope = Context(plan.seed, secrets)
        self._modules = {flow: _loaded(planned.code) for flow, planned in enumerate(plan.flows) if planned.code}
        self.models = {flow: CodeModel(plan, flow, secrets) for flow in self._modules}
        self._data = DataRows(plan.seed, plan.data, [TableRows(table) for table in plan.data])

    def close(self) -> None:
        """Do what the files demand after the run."""
        for module in {id(module): module for module in self._modules.values()}.values():
            module.close()

    def users(
        self,
        flow: int,
        context: UserContext,
        origin_of: Callable[[str, str, int], int],
        new_connections: Callable[[], Connections],
        on_user_stopped: Callable[[User, int], None],
        stop_run: Callable[[StopReason], None],
    ) -> Callable[[Connections, int], User]:
        """Return the function that creates a user of a flow."""
        planned = self._plan.flows[flow]
        assert planned.code is not None
        code_context = CodeContext(
            **{field.name: getattr(context, field.name) for field in fields(context)},
            runner=self._runner,
            plan=self._plan,
            flow=planned,
            code=planned.code,
            variables={**self._secret_values, **dict(planned.code.variables)},
            module=self._modules[flow],
            renderer=CallRenderer(self.models[flow], context.ledger, self._scope, context.origins, origin_of),
            scope=self._scope,
            data=self._data,
            tables={table.name: index for index, table in enumerate(self._plan.data)},
            traces=Traces(context.ledger.iteration_sampler),
            new_connections=new_connections,
            on_user_stopped=on_user_stopped,
            stop_run=stop_run,
        )
        return lambda connections, number: CodeUser(code_context, connections, number)


def _loaded(code: Code) -> CodeModule:
    try:
        module = load(Path(code.file))
        module.function(code.function)
    except DataError as error:
        problem = error.problems[0]
        raise EngineError(Problem(f"{problem.place}: {problem.what}", problem.code, hint=problem.hint)) from error
    if module.digest != code.digest:
        what = f"{module.path.name} has changed since the run was planned"
        raise EngineError(Problem(what, "code_changed", hint="Start the run again"))
    return module
