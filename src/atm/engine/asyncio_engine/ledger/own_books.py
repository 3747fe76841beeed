"""Values of the metrics that a test declares, in the current second, separately for warm-up and measured load.

A value belongs to the phase of the iteration whose code records it, wherever it is recorded; without an iteration, to
that of the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from threading import get_ident
from time import monotonic_ns
from typing import Protocol

from atm.code.own_metrics import Recording, recorder
from atm.engine.asyncio_engine.ledger.lane_end import LaneEnd
from atm.metrics.own_interval import OwnInterval
from atm.models.own_metric import OwnKind, OwnMetric


class Seconds(Protocol):
    """The ledger, as far as values need it. Times: ns of the monotonic clock."""

    epoch: int
    second_end: int
    roll: Callable[[int], None]


class _Cell:
    """The values of one metric in the current second, warm-up or measured load."""

    __slots__ = ("kind", "part")

    def __init__(self, kind: OwnKind, metric: int, *, warm_up: bool) -> None:
        self.kind = kind
        self.part = OwnInterval(metric, warm_up)

    def take(self) -> OwnInterval | None:
        """Return the values since the last call; None without any."""
        part = self.part
        if not part.count:
            return None
        self.part = OwnInterval(part.metric, part.warm_up)
        return part


class OwnRecorder:
    """Takes the values of code in one phase of one lane."""

    def __init__(self, books: OwnBooks, cells: Mapping[str, _Cell], sending: LaneEnd | None) -> None:
        self._books = books
        self._seconds = books.seconds
        self._cells = cells
        self._sending = sending

    def record(self, name: str, value: int) -> None:
        """Record a value. Raises LookupError for a metric that the run does not have."""
        cell = self._cells.get(name)
        if cell is None:
            raise LookupError(f'the run has no metric "{name}": declare it at the top level of the file of the test')
        if get_ident() != self._books.thread:
            self._books.loop.call_soon_threadsafe(self.record, name, value)
            return
        now, seconds = monotonic_ns(), self._seconds
        if now >= seconds.second_end:
            seconds.roll(now)
        kind, part = cell.kind, cell.part
        part.count += 1
        if kind is OwnKind.COUNTER:
            part.total += value
            if self._sending is not None and now > self._sending.end:
                part.drained += value
            return
        if part.least is None or value < part.least:
            part.least = value
        if part.most is None or value > part.most:
            part.most = value
        if kind is OwnKind.TREND:
            part.total += value
            part.values.record(value)
        else:
            part.last, part.last_ns = value, now - seconds.epoch


class _RecorderByTime:
    """Takes the values of code that runs in no iteration."""

    def __init__(self, books: OwnBooks, warm_up_ns: int) -> None:
        self._books = books
        self._warm_up_ns = warm_up_ns

    def record(self, name: str, value: int) -> None:
        """Record a value in the phase of the time."""
        is_warm_up = monotonic_ns() - self._books.seconds.epoch < self._warm_up_ns
        self._books.recorder(None, is_warm_up=is_warm_up).record(name, value)


class OwnBooks:
    """All metrics of a run."""

    def __init__(self, metrics: Sequence[OwnMetric], warm_up_ns: int, seconds: Seconds) -> None:
        self.seconds = seconds
        self._cells = {
            warm_up: {metric.name: _Cell(metric.kind, index, warm_up=warm_up) for index, metric in enumerate(metrics)}
            for warm_up in (True, False)
        }
        self._recorders: dict[tuple[int, bool], OwnRecorder] = {}
        self.recording = Recording(_RecorderByTime(self, warm_up_ns))
        self.thread = 0
        """That of the loop."""
        self.loop: asyncio.AbstractEventLoop
        """Set by `begin`."""

    def begin(self) -> None:
        """Take values from now on. Call it on the thread of the loop."""
        self.thread = get_ident()
        self.loop = asyncio.get_running_loop()

    def recorder(self, sending: LaneEnd | None, *, is_warm_up: bool) -> OwnRecorder:
        """Return what takes the values of iterations of a lane."""
        key = (id(sending), is_warm_up)
        recorder = self._recorders.get(key)
        if recorder is None:
            recorder = self._recorders[key] = OwnRecorder(self, self._cells[is_warm_up], sending)
        return recorder

    def enter(self, sending: LaneEnd, *, is_warm_up: bool) -> None:
        """Let code that is called in this context, and in tasks that begin in it, record for a lane."""
        recorder.set(self.recorder(sending, is_warm_up=is_warm_up))

    def take(self) -> list[OwnInterval]:
        """Return the values since the last call, in the order of the metrics, warm-up before measured load."""
        pairs = zip(self._cells[True].values(), self._cells[False].values(), strict=True)
        return [taken for pair in pairs for cell in pair if (taken := cell.take())]
