"""Users of scenarios alone: their connections are a list of what was sent, their clock is set by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from atm.engine.asyncio_engine.ledger.lane_end import LaneEnd
from atm.engine.asyncio_engine.ledger.ledger import CheckBooks, Ledger, LoadState
from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.transport.exchange import Exchange
from atm.engine.asyncio_engine.transport.redirects import Redirects
from atm.engine.asyncio_engine.users.data_rows import DataRows
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import needs_session
from atm.engine.asyncio_engine.users.scenario_user import ScenarioUser
from atm.engine.asyncio_engine.users.scenarios import Scenarios
from atm.engine.asyncio_engine.users.user import UserContext
from atm.engine.secrets import require_secrets
from atm.errors import EngineError
from atm.metrics.interval import Interval
from atm.metrics.scenario_interval import CheckInterval
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import Flow, LoadPlan, Step
from atm.plan.program import (
    Check,
    CheckName,
    Comparison,
    DataTable,
    JumpOp,
    LoopOp,
    Op,
    RequestOp,
    Slot,
    Subject,
    ThinkOp,
    UnlessOp,
)
from atm.plan.randomness import row_of
from atm.plan.template_parts import DataSource, Filter, SlotSource, TextSource, ValuePart
from tests.contract.plans import plan, step, with_flows
from tests.engine.asyncio_engine.test_users import Answered

EPOCH = 1_000


class Bench:
    """One user of a scenario with everything around it, its connections and its time written down."""

    def __init__(
        self, program: Sequence[Op], *steps: Step, data: Sequence[DataTable] = (), rows: Any = (), **flow: Any
    ) -> None:
        made = plan(Origin("http", "h0", 80), *steps)
        made = with_flows(made, Flow("f", 1, tuple(flow.steps[0] for flow in made.flows), tuple(program), **flow))
        self.plan: LoadPlan = replace(made, data=tuple(data))
        self.intervals: list[Interval] = []
        self.sent: list[bytes] = []
        self.ended: list[str] = []
        self.now = EPOCH
        self.origins = list(made.origins)
        self.ledger = Ledger(self.plan, Masker(self.plan, {}), self.intervals.append)
        self.ledger.begin(EPOCH, lambda _now: None)
        self.deadlines = Deadlines(lambda _at: None)
        self.sending = LaneEnd()
        scenarios = Scenarios(self.plan, {"s": "secret"}, rows)
        context = replace(
            scenarios.context(
                UserContext(
                    scenarios.flows,
                    self.ledger,
                    self.sending,
                    self.deadlines,
                    Redirects(self.plan, self),
                    self,
                    on_end=lambda _user, _now: self.ended.append("free"),
                    on_generator_error=lambda _user, _now: self.ended.append("rest"),
                ),
                on_user_stopped=lambda _user, _now: self.ended.append("stopped"),
                on_not_prepared=lambda _user, _now: self.ended.append("not prepared"),
                stop_run=lambda: self.ended.append("run"),
            ),
            clock=lambda: self.now,
        )
        self.by_origin = {0: self}
        self.user = ScenarioUser(context, self, 7)

    def origin_of(self, _scheme: str, _host: str, _port: int) -> int:
        return 0

    def send(self, exchange: Exchange) -> None:
        self.sent.append(exchange.data.split()[1])

    def dial(self, exchange: Exchange, _origin: int) -> None:
        self.send(exchange)

    def abort(self, _origin: int) -> None:
        return None

    def close(self) -> None:
        self.sent.append(b"closed")

    def begin(self, number: int = 1) -> None:
        self.user.begin(number, 0, self.now, self.now, is_warm_up=False)

    def pass_time(self, ns: int) -> None:
        self.now += ns
        for timed in self.deadlines.expired(self.now):
            timed.time_out(self.now)

    def respond(self, status: int = 200, after: int = 1) -> None:
        self.now += after
        self.user.request.responded(Answered(status, first_byte=self.now), self.now)

    def books(self) -> tuple[int, int, int, int]:
        books = self.ledger.books(0, is_warm_up=False)
        return books.started, books.completed, books.failed, books.unfinished


def test_a_think_time_is_waited_for_and_lateness_counts_in_the_next_step() -> None:
    bench = Bench([RequestOp(0), ThinkOp("fixed", 100), RequestOp(1), ThinkOp("fixed", 50)], step("/a"), step("/b"))
    bench.begin()
    bench.respond(after=10)
    assert (bench.sent, bench.user.is_busy, bench.ledger.health.thinking) == ([b"/a"], True, 1)
    bench.pass_time(99)
    assert bench.sent == [b"/a"]
    bench.pass_time(5)
    assert (bench.sent, bench.ledger.health.thinking) == ([b"/a", b"/b"], 0)
    assert (bench.user.request.intended, bench.user.request.actual) == (EPOCH + 110, EPOCH + 114)
    bench.respond(after=20)
    bench.pass_time(60)
    assert (bench.ended, bench.user.is_busy) == (["free"], False)
    bench.ledger.end_second(LoadState("load", 0.0, 1, 0, 0))
    (iterations,) = bench.intervals[0].iterations
    # The think time at the end has its drawn length, however late the loop noticed it.
    assert (iterations.time.maximum, iterations.active_time.maximum) == (184, 34)
    assert bench.intervals[0].generator.schedule_lag.maximum == 4
    assert bench.sending.last_finish == EPOCH + 184


def test_an_iteration_without_a_request_does_not_end_within_its_begin() -> None:
    bench = Bench([JumpOp(2), RequestOp(0)], step("/a"))
    bench.begin()
    assert bench.ended == []
    assert bench.user.is_busy
    bench.pass_time(0)
    assert bench.ended == ["free"]
    assert bench.books() == (1, 1, 0, 0)


def test_a_long_loop_without_a_request_takes_several_turns() -> None:
    bench = Bench([LoopOp(0, 5_000, 0), RequestOp(0)], step("/a"), counters=1)
    bench.begin()
    turns = 0
    while not bench.sent:
        turns += 1
        bench.pass_time(1)
    assert turns >= 5
    assert bench.user.request.intended == EPOCH


def test_a_user_that_is_left_unfinished_while_it_thinks_has_no_unfinished_request() -> None:
    bench = Bench([ThinkOp("fixed", 100), RequestOp(0)], step("/a"))
    bench.begin()
    bench.user.leave_unfinished()
    assert bench.books() == (1, 0, 0, 1)
    assert (bench.user.is_busy, bench.ledger.health.thinking) == (False, 0)
    bench.pass_time(1_000)
    assert bench.sent == []


@pytest.mark.parametrize(
    ("policy", "ended"),
    [
        ("end_iteration", ["free"]),
        ("stop_user", ["stopped"]),
        ("stop_run", ["run", "free"]),
    ],
)
def test_a_failed_step_ends_what_its_operation_says(policy: Any, ended: list[str]) -> None:
    bench = Bench([RequestOp(0, on_fail=policy), RequestOp(1)], step("/a"), step("/b"))
    bench.begin()
    bench.respond(503)
    assert bench.ended == ended
    assert bench.books() == (1, 0, 1, 0)
    bench.ledger.end_second(LoadState("load", 0.0, 1, 0, 0))
    assert [(figures.endpoint, figures.not_reached) for figures in bench.intervals[0].endpoints] == [(0, 0), (1, 1)]


def test_a_user_rests_after_a_generator_error_even_if_its_iteration_goes_on() -> None:
    bench = Bench([RequestOp(0, on_error="continue"), RequestOp(0)], step("/a"))
    bench.begin()
    bench.user.request.failed(Outcome.GENERATOR_ERROR, "no port", EPOCH + 1)
    assert len(bench.sent) == 2
    bench.respond()
    assert bench.ended == ["rest"]
    assert bench.books() == (1, 1, 0, 0)


def test_a_pace_is_measured_from_the_intended_start() -> None:
    bench = Bench([RequestOp(0)], step("/a"), pace_ns=500)
    bench.begin()
    assert bench.user.not_before == EPOCH + 500


class Cells:
    """A table whose cells say where they are."""

    def cell(self, row: int, column: int) -> str:
        return f"{row}.{column}"


@pytest.mark.parametrize(("per", "number"), [("user", 7), ("iteration", 3)])
@pytest.mark.parametrize("pick", ["in_order", "shuffled", "random"])
def test_a_row_is_selected_by_the_number_of_the_user_or_of_the_iteration(per: Any, pick: Any, number: int) -> None:
    table = DataTable("t", ("a", "b"), 5, per, pick, "")
    made = replace(step("/"), target=(ValuePart(DataSource(0, 1)),))
    bench = Bench([RequestOp(0), RequestOp(0)], made, data=[table], rows=[Cells()])
    bench.begin(3)
    bench.respond()
    row = row_of(pick, bench.plan.seed, 0, 5, number)
    assert bench.sent == [f"{row}.1".encode()] * 2
    assert DataRows(1, [table], [Cells()]).cell(0, 4, 1) == "4.1"


def test_only_flows_with_values_checks_or_a_program_need_a_session() -> None:
    plain = Flow("f", 1, (step("/"), step("/b", body="x")))
    assert not needs_session(plain)
    valued = replace(step("/"), target=(ValuePart(SlotSource(0)),))
    checked = replace(step("/"), named_checks=(Check(0, Comparison(Subject("status"), "eq", 200), ""),))
    assert needs_session(replace(plain, program=(RequestOp(0),)))
    assert all(needs_session(replace(plain, steps=(made,))) for made in (valued, checked))


def test_secrets_in_values_conditions_and_filters_must_be_there() -> None:
    condition = Comparison(Subject("value", value=ValuePart(TextSource(secret_slot="in_condition"))), "eq", "x")
    made = replace(
        step("/"),
        headers=(),
        body=(ValuePart(TextSource("t"), (Filter("hmac_sha256", key_slot="in_filter"),)),),
        named_checks=(
            Check(0, Comparison(Subject("status"), "eq", template=(ValuePart(TextSource("", "in_check")),)), ""),
        ),
    )
    needing = plan(Origin("http", "h", 80), made, checks=(CheckName("c", 0),))
    needing = with_flows(needing, Flow("f", 1, (made,), (UnlessOp(condition, 1),), (Slot("a"),)))
    with pytest.raises(EngineError) as error:
        require_secrets(needing, {})
    assert [problem.what.split('"')[1] for problem in error.value.problems] == ["in_check", "in_condition", "in_filter"]
    require_secrets(needing, {"in_check": "a", "in_condition": "b", "in_filter": "c"})


def test_evaluations_are_counted_by_check_and_taken_once() -> None:
    books = CheckBooks(3, warm_up=True)
    for check, passed in ((2, True), (0, False), (2, True), (2, False)):
        books.count(check, passed=passed)
    assert books.take() == [CheckInterval(0, True, 0, 1), CheckInterval(2, True, 2, 1)]
    assert books.take() == []


def test_the_secrets_of_a_user_are_masked_in_its_samples_only() -> None:
    made = plan(Origin("http", "h", 80), step("/"))
    masker = Masker(made, {"s": "known"})
    of_user = masker.with_values(["tok en", "abc"])
    assert of_user.text("known tok en tok%20en abc") == "*** *** *** abc"
    assert masker.text("known tok en") == "*** tok en"
