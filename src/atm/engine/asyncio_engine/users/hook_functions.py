"""The functions of a plan's hooks, loaded for the engine that calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from atm.code.hook_file import called_function, hooks_of
from atm.code.module import CodeModule, load
from atm.dataclass import dataclass
from atm.errors import DataError, EngineError, Problem
from atm.plan.load_plan import CodeHooks, LoadPlan
from atm.plan.program import CallOp


@dataclass(frozen=True, slots=True)
class HookFunction:
    """A function of the file of hooks."""

    call: Callable[..., Any]
    is_async: bool


@dataclass(frozen=True, slots=True)
class HookFunctions:
    """What a run calls."""

    module: CodeModule
    user_start: HookFunction | None
    before_request: HookFunction | None
    after_response: HookFunction | None
    calls: Mapping[str, HookFunction]
    """Those of `call` steps, by name."""


def load_hooks(hooks: CodeHooks, plan: LoadPlan) -> HookFunctions:
    """Load the file. Raises EngineError if it cannot be loaded, or is another one than that of the plan."""
    try:
        module = load(Path(hooks.file))
        functions = hooks_of(module)
        operations = [op for flow in plan.flows for op in (*flow.before_user, *flow.program)]
        names = {op.function for op in operations if isinstance(op, CallOp)}
        calls = {name: _prepared(called_function(module, name)) for name in names}
    except DataError as error:
        problem = error.problems[0]
        raise EngineError(Problem(f"{problem.place}: {problem.what}", problem.code, hint=problem.hint)) from error
    if module.digest != hooks.digest:
        what = f"{module.path.name} has changed since the run was planned"
        raise EngineError(Problem(what, "code_changed", hint="Start the run again"))
    prepared = {name: _prepared(function) for name, function in functions.items()}
    return HookFunctions(
        module,
        prepared.get("user_start"),
        prepared.get("before_request"),
        prepared.get("after_response"),
        calls,
    )


def _prepared(function: Callable[..., Any]) -> HookFunction:
    return HookFunction(function, inspect.iscoroutinefunction(function))
