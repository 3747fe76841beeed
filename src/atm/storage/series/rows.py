"""Rows of the time series: one endpoint over one time span, with precomputed percentiles beside its histograms.

A chart of two hours reads only the precomputed figures; percentiles over other windows are merged from the histograms.
Rows of resolution 1 contain all of an `Interval` except samples and workers, so intervals are restored exactly.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.code_interval import NO_CODE, CodeInterval
from atm.metrics.interval import COUNTS, HISTOGRAMS, EndpointInterval, FailureGroup, GeneratorInterval
from atm.metrics.spread import in_milliseconds, spread_ns
from atm.models.outcome import Outcome
from atm.models.run_figures import Spread
from atm.storage.result import dumps
from atm.storage.series import codec

WHOLE = 0
"""The resolution of rows over the whole run."""
RESOLUTIONS = (1, 10, 60, 600, 3600)
"""The other resolutions in seconds, finest first; each divides the next."""
ALL = -1
"""The endpoint of rows for all endpoints combined."""
GENERATOR = -2
"""The endpoint of rows about the load generator; every time span has one."""

_GENERATOR_SUMS = ("stalls", "stalled_ns", "cpu_seconds", "dials", "connections_lost")
_GENERATOR_HIGHEST = ("longest_stall_ns", "memory_bytes", "users", "in_flight", "waiting", "open_connections")
_GENERATOR_SHARES = ("busiest_thread_share", "steal_share")


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """A stored row; `counts` and `figures` are JSON, `histograms` as in `codec.py`."""

    resolution: int
    """Seconds, or `WHOLE`."""
    start: int
    """Seconds since the start of the run; a multiple of the resolution."""
    endpoint: int
    """Index into the plan's endpoints, `ALL` or `GENERATOR`."""
    warm_up: bool
    counts: str
    figures: str
    histograms: bytes


@dataclass(frozen=True, slots=True)
class IntervalPoint:
    """The metrics of one endpoint (None: all combined) from `start`, separately for warm-up and measured load."""

    start: int
    resolution: int
    """Seconds, or `WHOLE`."""
    endpoint: int | None
    warm_up: bool
    outcomes: Mapping[Outcome, int]
    statuses: Mapping[int, int]
    counts: Mapping[str, int]
    """By the names in `atm.metrics.interval.COUNTS`, without zeros."""
    latency: Spread
    ok_latency: Spread
    adjusted_latency: Spread
    service: Spread
    first_byte: Spread


@dataclass(frozen=True, slots=True)
class GeneratorPoint:
    """The load generator's own metrics from `start`: sums and maxima, shares as means over time."""

    start: int
    resolution: int
    phase: str
    """The phase at the end of the span."""
    duration_ns: int
    arrivals_offered: float
    """Arrivals that the plan offered in this span; 0 in the closed model."""
    generator: GeneratorInterval
    schedule_lag: Spread


@dataclass(slots=True)
class Generated:
    """A mergeable time span of the generator's own metrics, from which `GENERATOR` rows are built."""

    phase: str
    duration_ns: int
    offered: float
    generator: GeneratorInterval
    failures: Sequence[FailureGroup] = ()
    code: CodeInterval = NO_CODE

    def merge(self, later: Generated) -> None:
        """Merge a later span: sums, maxima, time-weighted shares; only 1 s rows have failures and code."""
        target, source = self.generator, later.generator
        duration_ns = self.duration_ns + later.duration_ns
        for name in _GENERATOR_SUMS:
            setattr(target, name, getattr(target, name) + getattr(source, name))
        for name in _GENERATOR_HIGHEST:
            setattr(target, name, max(getattr(target, name), getattr(source, name)))
        for name in _GENERATOR_SHARES:
            weighted = getattr(target, name) * self.duration_ns + getattr(source, name) * later.duration_ns
            setattr(target, name, weighted / duration_ns if duration_ns else 0.0)
        for name in codec.GENERATOR_HISTOGRAMS:
            getattr(target, name).merge(getattr(source, name))
        target.saturated = target.saturated or source.saturated
        self.offered += later.offered
        self.duration_ns = duration_ns
        self.phase = later.phase
        self.failures = ()
        self.code = NO_CODE


def endpoint_row(resolution: int, start: int, interval: EndpointInterval, endpoint: int) -> IntervalRow:
    """Return the row of an interval under `endpoint` (its own index, or `ALL`)."""
    document: dict[str, Any] = {name: value for name in COUNTS if (value := getattr(interval, name))}
    if interval.apart:
        document["apart"] = True
    document["outcomes"] = {outcome.value: count for outcome, count in interval.outcomes.items()}
    document["statuses"] = {str(status): count for status, count in interval.statuses.items()}
    beyond = interval.failed + interval.outcomes.get(Outcome.UNFINISHED, 0) + interval.missed
    # The first three are the same where nothing failed; computing them takes most of the time of a row.
    ok = spread_ns(interval.response_ok)
    response = interval.response() if interval.response_failed or interval.response_timeout else None
    spreads = figures_text(
        spread_ns(response) if response else ok,
        ok,
        spread_ns(interval.response_ok, beyond) if beyond else ok,
        spread_ns(interval.service),
        spread_ns(interval.first_byte),
    )
    return IntervalRow(
        resolution,
        start,
        endpoint,
        interval.warm_up,
        dumps(document),
        spreads,
        codec.encode({name: getattr(interval, name) for name in HISTOGRAMS}),
    )


def generator_row(resolution: int, start: int, generated: Generated) -> IntervalRow:
    """Return the `GENERATOR` row of a time span."""
    generator = generated.generator
    document: dict[str, Any] = {
        "phase": generated.phase,
        "duration_ns": generated.duration_ns,
        "offered": generated.offered,
        "generator": {
            name: value
            for name in generator.__slots__
            if name not in codec.GENERATOR_HISTOGRAMS and (value := getattr(generator, name))
        },
    }
    if generated.failures:
        document["failures"] = [_failure_document(failure) for failure in generated.failures]
    if generated.code:
        document["code"] = generated.code.to_json()
    histograms = {name: getattr(generator, name) for name in codec.GENERATOR_HISTOGRAMS}
    figures = figures_text(spread_ns(generator.schedule_lag))
    return IntervalRow(resolution, start, GENERATOR, False, dumps(document), figures, codec.encode(histograms))


def endpoint_of(row: IntervalRow, histograms: Container[str] = HISTOGRAMS) -> EndpointInterval:
    """Return the interval of an endpoint row, with the named histograms. Raises ValueError for another row."""
    return endpoint_over([row], histograms)


def endpoint_over(rows: Sequence[IntervalRow], histograms: Container[str] = HISTOGRAMS) -> EndpointInterval:
    """Merge the rows (at least one) of one endpoint. Raises ValueError."""
    total = EndpointInterval(rows[0].endpoint, rows[0].warm_up)
    outcomes, statuses, plain = Counter[str](), Counter[str](), Counter[str]()
    try:
        for row in rows:
            document = json.loads(row.counts)
            total.apart = document.pop("apart", False)
            outcomes.update(document.pop("outcomes"))
            statuses.update(document.pop("statuses"))
            plain.update(document)
        total.outcomes = {Outcome(name): count for name, count in outcomes.items()}
        total.statuses = {int(status): count for status, count in statuses.items()}
        for name, value in (dict(plain) | codec.merged((row.histograms for row in rows), histograms)).items():
            setattr(total, name, value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a row of an interval: {error!r}") from error
    return total


def generated_of(row: IntervalRow) -> Generated:
    """Return the content of a generator row. Raises ValueError for another row."""
    try:
        document = json.loads(row.counts)
        generator = GeneratorInterval(**(document["generator"] | codec.decode(row.histograms)))
        failures = [_failure(part) for part in document.get("failures", ())]
        code = CodeInterval.from_json(document["code"]) if "code" in document else NO_CODE
        return Generated(document["phase"], document["duration_ns"], document["offered"], generator, failures, code)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a row of a generator: {error!r}") from error


def point_of(row: IntervalRow) -> IntervalPoint:
    """Return the precomputed metrics of an endpoint row, without reading its histograms."""
    document = json.loads(row.counts)
    document.pop("apart", None)
    return IntervalPoint(
        row.start,
        row.resolution,
        None if row.endpoint == ALL else row.endpoint,
        row.warm_up,
        {Outcome(name): count for name, count in document.pop("outcomes").items()},
        {int(status): count for status, count in document.pop("statuses").items()},
        document,
        *spreads_of(row.figures),
    )


def generator_point_of(row: IntervalRow) -> GeneratorPoint:
    """Return the metrics of a `GENERATOR` row."""
    generated = generated_of(row)
    return GeneratorPoint(
        row.start,
        row.resolution,
        generated.phase,
        generated.duration_ns,
        generated.offered,
        generated.generator,
        spreads_of(row.figures)[0],
    )


def figures_text(*spreads_ns: tuple[float | None, ...]) -> str:
    """Return spreads as stored, in whole ns."""
    return dumps([[_rounded(figure) for figure in figures] for figures in spreads_ns])


def spreads_of(text: str) -> list[Spread]:
    """Return the spreads of a stored row."""
    return [in_milliseconds(tuple(figures)) for figures in json.loads(text)]


def _rounded(value: float | None) -> float | None:
    return round(value) if value is not None and math.isfinite(value) else value


def _failure_document(failure: FailureGroup) -> dict[str, Any]:
    return {name: getattr(failure, name) for name in failure.__slots__}


def _failure(document: Mapping[str, Any]) -> FailureGroup:
    return FailureGroup(**{**document, "outcome": Outcome(document["outcome"])})
