"""Metrics that a Python file declares at its top level, and that its code records values in during a run.

    orders = atm.Counter("orders")
    queue_time = atm.Trend("queue time", unit="ms")
    stock = atm.Gauge("stock")

Outside of a run, recording does nothing, so that the code can be tested by itself; values are checked nevertheless.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Protocol

from atm.code.scenario import declarations
from atm.errors import DataError, Problem
from atm.models.own_metric import (
    HIGHEST,
    MOST_METRICS,
    SCALE,
    OwnKind,
    name_problem,
    unit_problem,
)
from atm.models.own_metric import OwnMetric as Definition


class MetricValueError(ValueError):
    """A value that a metric does not take."""


class Recorder(Protocol):
    """What a run does with values."""

    def record(self, name: str, value: int) -> None:
        """Record a value in billionths. Raises LookupError for a metric that the run does not have."""
        ...


recorder: ContextVar[Recorder | None] = ContextVar("recorder", default=None)
"""That of the iteration in which the code runs."""
_running: list[Recorder] = []
"""Those of the runs in progress in this process, for code in a context of its own."""


class Recording:
    """The time in which a run takes values, as a `with` block."""

    def __init__(self, of_run: Recorder) -> None:
        """`of_run` takes the values of code that runs in no iteration."""
        self._of_run = of_run

    def __enter__(self) -> None:
        _running.append(self._of_run)

    def __exit__(self, *_error: object) -> None:
        _running.remove(self._of_run)


class OwnMetric:
    """A metric; its kinds are below."""

    __slots__ = ("definition", "line", "name")

    kind: OwnKind

    def __init__(self, name: str, *, unit: str = "") -> None:
        """`unit` is shown with the values: `ms`, `€`.

        Raises DataError for a name or a unit that cannot be one, and for the same name twice in a file.
        """
        file, self.line = _caller()
        problem = name_problem(name) or unit_problem(unit)
        if problem:
            hint = 'Write it like `atm.Counter("orders")` or `atm.Trend("queue time", unit="ms")`'
            raise DataError(Problem(problem, "bad_metric", place=f"{file}:{self.line}", hint=hint))
        self.name = name
        self.definition = Definition(name, self.kind, unit)
        collected = declarations()
        if collected is not None:
            self._require_new(collected.metrics, f"{file}:{self.line}")
            collected.metrics.append(self)

    def _require_new(self, others: list[OwnMetric], place: str) -> None:
        for other in others:
            if other.name == self.name:
                what = f'the metric "{self.name}" is declared twice, first in line {other.line}'
                hint = "Declare it once, and use that object everywhere"
                raise DataError(Problem(what, "duplicate_name", place=place, hint=hint))
        if len(others) >= MOST_METRICS:
            what = f"a test may declare {MOST_METRICS} metrics, and this is one more"
            hint = "Names with a value in them are many metrics: put the value elsewhere"
            raise DataError(Problem(what, "too_many_metrics", place=place, hint=hint))

    def _record(self, value: float, lowest: int) -> None:
        try:
            is_taken = lowest <= value <= HIGHEST
        except TypeError:
            is_taken = False
        if not is_taken:
            raise MetricValueError(
                f'the {self.kind} "{self.name}" takes numbers from {lowest:,} to {HIGHEST:,}, not {value!r}'
            )
        current = recorder.get()
        if current is None:
            current = self._without_iteration()
            if current is None:
                return
        current.record(self.name, value * SCALE if type(value) is int else round(float(value) * SCALE))

    def _without_iteration(self) -> Recorder | None:
        """Return what takes values outside of iterations; None outside of a run."""
        if declarations() is not None:
            raise RuntimeError(
                f'the {self.kind} "{self.name}" is used while its file is imported: use it in a function'
            )
        if len(_running) > 1:
            raise RuntimeError(
                f'the {self.kind} "{self.name}" is used in a thread of its own, and several runs are in progress: '
                "start the thread with `asyncio.to_thread`"
            )
        return _running[0] if _running else None

    def __repr__(self) -> str:
        unit = f", unit={self.definition.unit!r}" if self.definition.unit else ""
        return f"atm.{type(self).__name__}({self.name!r}{unit})"


class Counter(OwnMetric):
    """Adds up: orders, bytes, money. Reported as the total and per second."""

    __slots__ = ()
    kind = OwnKind.COUNTER

    def add(self, value: float = 1) -> None:
        """Add to the counter. Raises MetricValueError for what is not a number from 0 to 10^12."""
        self._record(value, 0)


class Trend(OwnMetric):
    """Keeps the distribution of its values: sizes, times. Reported as percentiles, mean, smallest and largest."""

    __slots__ = ()
    kind = OwnKind.TREND

    def add(self, value: float) -> None:
        """Add a value. Raises MetricValueError for what is not a number from 0 to 10^12."""
        self._record(value, 0)


class Gauge(OwnMetric):
    """Keeps the last value: a stock, the length of a queue. Reported as that, smallest and largest."""

    __slots__ = ()
    kind = OwnKind.GAUGE

    def set(self, value: float) -> None:
        """Set the value. Raises MetricValueError for what is not a number from -10^12 to 10^12."""
        self._record(value, -HIGHEST)


def metrics_of(module: ModuleType, declared: list[OwnMetric]) -> tuple[Definition, ...]:
    """Return the metrics of a file that was loaded: those that were declared meanwhile, and those that it imports.

    A module that was imported before declares nothing again, so what it has is looked up.
    """
    objects = {id(metric): metric for metric in (*declared, *_metrics_in(module))}
    return tuple({metric.name: metric.definition for metric in objects.values()}.values())


def _metrics_in(module: ModuleType) -> Iterator[OwnMetric]:
    folder = Path(getattr(module, "__file__", None) or "").parent
    for value in list(vars(module).values()):
        if isinstance(value, OwnMetric):
            yield value
        elif isinstance(value, ModuleType) and Path(getattr(value, "__file__", None) or "/").parent == folder:
            yield from (attribute for attribute in list(vars(value).values()) if isinstance(attribute, OwnMetric))


def _caller() -> tuple[str, int]:
    """Return the file and line outside of this module that called into it."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return Path(frame.f_code.co_filename).name, frame.f_lineno
