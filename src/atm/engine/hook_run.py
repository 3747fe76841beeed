"""Run `setup` or `teardown` once, with the asyncio engine, whatever engine sends the load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Literal

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.engine import AsyncioEngine
from atm.engine.asyncio_engine.scenario.value import UNSET, Value, text_form
from atm.engine.base import Control, EngineReport
from atm.engine.resolve import resolve_origins
from atm.errors import AtmError, EngineError, Problem
from atm.metrics.interval import FailureGroup, Interval
from atm.models.figures import planned
from atm.models.outcome import UNANSWERED
from atm.models.run_figures import HookFigures
from atm.plan.hooks import SETUP, CompiledHook
from atm.plan.load_plan import LoadPlan
from atm.plan.secret_mask import SecretMask

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.users.session import Session

_ASKED_SECONDS = 0.05
"""How often to check whether the hook is to end."""
_CLOSING_SECONDS = 1.0
"""How long a cancelled hook may take to close its connections."""


@dataclass(slots=True)
class HookRun:
    """One run of a hook; can be used once."""

    hook: CompiledHook
    mask: SecretMask
    """Masks the secrets of the run in messages."""
    values: Sequence[Value] = ()
    """What its steps extracted, by slot."""
    _sent: int = 0
    _failures: list[FailureGroup] = field(default_factory=list)
    _control: Control = field(default_factory=Control)

    def __post_init__(self) -> None:
        self.values = [UNSET] * len(self.hook.slots)

    async def run(self, plan: LoadPlan, secrets: Mapping[str, str], interrupted: Callable[[], str]) -> HookFigures:
        """Send the steps of `plan`, the filled plan of the hook.

        `interrupted` returns why the hook is to end now, empty while it is not.
        """
        began = time.monotonic()
        limit = None if self.hook.timeout_ns is None else self.hook.timeout_ns / 1e9
        task = asyncio.create_task(self._send(plan, secrets))
        ended_by, is_late = "", False
        try:
            while not task.done():
                ended_by = interrupted()
                is_late = limit is not None and time.monotonic() - began >= limit
                if ended_by or is_late:
                    break
                await asyncio.wait({task}, timeout=_ASKED_SECONDS)
        finally:
            if not task.done():
                self._control.cancel()
                await asyncio.wait({task}, timeout=_CLOSING_SECONDS)
                # A resolver that hangs does not react to the control.
                task.cancel()
        seconds = time.monotonic() - began
        if ended_by:
            status: Literal["stopped", "skipped"] = "stopped" if self.hook.name == SETUP else "skipped"
            return HookFigures(status=status, steps=self._sent, seconds=seconds, message=ended_by)
        if is_late:
            what = f"not finished within its time limit of {planned(limit or 0.0)}"
            hint = f"Remove steps, or raise `{self.hook.name}_timeout`"
            return HookFigures(status="failed", steps=self._sent, seconds=seconds, message=what, hint=hint)
        return self._figures(task, seconds)

    async def _send(self, plan: LoadPlan, secrets: Mapping[str, str]) -> EngineReport:
        resolved = await resolve_origins(plan)
        engine = AsyncioEngine(on_session_end=self._take_values)
        return await engine.run(resolved.plan, secrets, self._take, self._control)

    def _take_values(self, session: Session) -> None:
        self.values = tuple(session.slots)

    def _take(self, interval: Interval) -> None:
        self._sent += sum(endpoint.started for endpoint in interval.endpoints)
        self._failures += interval.failures

    def _figures(self, task: asyncio.Task[EngineReport], seconds: float) -> HookFigures:
        for slot, value in zip(self.hook.slots, self.values, strict=True):
            if slot.is_secret:
                self.mask.learn(text_form(value))
        try:
            report = task.result()
            if report.worker_lost:
                raise EngineError(Problem(report.worker_lost, "engine_died"))
        except AtmError as error:
            problem = self.mask.problem(error.problems[0])
            return HookFigures(
                status="failed", steps=self._sent, seconds=seconds, message=problem.what, hint=problem.hint
            )
        failures = [failure for failure in self._failures if failure.endpoint not in self.hook.tolerated]
        if not failures:
            return HookFigures(status="passed", steps=self._sent, seconds=seconds)
        first = min(failures, key=lambda failure: failure.first_ns)
        if first.outcome in UNANSWERED:
            hint = "Check that the target runs and that the URL of the step is right"
        else:
            hint = "Correct the step, or add `on_fail: continue` to it if its failure does not matter"
        return HookFigures(
            status="failed",
            steps=self._sent,
            seconds=seconds,
            failed_step=self.hook.plan.endpoints[first.endpoint],
            message=self.mask.text(first.message),
            hint=hint,
        )
