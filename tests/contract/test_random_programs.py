"""Random programs: both engines send the same bytes, and count what the target has received.

Every request carries its iteration, and the values of all slots, so that the target's record shows what the slots held.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from atm.engine.base import Capability, Engine
from atm.models.outcome import Outcome, StopReason
from atm.plan.connections import Connections
from atm.plan.load_plan import Header, Load, LoadPlan, Step
from atm.plan.program import (
    All,
    Check,
    ChooseOp,
    Comparison,
    Condition,
    Either,
    Extract,
    JumpOp,
    LoopOp,
    Negation,
    Op,
    RequestOp,
    Subject,
    ThinkOp,
    UnlessOp,
)
from atm.plan.template_parts import (
    Encoding,
    IterationSource,
    RandomChoiceSource,
    RandomIntSource,
    RandomStringSource,
    Source,
    UuidSource,
)
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, open_connections, run
from tests.contract.engines import ENGINES
from tests.contract.plans import MILLISECOND, closed, opened, step
from tests.contract.scenario_plans import books, evaluations, parts, returning, scenario, value
from tests.examples import examples

SLOTS = 3
CHECKS = ("a", "b")
ANSWERS = (
    '{"items": [{"id": 7}, {"id": "7"}, {"id": 9.50}], "text": "q\\"uote ü", "open": true, "none": null}',
    '{"items": [], "text": "7", "open": false}',
    "id=12 id=13 plain",
    "",
)
SUBJECTS = (
    Subject("json", "$.items[*].id", "random", 900),
    Subject("json", "$.items[*].id", "last"),
    Subject("json", "$.items[*].id", "all"),
    Subject("json", "$.items[*].id", "count"),
    Subject("json", "$.text"),
    Subject("json", "$.none"),
    Subject("json", "$.open"),
    Subject("regex", "id=([0-9]+)"),
    Subject("regex", "id=[0-9]+", "random", 901),
    Subject("header", "Content-Length"),
    Subject("cookie", "c"),
    Subject("status"),
    Subject("size"),
    Subject("body"),
)
OPERANDS = (7, 9.5, "7", "12", True, None, "q", "")
PLAIN = ("/status/503", "/half", "/echo/raw?plain", "/redirect/2")


def engines() -> list[Engine]:
    made = [make() for make in ENGINES.values()]
    return [engine for engine in made if Capability.SCENARIOS in engine.capabilities]


@dataclass
class Program:
    """Operations under construction, with the next counter and place."""

    ops: list[Op] = field(default_factory=list)
    counters: int = 0
    place: int = 0

    def places(self, count: int = 1) -> int:
        self.place += count
        return self.place - count


Block = Callable[[Program], None]


def a_request(draw: st.DrawFn, steps: int, policies: list[str]) -> Block:
    number = draw(st.integers(0, steps - 1))
    on_error: Any = draw(st.sampled_from(policies))
    on_fail: Any = draw(st.sampled_from(policies))
    return lambda program: program.ops.append(RequestOp(number, on_error, on_fail))


def a_think(draw: st.DrawFn) -> Block:
    distribution: Any = draw(st.sampled_from(["fixed", "uniform", "exponential", "normal"]))
    first = draw(st.sampled_from([0, MILLISECOND // 2, MILLISECOND]))
    return lambda program: program.ops.append(
        ThinkOp(distribution, first, first + MILLISECOND // 4, program.places(2)),
    )


def a_repeat(times: int, inner: list[Block]) -> Block:
    def build(program: Program) -> None:
        counter = program.counters
        program.counters += 1
        start = len(program.ops)
        for block in inner:
            block(program)
        program.ops.append(LoopOp(counter, times, start))

    return build


def a_condition(condition: Condition, then: list[Block], otherwise: list[Block]) -> Block:
    def build(program: Program) -> None:
        position = len(program.ops)
        program.ops.append(JumpOp(0))
        for block in then:
            block(program)
        leave = len(program.ops)
        program.ops.append(JumpOp(0))
        program.ops[position] = UnlessOp(condition, len(program.ops))
        for block in otherwise:
            block(program)
        program.ops[leave] = JumpOp(len(program.ops))

    return build


def a_choice(weights: tuple[int, ...], branches: list[list[Block]]) -> Block:
    def build(program: Program) -> None:
        position = len(program.ops)
        program.ops.append(JumpOp(0))
        starts, ends = [], []
        for branch in branches:
            starts.append(len(program.ops))
            for block in branch:
                block(program)
            ends.append(len(program.ops))
            program.ops.append(JumpOp(0))
        for end in ends:
            program.ops[end] = JumpOp(len(program.ops))
        program.ops[position] = ChooseOp(weights, tuple(starts), program.places())

    return build


@st.composite
def blocks(draw: st.DrawFn, steps: int, policies: list[str], depth: int) -> list[Block]:
    made: list[Block] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["request", "request", "think", "repeat", "when", "choose"]))
        if kind == "think":
            made.append(a_think(draw))
        elif kind == "request" or depth == 0:
            made.append(a_request(draw, steps, policies))
        elif kind == "repeat":
            made.append(a_repeat(draw(st.integers(1, 3)), draw(blocks(steps, policies, depth - 1))))
        elif kind == "when":
            then, otherwise = draw(blocks(steps, policies, depth - 1)), draw(blocks(steps, policies, depth - 1))
            made.append(a_condition(draw(conditions(slots_only=True)), then, otherwise))
        else:
            branches = draw(st.lists(blocks(steps, policies, depth - 1), min_size=1, max_size=3))
            weights = tuple(draw(st.integers(1, 5)) for _ in branches)
            made.append(a_choice(weights, branches))
    return made


@st.composite
def conditions(draw: st.DrawFn, *, slots_only: bool) -> Condition:
    slots = st.integers(0, SLOTS - 1).map(lambda slot: Subject("value", value=value(slot)))
    subject = draw(slots if slots_only else st.sampled_from(SUBJECTS) | slots)
    operator: Any = draw(st.sampled_from(["eq", "ne", "lt", "ge", "in", "not_in", "exists", "missing", "contains"]))
    operand = draw(st.lists(st.sampled_from(OPERANDS)) if operator in ("in", "not_in") else st.sampled_from(OPERANDS))
    comparison = Comparison(subject, operator, operand)
    if draw(st.integers(0, 3)):
        return comparison
    other = draw(conditions(slots_only=slots_only))
    composed: list[Condition] = [Negation(comparison), All((comparison, other)), Either((comparison, other))]
    return draw(st.sampled_from(composed))


@st.composite
def steps(draw: st.DrawFn, number: int) -> Step:
    """A step that says which iteration sends it, and what the slots hold."""
    place = 1000 + 10 * number
    if draw(st.integers(0, 3)):
        cookie = draw(
            st.sampled_from([(), (("Set-Cookie", "c=1; Path=/"),), (("Set-Cookie", "c=; Max-Age=0; Path=/"),)])
        )
        made = returning(draw(st.sampled_from(ANSWERS)), status=draw(st.sampled_from([200, 201, 404])), headers=cookie)
    else:
        made = step(draw(st.sampled_from(PLAIN)))
    functions: tuple[Source, ...] = (
        UuidSource(place),
        RandomIntSource(-5, 5, place + 2),
        RandomStringSource(4, place + 3),
        RandomChoiceSource(("x", "ÿ y"), place + 4),
    )
    function = value(draw(st.sampled_from(functions)), *draw(st.sampled_from([(), ("base64",), ("upper", "sha256")])))
    headers = (
        Header("X-Iteration", parts(value(IterationSource()))),
        Header("X-Function", parts(replace(function, encoding=Encoding.HEADER))),
        *(Header(f"X-Slot-{slot}", parts(value(slot, encoding=Encoding.PERCENT))) for slot in range(SLOTS)),
    )
    body = None
    if draw(st.booleans()):
        encoding = draw(st.sampled_from([Encoding.JSON_VALUE, Encoding.RAW, Encoding.JSON]))
        body = parts("ä[", *(piece for slot in range(SLOTS) for piece in (value(slot, encoding=encoding), ",")), "%]")
        made = replace(made, method="POST" if made.method == "GET" else made.method)
    checks = tuple(
        Check(draw(st.integers(0, 1)), draw(conditions(slots_only=False)), text, counts_only=draw(st.booleans()))
        for text in ("first", "second")[: draw(st.integers(0, 2))]
    )
    extracts = tuple(
        Extract(draw(st.integers(0, SLOTS - 1)), draw(st.sampled_from(SUBJECTS)), "it", has_default, "d")
        for has_default in draw(st.lists(st.booleans(), max_size=2))
    )
    return replace(made, headers=(*made.headers, *headers), body=body, named_checks=checks, extracts=extracts)


@dataclass(frozen=True)
class Case:
    """A random program with its load."""

    ops: tuple[Op, ...]
    steps: tuple[Step, ...]
    load: Load
    total: int
    seed: int
    flow: dict[str, Any]

    def plan(self, target: TargetServer) -> LoadPlan:
        return scenario(
            target, self.ops, *self.steps, slots=["s0", "s1", "s2"], checks=CHECKS, load=self.load, total=self.total,
            seed=self.seed, flow=self.flow, connections=Connections(redirects=1), graceful=30.0,
        )  # fmt: skip


@st.composite
def cases(draw: st.DrawFn) -> Case:
    alone = draw(st.booleans())
    # How many iterations of other users are in progress at a stop is not determined: test_programs.py tests it.
    policies = ["continue", "continue", "end_iteration", *(["stop_user", "stop_run"] if alone else [])]
    made = tuple(draw(steps(number)) for number in range(draw(st.integers(1, 3))))
    program = Program()
    for block in draw(blocks(len(made), policies, 2)):
        block(program)
    if not any(isinstance(op, RequestOp) for op in program.ops):
        program.ops.append(RequestOp(0))
    return Case(
        tuple(program.ops),
        made,
        closed(1) if alone else draw(st.sampled_from([closed(3), opened(400), opened(400, arrival="poisson")])),
        draw(st.integers(1, 5)),
        draw(st.integers(0, 2**64 - 1)),
        {"uses_cookies": draw(st.booleans()), "keeps_session": alone and draw(st.booleans())},
    )


@dataclass(frozen=True)
class Outcomes:
    """What came of a run, apart from times."""

    sent: dict[int, list[bytes]]
    books: tuple[int, int, int, int]
    started: list[int]
    outcomes: list[dict[Outcome, int]]
    statuses: list[dict[int, int]]
    not_reached: list[int]
    checks: dict[int, tuple[int, int]]
    failures: dict[tuple[Outcome, str], int]
    reason: StopReason


def of_iterations(target: TargetServer) -> dict[int, list[bytes]]:
    """The captured requests by iteration, in the order of their arrival."""
    sent: dict[int, list[bytes]] = defaultdict(list)
    for request in target.captured():
        raw = request.raw or b""
        match = re.search(rb"\r\nX-Iteration: ([0-9]+)\r\n", raw)
        assert match
        head, _, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: ([0-9]+)", head)
        assert len(body) == (int(length[1]) if length else 0)
        sent[int(match[1])].append(raw)
    return sent


def outcomes_of(engine: Engine, target: TargetServer, case: Case) -> Outcomes:
    target.settled_stats()
    target.reset()
    made = case.plan(target)
    ran = run(engine, made)
    stats = target.settled_stats()
    note(f"{engine.name}: {ran.report}")
    totals = [ran.total(endpoint) for endpoint in range(len(made.endpoints))]
    check_against_record(ran, stats.received, Counter(stats.statuses))
    assert open_connections(target) == 0
    return Outcomes(
        sent=of_iterations(target),
        books=books(ran),
        started=[total.started for total in totals],
        outcomes=[total.outcomes for total in totals],
        statuses=[total.statuses for total in totals],
        not_reached=[total.not_reached for total in totals],
        checks=evaluations(ran),
        failures=ran.failures,
        reason=ran.report.stop_reason,
    )


def check_against_record(ran: Ran, received: int, statuses: Counter[int]) -> None:
    """The target has received what was started, and its responses are those that were counted."""
    total = ran.total()
    assert received == total.started + total.redirect_hops + total.redialled
    counted = Counter(total.statuses)
    counted[302] += total.redirect_hops
    assert +statuses == +counted


@pytest.mark.skipif(not engines(), reason="no engine runs scenarios")
@given(case=cases())
@settings(
    examples(100),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_engines_agree_on_random_programs(target: TargetServer, case: Case) -> None:
    first, *others = (outcomes_of(engine, target, case) for engine in engines())
    started, _, _, unfinished = first.books
    assert unfinished == 0
    assert started == case.total or first.reason is StopReason.STOPPED
    for other in others:
        assert other == first
