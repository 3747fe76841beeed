"""Two runs side by side."""

from __future__ import annotations

from atm.models.control.base import Answer
from atm.models.control.runs import RunSummaryView
from atm.models.run import EndpointMetrics
from atm.models.run_figures import Figure


class Difference(Answer):
    """One figure in both runs."""

    name: str
    a: Figure
    b: Figure
    change: float | None
    """(b - a) / a; null where that means nothing."""
    better: bool | None
    """Whether b is the better one; null where there is no better, or no difference."""


class CurvePoint(Answer):
    """A percentile of both runs."""

    percentile: float
    a_ms: Figure
    b_ms: Figure


class ComparedEndpoint(Answer):
    """An endpoint that both runs have, or one of them."""

    name: str
    a: EndpointMetrics | None
    b: EndpointMetrics | None
    differences: list[Difference]


class CompareAnswer(Answer):
    """GET /compare."""

    a: RunSummaryView
    b: RunSummaryView
    differences: list[Difference]
    endpoints: list[ComparedEndpoint]
    curve: list[CurvePoint]
    """Response time by percentile, from the merged histograms of each run."""
    notes: list[str]
    """What keeps the two from being comparable: another spec, another machine, a measurement that is not valid."""
