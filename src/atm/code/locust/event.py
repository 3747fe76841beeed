"""The events of `locust.event`: lists of functions that are called when something happens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from atm.code.locust.exception import (
    InterruptTaskSet,
    RescheduleTask,
    RescheduleTaskImmediately,
    StopTest,
    StopUser,
)

STEERING = (StopUser, StopTest, RescheduleTask, RescheduleTaskImmediately, InterruptTaskSet)
"""Exceptions by which code decides what its user does next."""

_Listener = TypeVar("_Listener", bound=Callable[..., Any])
_log = logging.getLogger("locust.event")


class EventHook:
    """One event and its listeners."""

    def __init__(self) -> None:
        self.listeners: list[Callable[..., Any]] = []

    def add_listener(self, handler: _Listener) -> _Listener:
        """Call this function whenever the event happens; also usable as a decorator."""
        self.listeners.append(handler)
        return handler

    def remove_listener(self, handler: Callable[..., Any]) -> None:
        """Do not call this function any more."""
        self.listeners.remove(handler)

    def fire(self, *, reverse: bool = False, **arguments: Any) -> None:
        """Call all listeners; an exception in one is logged and keeps none of the others from being called."""
        for handler in list(reversed(self.listeners) if reverse else self.listeners):
            try:
                handler(**arguments)
            except STEERING:
                raise
            except Exception:  # noqa: BLE001  # one listener keeps no other from being called
                _log.exception("exception in a listener")


class Events:
    """The events that a locustfile can listen to here; `compatibility.py` names the others."""

    def __init__(self) -> None:
        self.init = EventHook()
        self.init_command_line_parser = EventHook()
        self.test_start = EventHook()
        self.test_stopping = EventHook()
        self.test_stop = EventHook()
        self.quitting = EventHook()
        self.quit = EventHook()
        self.request = EventHook()
        self.user_error = EventHook()
        self.spawning_complete = EventHook()
