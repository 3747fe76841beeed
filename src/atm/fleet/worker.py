"""A worker: one engine, which it starts, steers and reports on as its controller's messages say."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from collections import deque
from pathlib import Path

from atm.engine.base import Command, Control, Engine, EngineReport
from atm.engine.choose import LOADERS, choose_engine
from atm.engine.environment import usable_cores
from atm.errors import AtmError, DataError, EngineError, Problem
from atm.fleet import messages
from atm.fleet.messages import Answer, Message, WorkerState
from atm.fleet.reach import reach
from atm.metrics.interval import Interval
from atm.plan.load_plan import PLAN_FORMAT, LoadPlan
from atm.plan.plan_decoder import decode
from atm.version import VERSION

MOST_SECONDS = 60
"""The most seconds in one answer, so that a controller that fell behind gets answers of limited size."""


class Worker:
    """Answers messages one at a time, on the event loop that runs its engine's callbacks."""

    def __init__(self) -> None:
        self.has_ended = False
        """It answered `End`; no other message follows."""
        self._engine: Engine | None = None
        self._plan: LoadPlan | None = None
        self._secrets: dict[str, str] = {}
        self._control = Control()
        self._load: asyncio.Task[EngineReport] | None = None
        self._kept: deque[bytes] = deque()
        self._acknowledged = 0

    async def answer(self, data: bytes) -> bytes:
        """Obey one message and return its answer."""
        try:
            answer = await self._answer(messages.decode_message(data))
        except ValueError as error:
            answer = messages.Refused(str(error), "unknown_message")
        except AtmError as error:
            answer = messages.Refused.of(error.problems[0])
        return messages.encode(answer)

    async def abandon(self) -> list[bytes]:
        """Cancel the load and return the seconds that the controller has not acknowledged."""
        if self._load:
            self._control.cancel()
            await asyncio.wait({self._load})
        return list(self._kept)

    @property
    def state(self) -> WorkerState:
        if self._load:
            return WorkerState.ENDED if self._load.done() else WorkerState.RUNNING
        return WorkerState.READY if self._plan else WorkerState.IDLE

    async def _answer(self, message: Message) -> Answer:
        match message:
            case messages.Describe():
                return description()
            case messages.ReadClock():
                return messages.ClockReading(time.monotonic_ns())
            case messages.CheckReach(host, port):
                return await reach(host, port)
            case messages.Pull(acknowledged):
                return self._pulled(acknowledged)
            case messages.Prepare(plan):
                self._prepare(plan)
            case messages.SetSecrets(values):
                self._secrets = dict(values)
            case messages.Start(at_ns):
                self._start(at_ns)
            case messages.SendCommand(command):
                self._command(command)
            case messages.SetSecret(slot, value):
                self._secrets[slot] = value
                self._control.set_secret(slot, value)
            case messages.End():
                await self.abandon()
                self.has_ended = True
        return messages.Done()

    def _command(self, command: Command) -> None:
        if command is Command.CANCEL:
            self._control.cancel()
        else:
            self._control.stop()

    def _prepare(self, data: bytes) -> None:
        if self._load:
            raise EngineError(Problem("the worker has started already", "worker_started"))
        try:
            plan = decode(LoadPlan, json.loads(data))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a plan of this version: {error!r}") from error
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
        self._engine, _ = choose_engine(plan)
        self._plan = plan

    def _start(self, at_ns: int) -> None:
        if self._engine is None or self._plan is None or self._load:
            raise EngineError(Problem("the worker is not ready, or has started already", "worker_not_ready"))
        running = self._engine.run(self._plan, self._secrets, self._keep, self._control, starts_at_ns=at_ns)
        self._load = asyncio.create_task(running)

    def _keep(self, interval: Interval) -> None:
        self._kept.append(interval.to_bytes())

    def _pulled(self, acknowledged: int) -> messages.Pulled:
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
        return messages.Pulled(state, self._acknowledged + 1, seconds, report, failure)


def _outcome(load: asyncio.Task[EngineReport]) -> tuple[EngineReport | None, messages.Refused | None]:
    try:
        return load.result(), None
    except AtmError as error:
        return None, messages.Refused.of(error.problems[0])
    except Exception as error:  # noqa: BLE001  # the controller gets every failure of the engine
        return None, messages.Refused(f"unexpected {type(error).__name__}: {error}", "engine_died")


def description() -> messages.Description:
    """Describe this process."""
    installed = {name: engine.version for name, load in LOADERS.items() if (engine := load())}
    return messages.Description(
        version=VERSION,
        plan_format=PLAN_FORMAT,
        engines=installed,
        python=platform.python_version(),
        host=platform.node(),
        boot_id=boot_id(),
        pid=os.getpid(),
        cores=usable_cores(),
        file_descriptors=_file_descriptors(),
    )


def boot_id() -> str:
    """Return an identity of the running system, whose processes share a monotonic clock; empty where it has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _file_descriptors() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return 0
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
