"""The collector for the intervals of a plan's run."""

from __future__ import annotations

from atm.metrics.collector import Collector
from atm.plan.load_plan import LoadPlan
from atm.plan.outline import data_in, scenarios_of


def collector_of(plan: LoadPlan, keeps_timeline: bool = True) -> Collector:
    """Return a collector without intervals; for `keeps_timeline` see `Collector`."""
    sampling = plan.sampling
    return Collector(
        plan.endpoints,
        scenarios=scenarios_of(plan),
        checks=plan.checks,
        data=data_in(plan),
        own_metrics=plan.own_metrics,
        warm_up_ns=plan.warm_up_ns,
        first_per_endpoint=sampling.first_per_endpoint,
        failures_per_kind=sampling.failures_per_kind,
        slowest=sampling.slowest,
        keeps_timeline=keeps_timeline,
    )
