"""The timer of a run, accurate to a fraction of a millisecond.

The timers of both event loops have whole milliseconds (uvloop uses libuv's clock; the selector loop rounds its wait
up). An open load at 1,000 requests/s would be late by half its gap. On Linux, timerfd is accurate to some 50 µs;
elsewhere the timer wakes early and then yields to the loop until the time has come.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import time
from collections.abc import Callable
from typing import Protocol

_EARLY_NS = 1_500_000
_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1


class Timer(Protocol):
    """Calls back once for each `set`, at its time or as soon as the loop can. A new `set` replaces the old one."""

    def set(self, at_ns: int) -> None:
        """`at_ns` is a time of `time.monotonic_ns`; one in the past means as soon as possible."""
        ...

    def close(self) -> None: ...


def open_timer(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> Timer:
    """Open the most accurate timer of this system. `wake` is called on the loop and must set it again."""
    return TimerFile(loop, wake) if platform.system() == "Linux" else LoopTimer(loop, wake)


class _TimerSpecification(ctypes.Structure):
    """`struct itimerspec` of timerfd_settime(2): two timespecs."""

    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("ns", ctypes.c_long),
    )


class TimerFile:
    """timerfd; setting it again also clears its readiness, so it is never read."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._settime = library.timerfd_settime
        self._file = library.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "no timer file")
        self._specification = _TimerSpecification()
        self._reference = ctypes.byref(self._specification)
        self._loop = loop
        loop.add_reader(self._file, wake)

    def set(self, at_ns: int) -> None:
        # 0 would disarm the timer.
        self._specification.seconds, self._specification.ns = divmod(max(at_ns, 1), 1_000_000_000)
        self._settime(self._file, _TFD_TIMER_ABSTIME, self._reference, None)

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)


class LoopTimer:
    """The loop's timer, set early by more than its resolution; the loop spins for the rest."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._at = 0
        self._handle: asyncio.Handle | None = None

    def set(self, at_ns: int) -> None:
        self.close()
        self._at = at_ns
        self._aim()

    def close(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _aim(self) -> None:
        left = self._at - time.monotonic_ns()
        if left > _EARLY_NS:
            self._handle = self._loop.call_later((left - _EARLY_NS) / 1e9, self._near)
        else:
            self._handle = self._loop.call_soon(self._near)

    def _near(self) -> None:
        if time.monotonic_ns() >= self._at:
            self._handle = None
            self._wake()
        else:
            self._aim()
