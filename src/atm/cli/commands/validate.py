"""`atm validate`: check a spec without running it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from atm.cli.options import OutputOptions, VariableOption
from atm.cli.progress import planned_load
from atm.models import figures
from atm.models.exit_code import ExitCode
from atm.models.fleet_spec import FleetSpec
from atm.plan.forecast import forecast
from atm.plan.load_plan import Lane, LoadPlan
from atm.plan.outline import scenarios_of


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC|-", help="A YAML or JSON file, or - for stdin.")],
    var: VariableOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Check a spec and report every problem in it.

    Sends nothing. Exit code 0 if the spec is valid, 2 if it is not.
    """
    from atm.cli.specs import compile_source
    from atm.plan.overrides import Overrides

    test = compile_source(spec, Overrides(variables=tuple(var or ())))
    fleet = test.spec.fleet
    if fleet is not None and fleet.size:
        from atm.fleet.split import split

        split(test.plan, [1] * fleet.size)
    if output.json:
        output.document(_summary(test.plan, [note.what for note in test.notes], fleet))
        return ExitCode.PASSED
    for note in test.notes:
        output.note(note)
    output.out.lines([output.out.paper.line(sentence(test.plan, fleet))])
    return ExitCode.PASSED


def sentence(plan: LoadPlan, fleet: FleetSpec | None = None) -> str:
    """Summarise a plan: `valid: 3 endpoints, open 150/s, for 10 s after 1 s warm-up, ≈ 1,500 requests, seed 7`.

    With a fleet, the load of each worker follows: `in 2 processes with 75/s each`.
    """
    count = len(plan.endpoints)
    parts = [
        f"{count} {'endpoint' if count == 1 else 'endpoints'}",
        *_loads(plan),
        *_workers(plan, fleet),
    ]
    ahead = forecast(plan)
    if ahead.seconds is not None:
        warm_up = f" after {figures.planned(ahead.warm_up_seconds)} warm-up" if ahead.warm_up_seconds else ""
        parts.append(f"for {figures.planned(ahead.seconds)}{warm_up}")
    if ahead.requests is not None:
        about = "" if ahead.requests == plan.total else "≈ "
        noun = "iteration" if scenarios_of(plan) else "request"
        parts.append(f"{about}{figures.counted(ahead.requests, noun)}")
    if any(threshold.is_implied for threshold in plan.thresholds):
        parts.append("no thresholds (implied: no request may fail)")
    else:
        parts.append(figures.counted(len(plan.thresholds), "threshold"))
    return f"valid: {', '.join(parts)}, seed {plan.seed}"


def _loads(plan: LoadPlan) -> list[str]:
    """Describe the load of each lane; of several lanes with its name and start: `order: closed, 50 users from 30 s`."""
    loads = [planned_load(lane.load).replace(" · ", ", ") for lane in plan.lanes]
    if len(loads) == 1:
        return loads
    starts = [f" from {figures.planned(lane.start_ns / 1e9)}" if lane.start_ns else "" for lane in plan.lanes]
    return [f"{lane.name}: {load}{start}" for lane, load, start in zip(plan.lanes, loads, starts, strict=True)]


def _workers(plan: LoadPlan, fleet: FleetSpec | None) -> list[str]:
    """Describe what each worker sends: `in 2 processes with 75/s each`; on a cluster, nodes may differ."""
    if fleet is None or not fleet.size:
        return []
    names = [f"{lane.name}: " if len(plan.lanes) > 1 else "" for lane in plan.lanes]
    parts = " and ".join(f"{name}{_part(lane, fleet.size)}" for name, lane in zip(names, plan.lanes, strict=True))
    if fleet.on is None:
        return [f"in {figures.counted(fleet.size, 'process')} with {parts} each"]
    return [f"on {figures.counted(fleet.size, 'worker')} of {fleet.on} with {parts} each if their nodes are equal"]


def _part(lane: Lane, workers: int) -> str:
    """Describe the part of one of several equal workers: `75/s`, `up to 75/s`, `5 users`, `3 or 4 users`."""
    levels = {level for segment in lane.load.segments for level in (segment.start, segment.end)}
    most = "up to " if len(levels) > 1 else ""
    if lane.load.model == "open":
        return f"{most}{figures.rate(max(levels) / workers)}/s"
    fewest, rest = divmod(max(int(max(levels) + 0.5), 1), workers)
    if not rest:
        return f"{most}{figures.counted(fewest, 'user')}"
    return f"{most}{figures.count(fewest)} or {figures.counted(fewest + 1, 'user')}"


def _summary(plan: LoadPlan, notes: list[str], fleet: FleetSpec | None) -> dict[str, Any]:
    ahead = forecast(plan)
    return {
        "valid": True,
        "name": plan.name,
        "endpoints": list(plan.endpoints),
        "model": plan.model,
        "lanes": [
            {"name": lane.name, "model": lane.load.model, "start_seconds": lane.start_ns / 1e9} for lane in plan.lanes
        ],
        "fleet": {"on": fleet.on, "workers": fleet.size} if fleet is not None and fleet.size else None,
        "duration_seconds": ahead.seconds,
        "warm_up_seconds": ahead.warm_up_seconds,
        "expected_requests": ahead.requests,
        "thresholds": [threshold.expression for threshold in plan.thresholds],
        "seed": plan.seed,
        "notes": notes,
    }
