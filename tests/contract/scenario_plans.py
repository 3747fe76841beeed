"""Plans of scenarios in few words: a program, the steps it sends, and the books of its iterations."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from atm.metrics.histogram import Histogram
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.program import CheckName, Op, RequestOp, Slot, ThinkOp
from atm.plan.template_parts import Encoding, Filter, LiteralPart, SlotSource, Source, Template, ValuePart
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran
from tests.contract.plans import MILLISECOND, http, plan, step

SEED = 7


def scenario(
    target: TargetServer,
    program: Sequence[Op],
    *steps: Step,
    slots: Sequence[Slot | str] = (),
    flow: dict[str, Any] | None = None,
    checks: Sequence[str] = (),
    **fields: Any,
) -> LoadPlan:
    """A plan of one flow with a program. `flow`: more fields of it; each step has an endpoint of its own."""
    made = plan(http(target), *steps, seed=fields.pop("seed", SEED), **fields)
    numbered = tuple(flow.steps[0] for flow in made.flows)
    counters = max((op.counter + 1 for op in program if op.op == "loop"), default=0)
    return replace(
        made,
        flows=(
            Flow(
                "s",
                1,
                numbered,
                program=tuple(program),
                slots=tuple(slot if isinstance(slot, Slot) else Slot(slot) for slot in slots),
                counters=counters,
                **(flow or {}),
            ),
        ),
        lanes=(replace(made.lanes[0], flows=(0,)),),
        checks=tuple(CheckName(name, 0) for name in checks),
    )


def requests(*steps: int, **fields: Any) -> list[Op]:
    """Operations that send steps, one after the other."""
    return [RequestOp(number, **fields) for number in steps]


def value(
    source: Source | int,
    *filters: str,
    encoding: Encoding = Encoding.RAW,
    is_secret: bool = False,
) -> ValuePart:
    """A value in a template; a number is a slot."""
    return ValuePart(
        SlotSource(source) if isinstance(source, int) else source,
        tuple(Filter(name) for name in filters),  # type: ignore[arg-type]  # the names of filters
        encoding,
        is_secret,
    )


def parts(*pieces: str | ValuePart) -> Template:
    """A template of texts and values."""
    return tuple(LiteralPart(piece) if isinstance(piece, str) else piece for piece in pieces)


def returning(
    body: str = "", *, status: int = 200, headers: Sequence[tuple[str, str]] = (), method: str = "GET"
) -> Step:
    """A step whose response has this body, and these headers."""
    content = body.encode()
    lines = [f"HTTP/1.1 {status} OK", *(f"{name}: {text}" for name, text in headers), f"Content-Length: {len(content)}"]
    raw = "\r\n".join((*lines, "", "")).encode() + content
    coded = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return step(f"/raw?base64={coded}&then=keep&complete={status}", method=method)


def think(milliseconds: float) -> ThinkOp:
    """A fixed think time."""
    return ThinkOp("fixed", int(milliseconds * MILLISECOND))


def books(ran: Ran, *, warm_up: bool = False) -> tuple[int, int, int, int]:
    """Started, completed, failed and unfinished iterations, which add up."""
    taken = [
        iterations
        for interval in ran.intervals
        for iterations in interval.iterations
        if iterations.flow == 0 and iterations.warm_up == warm_up
    ]
    started, completed, failed, unfinished = (
        sum(getattr(iterations, name) for iterations in taken)
        for name in ("started", "completed", "failed", "unfinished")
    )
    assert started == completed + failed + unfinished
    assert times(ran, warm_up=warm_up)[0].total == completed
    assert times(ran, warm_up=warm_up)[1].total == completed
    return started, completed, failed, unfinished


def times(ran: Ran, *, warm_up: bool = False) -> tuple[Histogram, Histogram]:
    """The times of completed iterations, with and without think time."""
    taken = [
        iterations
        for interval in ran.intervals
        for iterations in interval.iterations
        if iterations.flow == 0 and iterations.warm_up == warm_up
    ]
    return Histogram.merged(*(each.time for each in taken)), Histogram.merged(*(each.active_time for each in taken))


def evaluations(ran: Ran) -> dict[int, tuple[int, int]]:
    """Passed and failed evaluations of each check."""
    counts: dict[int, tuple[int, int]] = {}
    for interval in ran.intervals:
        for check in interval.checks:
            passed, failed = counts.get(check.check, (0, 0))
            counts[check.check] = passed + check.passed, failed + check.failed
    return counts


def paths(target: TargetServer) -> list[str]:
    """The targets of all requests that the target has captured, in the order of their arrival."""
    return [(request.raw or b"").split(b" ")[1].decode() for request in target.captured()]
