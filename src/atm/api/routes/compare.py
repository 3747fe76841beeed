"""Comparison of two runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from atm.api.deps import Plane
from atm.api.errors import ApiError
from atm.api.late_route import Routes
from atm.bootstrap import ControlPlane
from atm.errors import Problem
from atm.metrics.comparison import (
    FigureChange,
    compare_curves,
    compare_figures,
    compare_scenarios,
    differing,
    is_same_load,
    is_same_mix,
)
from atm.models.control.compare import (
    CompareAnswer,
    ComparedCheck,
    ComparedEndpoint,
    ComparedOwnMetric,
    ComparedScenario,
    CurvePoint,
    Difference,
)
from atm.models.endpoint_metrics import EndpointMetrics
from atm.models.run import RunResult
from atm.runs.lookup import whole_run_id
from atm.runs.views import summary_view

router = Routes("runs")

Id = Annotated[str, Query(pattern="^[A-Za-z0-9_-]{1,64}$")]


@router.get(
    "/compare",
    responses={404: {"description": "A run does not exist"}, 409: {"description": "A run has no result"}},
)
async def compare_runs(plane: Plane, a: Id, b: Id) -> CompareAnswer:
    """Compare two runs: figures, differences, and percentile curves from merged histograms."""
    a, b = await whole_run_id(plane.storage, a), await whole_run_id(plane.storage, b)
    first, second = await _result(plane, a), await _result(plane, b)
    return CompareAnswer(
        a=summary_view((await plane.storage.runs.get(a)).summary),
        b=summary_view((await plane.storage.runs.get(b)).summary),
        differences=_differences(first.metrics, second.metrics, same_load=is_same_load(first, second)),
        endpoints=_endpoints(first, second),
        scenarios=_scenarios(first, second),
        checks=_checks(first, second),
        own_metrics=_own_metrics(first, second),
        curve=[CurvePoint(percentile=p, a_ms=x, b_ms=y) for p, x, y in compare_curves(first, second)],
        notes=differing(first, second),
    )


async def _result(plane: ControlPlane, run_id: str) -> RunResult:
    result = await plane.storage.runs.result(run_id)
    if result is None:
        raise ApiError(409, Problem(f"run {run_id} has no result to compare", "no_result"))
    return result


def _differences(a: EndpointMetrics, b: EndpointMetrics, *, same_load: bool) -> list[Difference]:
    return _as_differences(compare_figures(a, b, same_load=same_load))


def _as_differences(changes: Sequence[FigureChange]) -> list[Difference]:
    return [
        Difference(name=figure.name, a=figure.a, b=figure.b, change=figure.change, better=figure.better)
        for figure in changes
    ]


def _scenarios(a: RunResult, b: RunResult) -> list[ComparedScenario]:
    of_a = {entry.name: entry for entry in a.scenarios}
    of_b = {entry.name: entry for entry in b.scenarios}
    compared = []
    same_load = is_same_load(a, b)
    for name in dict.fromkeys((*of_a, *of_b)):
        x, y = of_a.get(name), of_b.get(name)
        changes = compare_scenarios(x, y, same_load=same_load) if x is not None and y is not None else []
        compared.append(ComparedScenario(name=name, a=x, b=y, differences=_as_differences(changes)))
    return compared


def _checks(a: RunResult, b: RunResult) -> list[ComparedCheck]:
    of_a = {(check.name, check.endpoint): check for check in a.checks}
    of_b = {(check.name, check.endpoint): check for check in b.checks}
    keys = dict.fromkeys((*of_a, *of_b))
    return [ComparedCheck(name=key[0], endpoint=key[1], a=of_a.get(key), b=of_b.get(key)) for key in keys]


def _own_metrics(a: RunResult, b: RunResult) -> list[ComparedOwnMetric]:
    of_a = {(metric.name, metric.kind): metric for metric in a.own_metrics}
    of_b = {(metric.name, metric.kind): metric for metric in b.own_metrics}
    keys = dict.fromkeys((*of_a, *of_b))
    return [ComparedOwnMetric(name=key[0], a=of_a.get(key), b=of_b.get(key)) for key in keys]


def _endpoints(a: RunResult, b: RunResult) -> list[ComparedEndpoint]:
    of_a = {entry.name: entry for entry in a.endpoint_metrics}
    of_b = {entry.name: entry for entry in b.endpoint_metrics}
    compared = []
    same_load = is_same_mix(a, b)
    for name in dict.fromkeys((*of_a, *of_b)):
        x, y = of_a.get(name), of_b.get(name)
        both = _differences(x, y, same_load=same_load) if x is not None and y is not None else []
        compared.append(ComparedEndpoint(name=name, a=x, b=y, differences=both))
    return compared
