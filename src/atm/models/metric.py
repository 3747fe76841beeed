"""The metrics that thresholds know: one table for the grammar, the judge, the docs, the dashboard and the MCP server.

A new metric is a member of `Metric` and a row of `METRICS`. `make format` then writes the tables that are made of it,
and tests/models/test_metric.py fails for every place that does not know it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from atm.models.outcome import FAILED, Outcome


class Unit(StrEnum):
    """The unit of a measured value and of its limit, in results."""

    MILLISECONDS = "ms"
    SHARE = "share"
    """0..1."""
    PER_SECOND = "per_second"


class Statistic(StrEnum):
    """What is taken of many times, where it is no percentile."""

    MIN = "min"
    MAX = "max"
    MEAN = "mean"


class Comparison(StrEnum):
    """How a value is held against its limit. The limit itself always holds, with every one of them."""

    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="

    @property
    def is_upper(self) -> bool:
        """The limit is the highest value that holds."""
        return self in (Comparison.LESS, Comparison.AT_MOST)


class Metric(StrEnum):
    """What a threshold judges."""

    LATENCY = "latency"
    OK_LATENCY = "ok_latency"
    ADJUSTED_LATENCY = "adjusted_latency"
    SERVICE = "service"
    FIRST_BYTE = "first_byte"
    ERROR_RATE = "error_rate"
    RPS = "rps"
    THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """How a metric is written, and what it is computed from.

    A time (`times`) is judged by a percentile or a `Statistic`; any other metric is a count of outcomes (`counted`)
    divided by that of others (`of`), or by the seconds of the window.
    """

    unit: Unit
    words: tuple[str, ...]
    """How it is written; the first is how it is shown. Of a time what stands before the statistic, which may be none
    at all."""
    about: str
    """For people, in Markdown."""
    example: str
    times: str = ""
    """The histogram of an `EndpointInterval`; `response` are all response times."""
    with_infinite: bool = False
    """What failed, is unfinished or was missed counts as a time of +∞."""
    counted: frozenset[Outcome] = frozenset()
    of: frozenset[Outcome] = frozenset()

    @property
    def is_time(self) -> bool:
        return bool(self.times)

    @property
    def is_rate(self) -> bool:
        """Per second of the window: judged also where there are few samples, for few samples are a low rate."""
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
        Unit.SHARE, ("error_rate",), "failed of completed", "error_rate < 1%", counted=FAILED, of=_COMPLETED
    ),
    Metric.RPS: MetricDefinition(Unit.PER_SECOND, ("rps",), "completed per second", "rps > 100", counted=_COMPLETED),
    Metric.OK_LATENCY: MetricDefinition(
        Unit.MILLISECONDS, ("ok",), "response time of ok answers only", "ok p95 < 250ms", times="response_ok"
    ),
    Metric.ADJUSTED_LATENCY: MetricDefinition(
        Unit.MILLISECONDS,
        ("adjusted",),
        "response time; what failed, was missed or is unfinished took forever",
        "adjusted p99 < 1s",
        times="response_ok",
        with_infinite=True,
    ),
    Metric.FIRST_BYTE: MetricDefinition(
        Unit.MILLISECONDS,
        ("first_byte", "first byte"),
        "time from the actual start to the first byte of the answer",
        "first_byte p90 < 80ms",
        times="first_byte",
    ),
    Metric.SERVICE: MetricDefinition(
        Unit.MILLISECONDS, ("service",), "time from the actual start", "service p95 < 200ms", times="service"
    ),
    Metric.THROUGHPUT: MetricDefinition(
        Unit.PER_SECOND, ("throughput",), "ok per second", "throughput > 100", counted=_OK
    ),
}
"""The most used first: that is how the docs and the dashboard offer them."""
