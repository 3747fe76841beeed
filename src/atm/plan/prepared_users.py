"""The users of an open load that run `before_user` in the background: how many, how fast, and when the load begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from atm.models.fields import Findings, Path
from atm.models.figures import count, counted
from atm.models.scenario import ScenarioSpec
from atm.models.spec import TestSpec
from atm.plan.load import nanoseconds
from atm.plan.load_plan import Flow, Lane, PreparedUsers
from atm.plan.longest_path import longest_path
from atm.plan.program import Op, RequestOp, ThinkOp

MOST_BY_DEFAULT = 10_000
"""As many iterations run at once in an open load without a limit."""
DEFAULT_RATE = 10.0
_REQUEST_SECONDS = 1.0
"""The time that one request is taken for, to find out how long an iteration takes."""
_LAST_NS = 5_000_000_000
"""How long before the load the last user begins to prepare."""


def with_prepared_users(spec: TestSpec, lanes: Sequence[Lane], flows: Sequence[Flow], findings: Findings) -> list[Lane]:
    """Return the lanes with the prepared users of open loads whose scenario has `before_user`. Reports conflicts."""
    scenarios = (spec.scenarios or {}).items()
    return [
        _with_prepared_users(scenario, ("scenarios", name), lane, flow, findings)
        for (name, scenario), lane, flow in zip(scenarios, lanes, flows, strict=True)
    ]


def after_preparation(spec: TestSpec, lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """Return the lanes, all of which begin so much later that the users of each have time to prepare."""
    scenarios = (spec.scenarios or {}).values()
    ready = [_with_lead(scenario, lane) for scenario, lane in zip(scenarios, lanes, strict=True)]
    leads = [lane.prepared.lead_ns - lane.start_ns for lane in ready if lane.prepared is not None]
    later = max(leads, default=0)
    return tuple(replace(lane, start_ns=lane.start_ns + later) if later > 0 else lane for lane in ready)


def _with_prepared_users(scenario: ScenarioSpec, path: Path, lane: Lane, flow: Flow, findings: Findings) -> Lane:
    if lane.load.model == "closed" or not scenario.before_user:
        _refuse_fields(scenario, path, findings)
        return lane
    limit = lane.load.max_in_flight
    users = scenario.prepared_users
    if users is None:
        users = _enough(lane, flow)
    elif limit is not None and users > limit:
        most = counted(limit, "iteration")
        what = f"the load has at most {most} at once, so {count(users)} prepared users are too many"
        findings.add((*path, "prepared_users"), what, "conflict", "Raise `max_in_flight`, or keep one of the two")
    rate = DEFAULT_RATE if scenario.prepare_rate is None else scenario.prepare_rate
    return replace(lane, prepared=PreparedUsers(users, rate), load=replace(lane.load, max_in_flight=users))


def _refuse_fields(scenario: ScenarioSpec, path: Path, findings: Findings) -> None:
    for name in ("prepared_users", "prepare_rate", "prepare_time"):
        if name not in scenario.written:
            continue
        if not scenario.before_user:
            what, hint = f"{name} belongs to before_user, and this scenario has none", "Remove it, or add `before_user`"
        else:
            what = f"{name} belongs to an open load, and in this closed one each user prepares itself when it begins"
            hint = "Remove it, or give the load a `rate`"
        findings.add((*path, name), what, "conflict", hint)


def _enough(lane: Lane, flow: Flow) -> int:
    """Return how many users the load needs at its peak, by the longest time that an iteration takes."""
    load = lane.load
    levels = [level for segment in load.segments for level in (segment.start, segment.end)]
    peak = max(*levels, load.warm_up_level if load.warm_up_ns else 0.0)
    bounds = [MOST_BY_DEFAULT, ceil(round(peak * longest_path(flow.program, _seconds), 6))]
    if load.max_in_flight is not None:
        bounds.append(load.max_in_flight)
    if lane.total is not None and not load.warm_up_ns:
        bounds.append(lane.total)
    return max(1, min(bounds))


def _seconds(op: Op) -> float:
    """Return the time that an operation takes, with its mean think time."""
    if isinstance(op, RequestOp):
        return _REQUEST_SECONDS
    if not isinstance(op, ThinkOp):
        return 0.0
    mean_ns = (op.first_ns + op.second_ns) / 2 if op.distribution == "uniform" else op.first_ns
    return mean_ns / 1e9


def _with_lead(scenario: ScenarioSpec, lane: Lane) -> Lane:
    if lane.prepared is None:
        return lane
    if scenario.prepare_time is not None:
        lead = nanoseconds(scenario.prepare_time)
    else:
        lead = round(lane.prepared.users / lane.prepared.rate * 1e9) + _LAST_NS
    return replace(lane, prepared=replace(lane.prepared, lead_ns=lead))
