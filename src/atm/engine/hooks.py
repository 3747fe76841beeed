"""The hooks of one run: `setup` before its load, whose values it fills in, and `teardown` after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from atm.engine.asyncio_engine.scenario.value import UNSET, Value
from atm.engine.base import Control
from atm.engine.hook_run import HookRun
from atm.engine.setup_values import SetupValues
from atm.errors import EngineError, Problem
from atm.models.outcome import StopReason
from atm.models.run_figures import HookFigures
from atm.plan.compile import CompiledTest
from atm.plan.hooks import CompiledHook
from atm.plan.load_plan import LoadPlan
from atm.plan.secret_mask import SecretMask


@dataclass(slots=True)
class Hooks:
    """Runs the hooks of a compiled test. `secrets` gets the secret values of `setup`."""

    test: CompiledTest
    secrets: dict[str, str]
    mask: SecretMask
    control: Control
    on_hook: Callable[[CompiledHook], None] | None = None
    """Called when a hook begins."""
    setup: HookFigures | None = None
    """Set once `setup` has ended."""
    teardown: HookFigures | None = None
    """Set once `teardown` has ended."""
    _values: Sequence[Value] | None = None

    async def set_up(self, plan: LoadPlan) -> LoadPlan | None:
        """Run `setup`, and return the plan of the load with its values; None if no load must start.

        Raises EngineError if a step failed.
        """
        hook = self.test.setup
        if hook is None:
            return plan
        run = HookRun(hook, self.mask)
        self._begin(hook)
        try:
            self.setup = await run.run(hook.plan, self.secrets, self._stopped)
        finally:
            self._values = run.values
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
        hook = self.test.teardown
        if hook is None:
            return
        run = HookRun(hook, self.mask)
        self._begin(hook)
        plan = self._filled(hook.plan)
        self.teardown = await run.run(plan, self.secrets, lambda: self.control.teardown_skipped_by)

    def _begin(self, hook: CompiledHook) -> None:
        if self.on_hook:
            self.on_hook(hook)

    def _stopped(self) -> str:
        reason = self.control.stop_reason
        return "" if reason is None else f"the run ended during it ({reason})"

    def _filled(self, plan: LoadPlan) -> LoadPlan:
        """Return a plan with the values of `setup`, and learn the secret ones."""
        hook = self.test.setup
        if hook is None:
            return plan
        unset = [UNSET] * len(hook.slots)
        values = SetupValues(hook.slots, unset if self._values is None else self._values, self.secrets)
        filled = values.filled(plan)
        for slot, value in values.secret_values.items():
            self.secrets[slot] = value
            self.mask.learn(value)
        return filled
