"""One second of the scenarios of a run: iterations, checks, rows of test data."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.histogram import Histogram
from atm.metrics.interval_fields import counts_of, decoded, histograms_of

ITERATION_COUNTS = ("started", "completed", "failed", "unfinished", "drained", "code_ns")
"""The plain counters of an `IterationInterval`, by field name."""

ITERATION_TIMES = ("time", "active_time")
"""The histograms of an `IterationInterval`, by field name."""


@dataclass(slots=True)
class IterationInterval:
    """Iterations of one flow in this second. Over a run, `started = completed + failed + unfinished`.

    Missed iterations are counted at the flow's first step. Times are those of completed iterations.
    """

    flow: int
    """Index into the plan's flows."""
    warm_up: bool
    started: int = 0
    completed: int = 0
    """The program came to its end; without a program: every step had a full response, with any outcome."""
    failed: int = 0
    """Ended by a step, see `RequestOp`; without a program: by a step without a full response."""
    unfinished: int = 0
    """In progress when the run ended."""
    time: Histogram = field(default_factory=Histogram)
    """From the intended start to the end of the last operation."""
    active_time: Histogram = field(default_factory=Histogram)
    """The same without the think time that was drawn."""
    drained: int = 0
    """Of `completed`, those that ended after the end of sending (outside the window)."""
    code_ns: int = 0
    """Time that the engine's thread spent in the function of a scenario in code."""

    def merge(self, other: IterationInterval) -> None:
        """Add the figures of `other` (the same flow, or another one for totals)."""
        for name in ITERATION_COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ITERATION_TIMES:
            getattr(self, name).merge(getattr(other, name))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without zeros and empty histograms."""
        return {
            "flow": self.flow,
            "warm_up": self.warm_up,
            **counts_of(self, ITERATION_COUNTS),
            **histograms_of(self, ITERATION_TIMES),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> IterationInterval:
        """Read the output of `to_json`. Raises ValueError or TypeError on anything else."""
        values = dict(document)
        for name in ITERATION_TIMES:
            if name in values:
                values[name] = decoded(values[name])
        return cls(**values)


@dataclass(slots=True)
class CheckInterval:
    """Evaluations of one check in this second."""

    check: int
    """Index into the plan's checks."""
    warm_up: bool
    passed: int = 0
    failed: int = 0

    def merge(self, other: CheckInterval) -> None:
        """Add the figures of `other`."""
        self.passed += other.passed
        self.failed += other.failed

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without zeros."""
        return {"check": self.check, "warm_up": self.warm_up, **counts_of(self, ("passed", "failed"))}


@dataclass(slots=True)
class DataInterval:
    """Rows of one data table that iterations, or per user users, began with in this second, warm-up included.

    Tables per use are not counted.
    """

    table: int
    """Index into the plan's data."""
    used: int = 0
    """Rows that none had begun with before."""
    repeated: int = 0
    rows: bytes = b""
    """From an engine that sends a share: the `used` rows, as `used_rows.encoded_rows` writes them; otherwise empty."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without zeros."""
        document: dict[str, Any] = {"table": self.table, **counts_of(self, ("used", "repeated"))}
        if self.rows:
            document["rows"] = base64.b64encode(self.rows).decode()
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> DataInterval:
        """Read the output of `to_json`. Raises ValueError or TypeError on anything else."""
        return cls(**{**document, "rows": base64.b64decode(document.get("rows", ""))})
