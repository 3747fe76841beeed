"""Scheduled stalls: periods in which the server accepts and reads, but does not respond."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


class Stall:
    """A gate for every response. While it is closed, responses queue; when it opens, they are sent in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Callable[[], None]] = []
        self._ends_ns = 0
        self.closed = False
        self.count = 0
        self.spans_ns: list[tuple[int, int]] = []
        """Start and end of every past stall, CLOCK_MONOTONIC."""
        self._began_ns = 0
        self._planned: list[asyncio.TimerHandle] = []

    def schedule(self, after: float, seconds: float) -> None:
        """Stall for `seconds`, starting in `after` seconds. Overlapping stalls are merged, up to the later end."""
        if after > 0:
            self._planned.append(self._loop.call_later(after, self._begin, seconds))
        else:
            self._begin(seconds)

    def forget(self) -> None:
        """Drop planned and past stalls; a stall in progress continues to its end."""
        for timer in self._planned:
            timer.cancel()
        self._planned.clear()
        self.spans_ns.clear()
        self.count = 0

    def when_open(self, callback: Callable[[], None]) -> None:
        """Call back at once, or after the stall."""
        if self.closed:
            self._waiting.append(callback)
        else:
            callback()

    def _begin(self, seconds: float) -> None:
        now = time.monotonic_ns()
        self._ends_ns = max(self._ends_ns, now + round(seconds * 1e9))
        if not self.closed:
            self.closed = True
            self.count += 1
            self._began_ns = now
        self._loop.call_later(seconds, self._end)

    def _end(self) -> None:
        now = time.monotonic_ns()
        if not self.closed:
            return
        if now < self._ends_ns:
            self._loop.call_later(max(0.001, (self._ends_ns - now) / 1e9), self._end)
            return
        self.closed = False
        self.spans_ns.append((self._began_ns, now))
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
