"""One load of a worker: an engine with a plan, the seconds that its controller has not acknowledged, and its end."""

from __future__ import annotations

import asyncio
import json
import os
from collections import deque
from collections.abc import Mapping

from atm.engine.base import Control, Engine, EngineReport
from atm.engine.choose import choose_engine
from atm.engine.native_engine import NativeEngine
from atm.errors import AtmError, DataError, EngineError, Problem
from atm.fleet import messages
from atm.fleet.messages import WorkerState
from atm.metrics.interval import Interval
from atm.plan.load_plan import LoadPlan
from atm.plan.plan_decoder import decode

MOST_SECONDS = 60
"""The most seconds in one answer, so that a controller that fell behind gets answers of limited size."""


class WorkerLoad:
    """Its methods are called on the event loop that runs the engine's callbacks."""

    def __init__(self, plan: bytes, most_threads: int | None = None) -> None:
        """Check a plan up to files and capabilities. Raises AtmError, or ValueError for other bytes.

        `most_threads` are the most load threads of a native engine.
        """
        self._plan = _decoded(plan)
        _require_readable_data(self._plan)
        self._engine: Engine = choose_engine(self._plan)[0]
        if isinstance(self._engine, NativeEngine):
            self._engine.most_threads = most_threads
        self.control = Control()
        self._load: asyncio.Task[EngineReport] | None = None
        self._kept: deque[bytes] = deque()
        self._acknowledged = 0

    @property
    def has_started(self) -> bool:
        return self._load is not None

    @property
    def state(self) -> WorkerState:
        if self._load is None:
            return WorkerState.READY
        return WorkerState.ENDED if self._load.done() else WorkerState.RUNNING

    def start(self, at_ns: int, secrets: Mapping[str, str]) -> None:
        """Start the engine. Raises EngineError if it was started before."""
        if self._load:
            raise EngineError(Problem("the load was started before", "worker_not_ready"))
        self._load = asyncio.create_task(self._run(secrets, at_ns))

    def pulled(self, incarnation: int, acknowledged: int) -> messages.PulledLoad:
        """Forget the seconds up to `acknowledged`, and return those after it."""
        while self._kept and self._acknowledged < acknowledged:
            self._kept.popleft()
            self._acknowledged += 1
        seconds = tuple(self._kept)[:MOST_SECONDS]
        report, failure = None, None
        state = self.state
        if state is WorkerState.ENDED and self._load:
            if len(seconds) < len(self._kept):
                state = WorkerState.RUNNING
            else:
                report, failure = _outcome(self._load)
        return messages.PulledLoad(incarnation, state, self._acknowledged + 1, seconds, report, failure)

    async def abandon(self) -> list[bytes]:
        """Cancel the load and return the seconds that the controller has not acknowledged."""
        if self._load:
            self.control.cancel()
            await asyncio.wait({self._load})
        return list(self._kept)

    async def _run(self, secrets: Mapping[str, str], at_ns: int) -> EngineReport:
        if isinstance(self._engine, NativeEngine):
            # Its seconds are encoded already.
            return await self._engine.run_encoded(self._plan, secrets, self._kept.append, self.control, at_ns)

        def keep(interval: Interval) -> None:
            self._kept.append(interval.to_bytes())

        return await self._engine.run(self._plan, secrets, keep, self.control, at_ns)


def _decoded(data: bytes) -> LoadPlan:
    try:
        return decode(LoadPlan, json.loads(data))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a plan of this version: {error!r}") from error


def _require_readable_data(plan: LoadPlan) -> None:
    for table in plan.data:
        if not os.access(table.path, os.R_OK):
            raise DataError(
                Problem(
                    f'the worker cannot read the test data "{table.name}": {table.path}',
                    "data_unreadable",
                    path=f"data.{table.name}",
                    hint="Use a data directory (ATM_DATA_DIR) that all workers share",
                )
            )


def _outcome(load: asyncio.Task[EngineReport]) -> tuple[EngineReport | None, messages.Refused | None]:
    try:
        return load.result(), None
    except AtmError as error:
        return None, messages.Refused.of(error.problems[0])
    except Exception as error:  # noqa: BLE001  # the controller gets every failure of the engine
        return None, messages.Refused(f"unexpected {type(error).__name__}: {error}", "engine_died")
