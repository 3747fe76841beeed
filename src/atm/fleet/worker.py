"""A worker: it prepares, starts and steers loads as its controller's messages say, and reports on them."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

from atm.engine.base import Command
from atm.engine.choose import LOADERS
from atm.engine.environment import usable_cores
from atm.errors import AtmError, EngineError, Problem
from atm.fleet import messages
from atm.fleet.messages import Answer, Message
from atm.fleet.reach import reach
from atm.fleet.worker_load import WorkerLoad
from atm.plan.load_plan import PLAN_FORMAT
from atm.version import VERSION


class Worker:
    """Answers messages one at a time, on the event loop that runs its engines' callbacks."""

    def __init__(self, most_threads: int | None = None) -> None:
        """`most_threads`: of each load; None lets the engine choose as if it had the machine to itself."""
        self._most_threads = most_threads
        self.has_ended = False
        """It answered `End`; no other message follows."""
        self._secrets: dict[str, str] = {}
        self._loads: dict[int, WorkerLoad] = {}
        """By incarnation."""
        self._command: Command | None = None

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
        """Cancel all loads and return the seconds that the controller has not acknowledged."""
        kept = await asyncio.gather(*(load.abandon() for load in self._loads.values()))
        return [second for seconds in kept for second in seconds]

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
            case messages.Prepare(plan, incarnation):
                self._prepare(plan, incarnation)
            case messages.SetSecrets(values):
                self._secrets = dict(values)
            case messages.Start(at_ns, incarnation):
                self._start(at_ns, incarnation)
            case messages.SendCommand(command):
                self._command = command
                for load in self._loads.values():
                    _give(load, command)
            case messages.SetSecret(slot, value):
                self._secrets[slot] = value
                for load in self._loads.values():
                    load.control.set_secret(slot, value)
            case messages.End():
                await self.abandon()
                self.has_ended = True
        return messages.Done()

    def _prepare(self, plan: bytes, incarnation: int) -> None:
        before = self._loads.get(incarnation)
        if before is not None and before.has_started:
            raise EngineError(Problem("the worker has started already", "worker_started"))
        self._loads[incarnation] = load = WorkerLoad(plan, self._most_threads)
        if self._command is not None:
            _give(load, self._command)

    def _start(self, at_ns: int, incarnation: int) -> None:
        load = self._loads.get(incarnation)
        if load is None:
            raise EngineError(Problem("the worker is not ready", "worker_not_ready"))
        load.start(at_ns, self._secrets)

    def _pulled(self, acknowledged: Sequence[int]) -> messages.Pulled:
        received = dict(enumerate(acknowledged))
        return messages.Pulled(
            tuple(
                load.pulled(incarnation, received.get(incarnation, 0))
                for incarnation, load in sorted(self._loads.items())
            )
        )


def _give(load: WorkerLoad, command: Command) -> None:
    if command is Command.CANCEL:
        load.control.cancel()
    else:
        load.control.stop()


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
