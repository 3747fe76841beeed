"""The values of metrics that a test declares, over one second or any other span of a run."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.value_histogram import ValueHistogram

OWN_COUNTS = ("count", "total", "drained")
_EXTREMES = ("least", "most", "last")


@dataclass(slots=True)
class OwnInterval:
    """The values of one metric that were recorded within a span, in billionths.

    `merge` is commutative and associative: parts of a stream of values may be merged in any order.
    """

    metric: int
    """Index into the plan's own metrics."""
    warm_up: bool
    count: int = 0
    """Number of values."""
    total: int = 0
    """Their sum."""
    drained: int = 0
    """Of `total`, what was added after the end of sending (outside the window)."""
    least: int | None = None
    most: int | None = None
    last: int | None = None
    """Of a gauge: the latest value; of several at the same time, the largest."""
    last_ns: int = 0
    """When that was set, since the start of the run."""
    values: ValueHistogram = field(default_factory=ValueHistogram)
    """Of a trend."""

    def merge(self, other: OwnInterval) -> None:
        """Add the values of `other`, of the same metric."""
        self.count += other.count
        self.total += other.total
        self.drained += other.drained
        if other.least is not None and (self.least is None or other.least < self.least):
            self.least = other.least
        if other.most is not None and (self.most is None or other.most > self.most):
            self.most = other.most
        if other.last is not None and (self.last is None or (other.last_ns, other.last) > (self.last_ns, self.last)):
            self.last, self.last_ns = other.last, other.last_ns
        if other.values:
            self.values.merge(other.values)

    def percentile(self, percent: float) -> int | None:
        """Return a percentile of a trend, within its smallest and largest value; None without values."""
        return self.percentiles((percent,))[0]

    def percentiles(self, percents: tuple[float, ...]) -> list[int | None]:
        """Return several percentiles."""
        return [
            None if value is None or self.least is None or self.most is None else min(max(value, self.least), self.most)
            for value in self.values.values_at(percents)
        ]

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without zeros and empty parts."""
        document: dict[str, Any] = {"metric": self.metric, "warm_up": self.warm_up}
        document.update((name, number) for name in OWN_COUNTS if (number := getattr(self, name)))
        document.update((name, value) for name in _EXTREMES if (value := getattr(self, name)) is not None)
        if self.last is not None:
            document["last_ns"] = self.last_ns
        if self.values:
            document["values"] = base64.b64encode(self.values.encode()).decode()
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OwnInterval:
        """Read the output of `to_json`. Raises ValueError or TypeError on anything else."""
        values = dict(document)
        if "values" in values:
            values["values"] = ValueHistogram.decode(base64.b64decode(values["values"]))
        return cls(**values)
