"""The threshold metrics: one table for the grammar, the judge, the docs, the dashboard and the MCP server.

To add a metric, add a member to `Metric` and a row to `METRICS`. `make format` then generates the tables that depend on
it, and tests/models/test_metric.py fails for every place that lacks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from atm.dataclass import dataclass
from atm.models.outcome import FAILED, Outcome


class Unit(StrEnum):
    """The unit of a measured value and of its limit, in results."""

    MILLISECONDS = "ms"
    SHARE = "share"
    """0..1."""
    PER_SECOND = "per_second"
    OWN = "own"
    """That of a metric which the test declares."""


class Statistic(StrEnum):
    """A statistic of values other than a percentile."""

    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    TOTAL = "total"
    """The sum."""
    RATE = "rate"
    """The sum per second."""
    COUNT = "count"
    """The number of values."""
    LAST = "last"


class Comparison(StrEnum):
    """How a value is compared with its limit. The limit itself always passes."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="

    @property
    def is_upper(self) -> bool:
        """Whether the limit is the highest value that passes."""
        return self in (Comparison.LESS, Comparison.AT_MOST)


class Metric(StrEnum):
    """The value that a threshold judges."""

    LATENCY = "latency"
    OK_LATENCY = "ok_latency"
    ADJUSTED_LATENCY = "adjusted_latency"
    SERVICE = "service"
    FIRST_BYTE = "first_byte"
    ERROR_RATE = "error_rate"
    RPS = "rps"
    THROUGHPUT = "throughput"
    ITERATION_TIME = "iteration_time"
    ACTIVE_TIME = "active_time"
    ITERATION_ERROR_RATE = "iteration_error_rate"
    ITERATIONS = "iterations"
    CHECK = "check"
    OWN = "own"


class Source(StrEnum):
    """The records that a metric is computed from, as reports name them."""

    REQUESTS = "requests"
    ITERATIONS = "iterations"
    CHECKS = "evaluations"
    OWN = "values"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """The spelling of a metric, and its input.

    A time (`times`) is judged by a percentile or a `Statistic`; any other metric is a count of outcomes (`counted`)
    divided by a count of others (`of`), or by the seconds of the window. Outcomes of requests are those of `Outcome`,
    of iterations and evaluations the field names of their intervals.
    """

    unit: Unit
    words: tuple[str, ...]
    """Its spellings, the first of which is displayed; for a time, the part before the statistic, which may be empty."""
    about: str
    """Description in Markdown."""
    example: str
    times: str = ""
    """The histogram of an interval's part; `response` means all response times."""
    with_infinite: bool = False
    """Failed, unfinished and missed requests count as +∞."""
    counted: frozenset[str] = frozenset()
    of: frozenset[str] = frozenset()
    source: Source = Source.REQUESTS

    @property
    def is_time(self) -> bool:
        return bool(self.times)

    @property
    def takes_name(self) -> bool:
        """Whether it is written with the name of a check, or of a metric that the test declares."""
        return self.source in (Source.CHECKS, Source.OWN)

    @property
    def is_rate(self) -> bool:
        """Whether it is per second of the window, and so judged even with few samples: those are a low rate."""
        return self.unit is Unit.PER_SECOND


_OK = frozenset({Outcome.OK})
_COMPLETED = _OK | FAILED

METRICS: Mapping[Metric, MetricDefinition] = {
    Metric.LATENCY: MetricDefinition(
        Unit.MILLISECONDS,
        ("", "latency", "response"),
        "response time, failed requests included",
        "p99 < 300ms",
        times="response",
    ),
    Metric.ERROR_RATE: MetricDefinition(
        Unit.SHARE, ("error_rate",), "failed / completed", "error_rate < 1%", counted=FAILED, of=_COMPLETED
    ),
    Metric.RPS: MetricDefinition(Unit.PER_SECOND, ("rps",), "completed per second", "rps > 100", counted=_COMPLETED),
    Metric.OK_LATENCY: MetricDefinition(
        Unit.MILLISECONDS, ("ok",), "response time of ok responses only", "ok p95 < 250ms", times="response_ok"
    ),
    Metric.ADJUSTED_LATENCY: MetricDefinition(
        Unit.MILLISECONDS,
        ("adjusted",),
        "response time; failed, missed and unfinished requests count as infinite",
        "adjusted p99 < 1s",
        times="response_ok",
        with_infinite=True,
    ),
    Metric.FIRST_BYTE: MetricDefinition(
        Unit.MILLISECONDS,
        ("first_byte", "first byte"),
        "time from the actual start to the first byte of the response",
        "first_byte p90 < 80ms",
        times="first_byte",
    ),
    Metric.SERVICE: MetricDefinition(
        Unit.MILLISECONDS, ("service",), "time from the actual start", "service p95 < 200ms", times="service"
    ),
    Metric.THROUGHPUT: MetricDefinition(
        Unit.PER_SECOND, ("throughput",), "ok per second", "throughput > 100", counted=_OK
    ),
    Metric.ITERATION_TIME: MetricDefinition(
        Unit.MILLISECONDS,
        ("iteration",),
        "time of completed iterations of a scenario, think time included",
        "iteration p95 < 6s",
        times="time",
        source=Source.ITERATIONS,
    ),
    Metric.ACTIVE_TIME: MetricDefinition(
        Unit.MILLISECONDS,
        ("active",),
        "time of completed iterations without think time",
        "active p95 < 2s",
        times="active_time",
        source=Source.ITERATIONS,
    ),
    Metric.ITERATION_ERROR_RATE: MetricDefinition(
        Unit.SHARE,
        ("iteration_error_rate",),
        "failed / ended iterations",
        "iteration_error_rate < 1%",
        counted=frozenset({"failed"}),
        of=frozenset({"completed", "failed"}),
        source=Source.ITERATIONS,
    ),
    Metric.ITERATIONS: MetricDefinition(
        Unit.PER_SECOND,
        ("iterations",),
        "completed iterations per second",
        "iterations > 10",
        counted=frozenset({"completed"}),
        source=Source.ITERATIONS,
    ),
    Metric.CHECK: MetricDefinition(
        Unit.SHARE,
        ("check",),
        "share of passed evaluations of all checks with this name",
        "check accepted > 99.5%",
        counted=frozenset({"passed"}),
        of=frozenset({"passed", "failed"}),
        source=Source.CHECKS,
    ),
    Metric.OWN: MetricDefinition(
        Unit.OWN,
        ("metric",),
        "a statistic of a metric that the code of the test declares",
        "metric orders total >= 100",
        source=Source.OWN,
    ),
}
"""The most used first, the order in the docs and the dashboard."""
