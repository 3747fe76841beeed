"""The coroutine of an iteration, which its task drives through an object that measures the code's own time."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from time import monotonic_ns
from typing import Any, Protocol


class Steps(Protocol):
    """Whose code it is."""

    own_ns: int
    """Time that the engine took within this step of the code."""
    is_running: bool
    """The code is running now."""

    def add_code_time(self, began: int) -> None:
        """Record a step of the code that began at a time."""
        ...


class TimedCode(Coroutine[Any, Any, None]):
    """The coroutine of an iteration, with the time that it takes."""

    __slots__ = ("_coroutine", "_send", "_user")

    def __init__(self, user: Steps, coroutine: Coroutine[Any, Any, object]) -> None:
        self._user = user
        self._coroutine = coroutine
        self._send = coroutine.send

    def send(self, value: Any) -> Any:
        user = self._user
        user.own_ns = 0
        user.is_running = True
        began = monotonic_ns()
        try:
            return self._send(value)
        except StopIteration:
            raise StopIteration(None) from None
        finally:
            user.add_code_time(began)

    def throw(self, *error: Any) -> Any:
        user = self._user
        user.own_ns = 0
        user.is_running = True
        began = monotonic_ns()
        try:
            return self._coroutine.throw(*error)
        except StopIteration:
            raise StopIteration(None) from None
        finally:
            user.add_code_time(began)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, None]:
        raise TypeError("driven by its task")
