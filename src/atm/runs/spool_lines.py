"""Build the lines of a spool (see `spool.py`) for the process that sends load: a runner, or the command line."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from atm.engine.environment import usable_cores
from atm.models.outcome import RunStatus, StopReason
from atm.plan.forecast import forecast
from atm.plan.outline import data_in, open_lanes_of, scenarios_of
from atm.runs.spool import Line

if TYPE_CHECKING:
    from atm.engine.executor import Execution
    from atm.metrics.interval import Interval
    from atm.models.run import RunResult
    from atm.plan.load_plan import LoadPlan


def started(execution: Execution, at: datetime) -> Line:
    """Return the line for the start of the load."""
    plan = execution.test.plan
    ahead = forecast(plan)
    return {
        "kind": "started",
        "at": at.isoformat(),
        "engine": execution.engine.name,
        "engine_reason": execution.engine_reason,
        "seed": plan.seed,
        "model": plan.model,
        "endpoints": plan.endpoints,
        "requests": [asdict(endpoint) for endpoint in execution.described()],
        **_outline(plan),
        "warm_up_seconds": plan.warm_up_ns / 1e9,
        "planned_seconds": ahead.seconds,
        "planned_requests": plan.total,
        "forecast": asdict(ahead),
        "cores": usable_cores(),
        "poisson": plan.is_poisson,
        **_lanes(plan),
        "thresholds": [asdict(threshold) for threshold in plan.thresholds],
    }


def _outline(plan: LoadPlan) -> Line:
    """Return the scenarios, checks, test data and own metrics of a plan, if it has any."""
    scenarios = [asdict(scenario) for scenario in scenarios_of(plan)]
    checks = [asdict(check) for check in plan.checks]
    data = [asdict(source) for source in data_in(plan)]
    own_metrics = [asdict(metric) for metric in plan.own_metrics]
    outline = {"scenarios": scenarios, "checks": checks, "data": data, "own_metrics": own_metrics}
    return {name: parts for name, parts in outline.items() if parts}


def _lanes(plan: LoadPlan) -> Line:
    """Return the open lanes of a plan with several lanes."""
    lanes = open_lanes_of(plan)
    return {} if lanes is None else {"open_lanes": [asdict(lane) for lane in lanes]}


def interval(second: Interval, at: datetime) -> Line:
    """Return the line for one completed second."""
    return {"kind": "interval", "at": at.isoformat(), "interval": second.to_bytes().decode()}


def finished(
    at: datetime,
    status: RunStatus,
    reason: StopReason | None,
    error: str | None,
    *,
    lost: bool = False,
    result: RunResult | None = None,
) -> Line:
    """Return the last line; `lost` when the run was cancelled because its recorder died."""
    return {
        "kind": "finished",
        "at": at.isoformat(),
        "status": status.value,
        "stop_reason": reason.value if reason else None,
        "error": error,
        "lost": lost,
        "result": result.model_dump_json() if result else None,
    }
