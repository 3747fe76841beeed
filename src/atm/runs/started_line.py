"""Empty figures for the run that a `started` line or event describes."""

from __future__ import annotations

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances
from atm.metrics.thresholds import ThresholdJudge
from atm.models.outline import CheckName, DataSource, EndpointDescription, OpenLane, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.models.threshold import Threshold
from atm.plan.plan_decoder import decode
from atm.runs.spool import Line


def scenarios_of(started: Line) -> tuple[ScenarioSteps, ...]:
    """Return the scenarios; none for a spec of endpoints, and for runs of earlier versions."""
    return decode(tuple[ScenarioSteps, ...], started.get("scenarios", ()))


def checks_of(started: Line) -> tuple[CheckName, ...]:
    """Return the checks; as `scenarios_of`."""
    return decode(tuple[CheckName, ...], started.get("checks", ()))


def data_of(started: Line) -> tuple[DataSource, ...]:
    """Return the test data; as `scenarios_of`."""
    return decode(tuple[DataSource, ...], started.get("data", ()))


def own_metrics_of(started: Line) -> tuple[OwnMetric, ...]:
    """Return the metrics that the test declares; as `scenarios_of`."""
    return decode(tuple[OwnMetric, ...], started.get("own_metrics", ()))


def requests_of(started: Line) -> list[EndpointDescription]:
    """Return name, method and URL of each endpoint; only the name for runs of earlier versions."""
    if "requests" not in started:
        return [EndpointDescription(name, "", "") for name in started["endpoints"]]
    return list(decode(tuple[EndpointDescription, ...], started["requests"]))


def circumstances_of(started: Line) -> Circumstances:
    """Return what the line says about the load generator."""
    lanes = started.get("open_lanes")
    return Circumstances(
        started["engine"],
        started["cores"],
        poisson=started["poisson"],
        open_lanes=None if lanes is None else decode(tuple[OpenLane, ...], lanes),
    )


def warm_up_ns(started: Line) -> int:
    """Return the planned length of the warm-up."""
    seconds: float = started["warm_up_seconds"]
    return round(seconds * 1e9)


def new_collector(started: Line) -> Collector:
    """Return a collector for the intervals of the run. Raises ValueError, KeyError or TypeError for another line."""
    return Collector(
        started["endpoints"],
        scenarios=scenarios_of(started),
        checks=checks_of(started),
        data=data_of(started),
        own_metrics=own_metrics_of(started),
        warm_up_ns=warm_up_ns(started),
    )


def new_judge(started: Line) -> ThresholdJudge:
    """Return a judge of the thresholds of the run. Raises ValueError, KeyError or TypeError for another line."""
    return ThresholdJudge(
        [decode(Threshold, threshold) for threshold in started["thresholds"]],
        started["endpoints"],
        warm_up_ns(started),
        scenarios=scenarios_of(started),
        checks=checks_of(started),
        own_metrics=own_metrics_of(started),
    )
