"""Run the users of a locustfile as iterations of a scenario in code: each task is one iteration."""

from __future__ import annotations

import atexit
import ctypes
import gc
from asyncio import CancelledError
from contextlib import suppress
from contextvars import copy_context
from inspect import iscoroutine
from typing import TYPE_CHECKING

from greenlet import GreenletExit

from atm.code.locust.exception import StopTest
from atm.code.locust.switch import EndOfIteration, UserGreenlet

if TYPE_CHECKING:
    from atm.code.locust.locustfile import Locustfile
    from atm.code.locust.user import User
    from atm.code.user import User as CodeUser

_MOST_THROWS = 10
"""How often code may catch the exception that ends its user."""


class UsersOfClass:
    """The users of one class. Each has a greenlet, from its first iteration until it ends."""

    def __init__(self, user_class: type[User], file: Locustfile) -> None:
        self._class = user_class
        self._file = file
        self._greenlets: dict[int, UserGreenlet] = {}
        atexit.register(self._leave_to_the_system)

    def _leave_to_the_system(self) -> None:
        """Keep greenlets that are left at the end of the process, because code still blocks the loop.

        The thread of the loop is gone when the interpreter would free them, and they cannot be freed without it.
        """
        if self._greenlets:
            gc.freeze()
            for current in self._greenlets.values():
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(current))

    async def iterate(self, user: CodeUser) -> None:
        """Run a user up to the end of a task. Its wait time follows, before the next iteration."""
        current = self._greenlets.get(user.number)
        if current is None or current.code_user is not user:
            self._file.begin(user.base_url, user.variables)
            self._file.start()
            current = self._greenlets[user.number] = self._new(user)
        # Values of own metrics belong to this iteration.
        current.gr_context = copy_context()
        try:
            await self._run(current, user)
        except (Exception, CancelledError):
            raise
        except BaseException:
            # The engine has ended code that blocked the loop: no other user may begin to block it.
            self._file.is_ended = True
            raise
        finally:
            if current.dead:
                del self._greenlets[user.number]
                self._file.environment.runner.user_count -= 1

    async def leave(self, user: CodeUser) -> None:
        """End a user because the run ends: its code gets to `on_stop`, and may still send."""
        current = self._greenlets.pop(user.number, None)
        if current is None or current.code_user is not user:
            return
        self._file.environment.runner.user_count -= 1
        step = current.throw(GreenletExit)
        while not current.dead and not isinstance(step, EndOfIteration):
            step = current.switch(await step)

    def end(self) -> None:
        """End what is left of users after the run; their code cannot send any more."""
        greenlets, self._greenlets = self._greenlets, {}
        for current in greenlets.values():
            for _ in range(_MOST_THROWS):
                if current.dead:
                    break
                with suppress(Exception):
                    current.throw(GreenletExit)

    async def _run(self, current: UserGreenlet, user: CodeUser) -> None:
        """Switch to the user's code, and await for it what it waits for."""
        environment = self._file.environment
        if self._file.is_ended:
            raise CancelledError
        try:
            step = current.switch()
            while type(step) is not EndOfIteration and not current.dead:
                try:
                    result = await step
                    if self._file.is_ended:
                        raise CancelledError
                except Exception as error:  # noqa: BLE001  # the code of the user gets it
                    step = current.throw(error)
                except BaseException:
                    step = current.throw(GreenletExit)
                    if iscoroutine(step):
                        step.close()
                    raise
                else:
                    step = current.switch(result)
        except StopTest:
            environment.runner.quit()
            step = None
        if environment.runner.is_stopping:
            user.stop_run()
        if isinstance(step, EndOfIteration):
            user.pause_after = step.wait
            if step.error is not None:
                raise step.error
        else:
            user.stop()

    def _new(self, user: CodeUser) -> UserGreenlet:
        environment = self._file.environment

        def run() -> None:
            self._class(environment).run()

        environment.runner.user_count += 1
        return UserGreenlet(run, user)
