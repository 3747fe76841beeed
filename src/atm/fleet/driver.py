"""Carry out the actions of a `FleetRun`: send its messages through links, and pass answers and time to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from atm.engine.base import Command, Control
from atm.engine.secrets import require_sendable
from atm.fleet import messages
from atm.fleet.actions import Action, Finished, Kill, Second, Send
from atm.fleet.state import FleetRun
from atm.fleet.transport import Link, LinkLostError


class Driver:
    """One run; create it on the event loop that awaits `to_the_end`."""

    def __init__(self, run: FleetRun, links: Sequence[Link], on_second: Callable[[Second], None]) -> None:
        self._run = run
        self._links = links
        self._on_second = on_second
        self._loop = asyncio.get_running_loop()
        self._has_news = asyncio.Event()
        self._is_finished = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: Exception | None = None

    async def to_the_end(self, control: Control) -> None:
        """Drive the run until it has finished. Raises what `on_second` raised."""
        control.listen(_Listener(self._loop, self))
        try:
            self.do(self._run.prepare(time.monotonic_ns()))
            while not self._is_finished:
                now_ns = time.monotonic_ns()
                self._has_news.clear()
                try:
                    await asyncio.wait_for(
                        self._has_news.wait(), max(self._run.next_tick_ns(now_ns) - now_ns, 1_000_000) / 1e9
                    )
                except TimeoutError:
                    self.do(self._run.tick(time.monotonic_ns()))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._error:
            raise self._error

    def command(self, command: Command) -> None:
        self.do(self._run.command(command, time.monotonic_ns()))

    def set_secret(self, slot: str, value: str) -> None:
        self.do(self._run.set_secret(slot, value, time.monotonic_ns()))

    def do(self, actions: Sequence[Action]) -> None:
        """Carry out actions, in their order."""
        for action in actions:
            match action:
                case Send():
                    self._start(self._call(action))
                case Kill(worker):
                    self._start(self._kill(worker))
                case Second():
                    self._take(action)
                case Finished():
                    self._is_finished = True
        self._has_news.set()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _kill(self, worker: int) -> None:
        has_ended = await self._links[worker].kill()
        self.do(self._run.killed(worker, has_ended, time.monotonic_ns()))

    async def _call(self, send: Send) -> None:
        try:
            message = messages.encode(send.message, send.lease_ns)
            data = await self._links[send.worker].call(message, send.timeout_seconds)
            answer = messages.decode_answer(data)
        except LinkLostError as error:
            self.do(self._run.lost(send.worker, str(error), time.monotonic_ns()))
        except ValueError as error:
            self.do(self._run.lost(send.worker, f"sent an unknown answer: {error}", time.monotonic_ns()))
        else:
            self.do(self._run.answered(send.worker, answer, time.monotonic_ns()))

    def _take(self, second: Second) -> None:
        if self._error:
            return
        try:
            self._on_second(second)
        except Exception as error:  # noqa: BLE001  # whatever the caller's function raises ends the run
            self._error = error
            self._loop.call_soon(self.command, Command.CANCEL)


class _Listener:
    """Pass commands on to the driver's loop; called from any thread, never blocks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, driver: Driver) -> None:
        self._loop = loop
        self._driver = driver

    def command(self, command: Command) -> None:
        self._loop.call_soon_threadsafe(self._driver.command, command)

    def set_secret(self, slot: str, value: str) -> None:
        require_sendable(slot, value)
        self._loop.call_soon_threadsafe(self._driver.set_secret, slot, value)
