"""The input of threshold metrics: the parts of intervals that a threshold judges, and the value computed from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from atm.dataclass import dataclass
from atm.metrics.collector import Collector
from atm.metrics.histogram import HIGHEST_NS, Histogram, highest_of, index_of, lowest_of
from atm.metrics.interval import EndpointInterval, Interval
from atm.metrics.scenario_interval import CheckInterval, IterationInterval
from atm.models.metric import METRICS, Metric, Source, Statistic
from atm.models.outcome import FAILED, Outcome
from atm.models.outline import CheckName, ScenarioSteps, endpoints_apart
from atm.models.threshold import Threshold

Part = EndpointInterval | IterationInterval | CheckInterval
_Part = TypeVar("_Part", EndpointInterval, IterationInterval, CheckInterval)


@dataclass(frozen=True, slots=True)
class Measured:
    """The value that a threshold judges, over some period."""

    actual: float | None
    """In the base unit of its metric; None without samples."""
    samples: int


@dataclass(frozen=True, slots=True)
class Amounts:
    """The input of a metric over some period: of one endpoint or of all."""

    times: Histogram
    """Empty for a metric that is not a time."""
    beyond: int
    """Samples at +∞."""
    counted: int
    """Number of outcomes that the metric counts; for a rate, those inside the window."""
    of: int
    """Number of outcomes that form the denominator."""
    completed: int
    seconds: float
    """The part of the window that is covered."""


def amounts_of(metric: Metric, part: Part, seconds: float) -> Amounts:
    """Return the input of `metric` for a period of `seconds` in which `part` was counted."""
    if isinstance(part, EndpointInterval):
        return _of_requests(metric, part, seconds)
    definition = METRICS[metric]
    if isinstance(part, CheckInterval):
        return Amounts(Histogram(), 0, part.passed, part.passed + part.failed, part.passed + part.failed, seconds)
    times: Histogram = getattr(part, definition.times) if definition.is_time else Histogram()
    counted, of = (sum(getattr(part, name) for name in names) for names in (definition.counted, definition.of))
    if definition.is_rate:
        counted -= part.drained
    return Amounts(times, 0, counted, of, part.completed + part.failed, seconds)


def _of_requests(metric: Metric, part: EndpointInterval, seconds: float) -> Amounts:
    definition = METRICS[metric]
    times = Histogram()
    if definition.is_time:
        times = part.response() if definition.times == "response" else getattr(part, definition.times)
    beyond = part.failed + part.outcomes.get(Outcome.UNFINISHED, 0) + part.missed if definition.with_infinite else 0
    counted = sum(count for outcome, count in part.outcomes.items() if outcome in definition.counted)
    if definition.is_rate:
        counted -= part.drained_ok * (Outcome.OK in definition.counted)
        counted -= part.drained_failed * (definition.counted >= FAILED)
    of = sum(count for outcome, count in part.outcomes.items() if outcome in definition.of)
    return Amounts(times, beyond, counted, of, part.completed, seconds)


def measure(threshold: Threshold, amounts: Amounts) -> Measured:
    """Return the value that `threshold` judges."""
    definition = METRICS[threshold.metric]
    if definition.is_time:
        return Measured(_time(threshold, amounts), amounts.times.total + amounts.beyond)
    whole = amounts.seconds if definition.is_rate else amounts.of
    return Measured(amounts.counted / whole if whole > 0 else None, amounts.completed)


def _time(threshold: Threshold, amounts: Amounts) -> float | None:
    times, beyond = amounts.times, amounts.beyond
    if threshold.percent is not None:
        return _at_limit(times.percentile(threshold.percent, beyond), threshold.limit)
    if threshold.statistic is Statistic.MIN:
        lowest = math.inf if beyond and not times else times.minimum
        return _at_limit(lowest, threshold.limit)
    if threshold.statistic is Statistic.MAX:
        return _at_limit(math.inf if beyond else times.maximum, threshold.limit)
    return math.inf if beyond else times.mean


def _at_limit(value: float | None, limit: float) -> float | None:
    """Return `limit` if `value` is in the same bucket, and so indistinguishable from it."""
    if value is None or math.isinf(value) or not 0 <= limit <= HIGHEST_NS:
        return value
    index = index_of(int(limit))
    return limit if lowest_of(index) <= value <= highest_of(index) else value


@dataclass(frozen=True, slots=True)
class Judged:
    """The parts of intervals that a threshold judges: some or all endpoints, scenarios or checks."""

    source: Source
    members: frozenset[int] | None
    """Their indices in the plan; None for all."""
    apart: frozenset[int] = frozenset()
    """Endpoints that are judged only as members."""

    @classmethod
    def by(cls, threshold: Threshold, scenarios: Sequence[ScenarioSteps], checks: Sequence[CheckName]) -> Judged:
        """Return what `threshold` judges in a run with these scenarios and checks."""
        source = METRICS[threshold.metric].source
        if source is Source.OWN:
            return cls(source, frozenset())
        if source is Source.ITERATIONS:
            return cls(source, None if threshold.scenario is None else frozenset({threshold.scenario}))
        endpoints: frozenset[int] | None = None
        if threshold.endpoint is not None:
            endpoints = frozenset({threshold.endpoint})
        elif threshold.scenario is not None:
            endpoints = frozenset(scenarios[threshold.scenario].endpoints)
        if source is Source.REQUESTS:
            return cls(source, endpoints, frozenset() if endpoints else endpoints_apart(scenarios))
        if threshold.scenario is not None and threshold.endpoint is None:
            endpoints = frozenset((*(endpoints or ()), *scenarios[threshold.scenario].before_user))
        named = (index for index, check in enumerate(checks) if check.name == threshold.check)
        return cls(
            source, frozenset(index for index in named if endpoints is None or checks[index].endpoint in endpoints)
        )

    def parts(self, interval: Interval) -> Iterator[Part]:
        """Return the measured parts of one second."""
        if self.source is Source.ITERATIONS:
            yield from (part for part in interval.iterations if not part.warm_up and self._has(part.flow))
        elif self.source is Source.CHECKS:
            yield from (part for part in interval.checks if not part.warm_up and self._has(part.check))
        else:
            yield from (part for part in interval.endpoints if not part.warm_up and self._has(part.endpoint))

    def totals(self, collector: Collector) -> Sequence[tuple[int, Part]]:
        """Return each judged part of the run so far, with its index in the plan."""
        parts: Sequence[Part] = collector.measured
        if self.source is Source.ITERATIONS:
            parts = collector.scenarios.iterations
        elif self.source is Source.CHECKS:
            parts = collector.scenarios.evaluations
        return [(index, part) for index, part in enumerate(parts) if self._has(index)]

    def total(self, collector: Collector) -> Part:
        """Return the judged parts of the run so far, merged."""
        if self.source is Source.REQUESTS and self.members is None:
            return collector.total
        parts = [part for _, part in self.totals(collector)]
        if len(parts) == 1:
            return parts[0]
        if self.source is Source.ITERATIONS:
            return _merged(IterationInterval(-1, warm_up=False), parts)
        if self.source is Source.CHECKS:
            return _merged(CheckInterval(-1, warm_up=False), parts)
        return _merged(EndpointInterval(-1), parts)

    def _has(self, index: int) -> bool:
        return index not in self.apart if self.members is None else index in self.members


def _merged(total: _Part, parts: Iterable[Part]) -> _Part:
    for part in parts:
        if isinstance(part, type(total)):
            total.merge(part)
    return total
