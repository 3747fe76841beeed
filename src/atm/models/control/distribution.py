"""Distributions of times: percentile curve, histogram, heat map."""

from __future__ import annotations

from atm.models.control.base import Answer
from atm.models.run_figures import Figure


class QuantilePoint(Answer):
    """A percentile of every kind of time, in ms."""

    percentile: float
    response_ms: Figure
    service_ms: Figure
    first_byte_ms: Figure
    adjusted_ms: Figure


class RungView(Answer):
    """A row of a histogram: samples above the previous row's limit, up to and including `limit_ms`."""

    limit_ms: float
    count: int
    cumulative_share: float


class HeatColumn(Answer):
    """Distribution of response times from `start` on."""

    start: int
    counts: list[int]


class HeatView(Answer):
    """Counts by time and response time, merged from histograms."""

    step: int
    """Seconds per column."""
    limits_ms: list[float]
    """Upper limits of the rows, on a logarithmic scale; the first row starts at `floor_ms`."""
    floor_ms: float
    columns: list[HeatColumn]


class DistributionView(Answer):
    """GET /runs/{id}/distribution: any window of the measured load, from merged histograms."""

    run_id: str
    start: int
    end: int
    endpoint: str | None
    samples: int
    curve: list[QuantilePoint]
    """Up to the last percentile with ten samples above it."""
    rungs: list[RungView]
    heat: HeatView
