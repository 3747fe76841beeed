"""The comparison of two runs."""

from __future__ import annotations

from pydantic import Field

from atm.models.control.base import Answer
from atm.models.control.runs import RunSummaryView
from atm.models.run import EndpointMetrics
from atm.models.run_figures import CheckFigures, Figure, OwnFigures, ScenarioMetrics


class Difference(Answer):
    """One figure in both runs."""

    name: str
    a: Figure
    b: Figure
    change: float | None
    """(b - a) / a; null where that is meaningless."""
    better: bool | None
    """Whether b is better; null if neither is, or without a difference."""


class CurvePoint(Answer):
    """A percentile of both runs."""

    percentile: float
    a_ms: Figure
    b_ms: Figure


class ComparedEndpoint(Answer):
    """An endpoint of both runs, or of one."""

    name: str
    a: EndpointMetrics | None
    b: EndpointMetrics | None
    differences: list[Difference]


class ComparedScenario(Answer):
    """A scenario of both runs, or of one."""

    name: str
    a: ScenarioMetrics | None
    b: ScenarioMetrics | None
    differences: list[Difference]


class ComparedCheck(Answer):
    """A check at one endpoint, of both runs or of one."""

    name: str
    endpoint: str
    a: CheckFigures | None
    b: CheckFigures | None


class ComparedOwnMetric(Answer):
    """A metric that the test declares, of both runs or of one."""

    name: str
    a: OwnFigures | None
    b: OwnFigures | None


class CompareAnswer(Answer):
    """GET /compare."""

    a: RunSummaryView
    b: RunSummaryView
    differences: list[Difference]
    endpoints: list[ComparedEndpoint]
    scenarios: list[ComparedScenario] = Field([])
    """Empty if neither run has scenarios."""
    checks: list[ComparedCheck] = Field([])
    own_metrics: list[ComparedOwnMetric] = Field([])
    """Empty if neither test declares metrics."""
    curve: list[CurvePoint]
    """Response time by percentile, from the merged histograms of each run."""
    notes: list[str]
    """Reasons why the runs are not comparable: another spec, another machine, an invalid measurement."""
