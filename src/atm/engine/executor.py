"""One plan to its verdict: credentials, names, the engine, the collector, thresholds that abort, and the result.

An `Execution` is one run in this process. The CLI, the library and the runner process all go through it; what they add
is where the intervals go and who may stop it.
"""

from __future__ import annotations

import asyncio
import secrets as random_source
from collections.abc import Callable
from contextlib import suppress

from atm.clock import Clock, SystemClock
from atm.engine.base import Control, Engine, EngineReport
from atm.engine.choose import choose_engine
from atm.engine.environment import describe_environment
from atm.engine.resolve import resolve_origins
from atm.errors import AtmError, CredentialError, EngineError, Problem, UnreachableError
from atm.metrics.collector import Collector
from atm.metrics.interval import Interval
from atm.models.outcome import RunStatus, StopReason
from atm.models.run import RunResult
from atm.plan.compile import CompiledTest
from atm.plan.load_plan import LoadPlan

IntervalCallback = Callable[[Interval], None]


def new_run_id() -> str:
    """Twelve hexadecimal digits; the first six are what people see and type."""
    return random_source.token_hex(6)


class Execution:
    """One run of a compiled test, used once."""

    def __init__(
        self,
        test: CompiledTest,
        *,
        run_id: str = "",
        control: Control | None = None,
        engine: Engine | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Chooses the engine. Raises CapabilityError when none can run the plan."""
        self.test = test
        self.run_id = run_id or new_run_id()
        self.control = control or Control()
        self.clock = clock or SystemClock()
        self.created_at = self.clock.now()
        if engine is None:
            engine, self.engine_reason = choose_engine(test.plan)
        else:
            self.engine_reason = f"{engine.name}, as the caller asked"
        self.engine = engine
        self.collector = Collector(test.plan.endpoints, sampling=test.plan.sampling)
        """What is known so far; its snapshots feed live views."""

    async def run(self, on_interval: IntervalCallback | None = None) -> RunResult:
        """Send the load and judge it. `on_interval` sees each second after the collector has it.

        Raises CredentialError when a token cannot be had before the start, and UnreachableError when no target has an
        address. A run that breaks in the middle is a result with the status `failed`, what was measured included.
        """
        raise NotImplementedError
