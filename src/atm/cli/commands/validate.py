"""`atm validate`: is this spec one that can be run, and what would it do?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, VariableOption
from atm.cli.output import Color, Output
from atm.cli.progress import planned_load
from atm.models import figures
from atm.models.exit_code import ExitCode
from atm.plan.load_plan import LoadPlan


def command(
    spec: Annotated[str, typer.Argument(metavar="SPEC|-", help="A YAML or JSON file, or - for stdin.")],
    var: VariableOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Check a spec and name every problem in it.

    Nothing is sent. Exit code 0 when it can be run, 2 when it cannot.
    """
    from atm.cli.specs import compile_source
    from atm.plan.overrides import Overrides

    output = Output.of(color, json=json)
    test = compile_source(spec, Overrides(variables=tuple(var or ())))
    if json:
        output.document(_summary(test.plan, [note.what for note in test.notes]))
        return ExitCode.PASSED
    for note in test.notes:
        output.note(note)
    output.out.lines([output.out.paper.line(sentence(test.plan))])
    return ExitCode.PASSED


def sentence(plan: LoadPlan) -> str:
    """`valid: 3 endpoints, open 150/s, for 10 s after 1 s warm-up, ≈ 1,500 requests, seed 7`."""
    count = len(plan.endpoints)
    parts = [f"{count} {'endpoint' if count == 1 else 'endpoints'}", planned_load(plan).replace(" · ", ", ")]
    seconds = planned_seconds(plan)
    if seconds is not None:
        warm_up = f" after {figures.planned(plan.load.warm_up_ns / 1e9)} warm-up" if plan.load.warm_up_ns else ""
        parts.append(f"for {figures.planned(seconds)}{warm_up}")
    requests = expected_requests(plan)
    if requests is not None:
        parts.append(f"{'' if requests == plan.total_requests else '≈ '}{figures.count(requests)} requests")
    if any(threshold.is_implied for threshold in plan.thresholds):
        parts.append("no thresholds (implied: no request may fail)")
    else:
        parts.append(f"{len(plan.thresholds)} {'threshold' if len(plan.thresholds) == 1 else 'thresholds'}")
    return f"valid: {', '.join(parts)}, seed {plan.seed}"


def planned_seconds(plan: LoadPlan) -> float | None:
    """The length of the measured load, where the plan says it."""
    return None if plan.planned_ns is None else plan.planned_ns / 1e9


def expected_requests(plan: LoadPlan) -> int | None:
    """How many requests the measured load is to have; None where that depends on the target."""
    seconds = planned_seconds(plan)
    due = None
    if plan.load.model == "open" and seconds is not None:
        from atm.plan.pacing import Profile

        due = round(Profile(plan.load.segments).integral_to(round(seconds * 1e9)))
    numbers = [number for number in (due, plan.total_requests) if number is not None]
    return min(numbers, default=None)


def _summary(plan: LoadPlan, notes: list[str]) -> dict[str, Any]:
    return {
        "valid": True,
        "name": plan.name,
        "endpoints": list(plan.endpoints),
        "model": plan.load.model,
        "duration_seconds": planned_seconds(plan),
        "warm_up_seconds": plan.load.warm_up_ns / 1e9,
        "expected_requests": expected_requests(plan),
        "thresholds": [threshold.expression for threshold in plan.thresholds],
        "seed": plan.seed,
        "notes": notes,
    }
