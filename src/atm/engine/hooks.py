"""The hooks of one run: `setup` before its load, whose values it fills in, and `teardown` after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.value import UNSET, Value, text_form
from atm.engine.base import Control
from atm.engine.hook_run import HookRun
from atm.engine.setup_values import SetupValues
from atm.errors import EngineError, Problem
from atm.metrics.code_interval import CodeInterval, RaisedGroup
from atm.models.outcome import StopReason
from atm.models.run_figures import HookFigures
from atm.plan.compile import CompiledTest
from atm.plan.hooks import CompiledHook
from atm.plan.json_values import is_json
from atm.plan.load_plan import CodeHooks, LoadPlan
from atm.plan.program import Slot
from atm.plan.secret_mask import SecretMask

if TYPE_CHECKING:
    from atm.code.hooks import Context
    from atm.metrics.code_totals import CodeTotals


@dataclass(slots=True)
class Hooks:
    """Runs the hooks of a compiled test. `secrets` gets the secret values of `setup`."""

    test: CompiledTest
    secrets: dict[str, str]
    mask: SecretMask
    control: Control
    on_hook: Callable[[CompiledHook], None] | None = None
    """Called when a hook begins."""
    code: CodeTotals | None = None
    """Gets the tracebacks of `setup` and `teardown` of a Python file."""
    setup: HookFigures | None = None
    """Set once `setup` has ended."""
    teardown: HookFigures | None = None
    """Set once `teardown` has ended."""
    _values: Sequence[Value] | None = None
    _context: Context | None = None
    """What the functions of the file get, once `setup` was to be called."""

    async def set_up(self, plan: LoadPlan) -> LoadPlan | None:
        """Run `setup`, and return the plan of the load with its values; None if no load must start.

        Raises EngineError if a step failed.
        """
        hook = self.test.setup
        if hook is not None:
            run = HookRun(hook, self.mask)
            self._begin(hook)
            try:
                self.setup = await run.run(hook.plan, self.secrets, self._stopped)
            finally:
                self._values = run.values
        if self._has("setup") and (self.setup is None or self.setup.status == "passed"):
            self.setup = _added(self.setup, await self._call("setup"))
        if self.setup is None:
            return self._filled(plan)
        if self.setup.status == "stopped" and self.control.stop_reason is StopReason.DURATION:
            # A server's limit on the length of runs: without a load there is nothing to judge.
            what = "not finished within the time limit of the run"
            self.setup = replace(self.setup, status="failed", message=what)
        if self.setup.status == "failed":
            place = f"{self.setup.failed_step}: " if self.setup.failed_step else ""
            what = f"setup failed: {place}{self.setup.message}"
            raise EngineError(Problem(what, "setup_failed", path="setup", hint=self.setup.hint))
        return None if self.setup.status == "stopped" else self._filled(plan)

    async def tear_down(self) -> None:
        """Run `teardown`, if the spec has one. It can only be ended by `Control.skip_teardown` and its time limit."""
        if self._has("teardown"):
            self.teardown = await self._call("teardown")
        hook = self.test.teardown
        if hook is None:
            return
        run = HookRun(hook, self.mask)
        self._begin(hook)
        plan = self._filled(hook.plan)
        figures = await run.run(plan, self.secrets, lambda: self.control.teardown_skipped_by)
        self.teardown = _added(self.teardown, figures)

    def _has(self, name: str) -> bool:
        hooks = self.test.plan.hooks
        return hooks is not None and hooks.has(name)

    async def _call(self, name: Literal["setup", "teardown"]) -> HookFigures:
        """Call a function of the file of hooks."""
        # Imported here because few tests have one.
        from atm.engine.function_run import FunctionRun

        hooks = self.test.plan.hooks
        assert hooks is not None
        is_setup = name == "setup"
        if self._context is None:
            self._context = self._new_context(hooks)
        run = FunctionRun(hooks, name)
        limit = None if is_setup else hooks.teardown_ns / 1e9
        ended = self._stopped if is_setup else lambda: self.control.teardown_skipped_by
        figures = await run.run(self._context, ended, limit)
        for secret in self._context.secrets.values():
            self.mask.learn(str(secret))
        if run.traceback and self.code is not None:
            message, traceback = self.mask.text(f"{name}: {figures.message}"), self.mask.text(run.traceback)
            self.code.add(CodeInterval(exceptions=(RaisedGroup(-1, False, message, 1, 0, 0, traceback),)))
        if is_setup and figures.status == "passed" and (wrong := _unusable(self._context, hooks)):
            figures = replace(
                figures, status="failed", message=wrong, hint="Set it to a text, a number, a list or a dictionary"
            )
        return replace(figures, message=self.mask.text(figures.message))

    def _new_context(self, hooks: CodeHooks) -> Context:
        from atm.code.hooks import Context

        slots, values = self._of_steps()
        values_by_name = {slot.name: value for slot, value in zip(slots, values, strict=True) if value is not UNSET}
        hidden = {slot.name for slot in slots if slot.is_secret}
        variables = {name: value for name, value in values_by_name.items() if name not in hidden}
        secrets = {name: self.secrets[place] for name, place in hooks.secrets if place in self.secrets}
        secrets |= {name: text_form(value) for name, value in values_by_name.items() if name in hidden}
        return Context(self.test.plan.name, hooks.base_url, {**dict(hooks.variables), **variables}, secrets)

    def _of_steps(self) -> tuple[list[Slot], list[Value]]:
        """Return the variables that `setup` steps extract, and their values."""
        hook = self.test.setup
        if hook is None:
            return [], []
        unset: Sequence[Value] = [UNSET] * len(hook.slots)
        return list(hook.slots), list(unset if self._values is None else self._values)

    def _begin(self, hook: CompiledHook) -> None:
        if self.on_hook:
            self.on_hook(hook)

    def _stopped(self) -> str:
        reason = self.control.stop_reason
        return "" if reason is None else f"the run ended during it ({reason})"

    def _filled(self, plan: LoadPlan) -> LoadPlan:
        """Return a plan with the values of `setup`, and learn the secret ones."""
        slots, known = self._of_steps()
        if self.test.plan.hooks is not None:
            context = self._context
            for variable in self.test.plan.hooks.of_setup:
                slots.append(variable)
                given = {} if context is None else {**context.variables, **context.secrets}
                known.append(given.get(variable.name, UNSET))
        if not slots:
            return plan
        values = SetupValues(slots, known, self.secrets)
        filled = values.filled(plan)
        for slot, value in values.secret_values.items():
            self.secrets[slot] = value
            self.mask.learn(value)
        return filled


def _added(first: HookFigures | None, second: HookFigures) -> HookFigures:
    """Return the figures of steps and of a function together: the status of the first that did not pass."""
    if first is None:
        return second
    chosen = first if first.status != "passed" else second
    return replace(chosen, steps=first.steps + second.steps, seconds=first.seconds + second.seconds)


def _unusable(context: Context, hooks: CodeHooks) -> str:
    """Return what is wrong with the values that templates read; empty if nothing is."""
    for slot in hooks.of_setup:
        name = slot.name
        if name in context.secrets and not isinstance(context.secrets[name], str):
            return f'the secret "{name}" is not a text but {type(context.secrets[name]).__name__}'
        if name in context.variables and not is_json(context.variables[name]):
            return f'the variable "{name}" is {type(context.variables[name]).__name__}, which templates cannot write'
    return ""
