"""Users alone: their connections are a list of what was sent, their clock is the argument."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.ledger.lane_end import LaneEnd
from atm.engine.asyncio_engine.ledger.ledger import Ledger, LoadState
from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.responses import is_encoded, sets_cookie
from atm.engine.asyncio_engine.transport.exchange import Exchange
from atm.engine.asyncio_engine.transport.redirects import Redirects
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.metrics.interval import EndpointInterval, Interval
from atm.models.outcome import Outcome
from atm.plan.connections import Connections, Origin
from atm.plan.load_plan import BodyCheck, Flow, LoadPlan, Step
from atm.plan.pacer import NEVER
from tests.contract.plans import plan, step, with_flows
from tests.examples import examples

EPOCH = 1_000


class Answered:
    """An answer that has come whole."""

    def __init__(self, status: int, body: bytes = b"", head: bytes = b"", first_byte: int = EPOCH + 1) -> None:
        self.status = status
        self.head_status = status
        self.first_byte = first_byte
        self.raw = b"HTTP/1.1 %d X\r\n%b\r\n%b" % (status, head, body)
        self.received = len(self.raw)
        self.body = body
        self.body_bytes = len(body)
        self.sets_cookie = sets_cookie(self.raw)
        self.is_encoded = is_encoded(self.raw)


class Bench:
    """One user with everything around it, its connections written down."""

    def __init__(self, *steps: Step, **fields: Any) -> None:
        made = plan(tuple(Origin("http", f"h{n}", 80) for n in range(2)), *steps, **fields)
        made = with_flows(made, Flow("f", 1, tuple(flow.steps[0] for flow in made.flows)))
        self.plan: LoadPlan = made
        self.intervals: list[Interval] = []
        self.sent: list[bytes] = []
        self.ended: list[bool] = []
        self.origins = list(made.origins)
        self.ledger = Ledger(made, Masker(made, {}), self.intervals.append)
        self.ledger.begin(EPOCH, lambda _now: None)
        self.rings: list[int] = []
        self.deadlines = Deadlines(self.rings.append)
        self.steps = tuple(PreparedStep(made, one, {"s": "old"}) for flow in made.flows for one in flow.steps)
        self.sending = LaneEnd()
        context = UserContext(
            (self.steps,),
            self.ledger,
            self.sending,
            self.deadlines,
            Redirects(made, self),
            self,
            on_end=lambda _user, _now: self.ended.append(False),
            on_generator_error=lambda _user, _now: self.ended.append(True),
        )
        self.by_origin = {0: self}
        self.user = User(context, self)

    def origin_of(self, scheme: str, host: str, port: int) -> int:
        found = (n for n, one in enumerate(self.origins) if (one.scheme, one.host, one.port) == (scheme, host, port))
        return next(found)

    def send(self, exchange: Exchange) -> None:
        self.sent.append(exchange.data)
        exchange.sent += len(exchange.data)

    def dial(self, exchange: Exchange, _origin: int) -> None:
        self.send(exchange)

    def abort(self, _origin: int) -> None:
        return None

    def close(self) -> None:
        self.sent.append(b"closed")

    def begin(self, number: int = 1, *, is_warm_up: bool = False) -> None:
        self.user.begin(number, 0, EPOCH, EPOCH, is_warm_up)

    def figures(self) -> list[EndpointInterval]:
        self.ledger.end_second(LoadState("load", 0.0, 1, 0, 0))
        return self.intervals[-1].endpoints


def test_the_steps_of_an_iteration_go_out_one_after_the_other() -> None:
    bench = Bench(step("/a"), step("/b"), step("/c"))
    bench.begin()
    assert [data.split()[1] for data in bench.sent] == [b"/a"]
    bench.user.request.responded(Answered(200), EPOCH + 10)
    # A full response that failed is no reason to end the iteration.
    bench.user.request.responded(Answered(503), EPOCH + 30)
    assert bench.user.request.intended == EPOCH + 30
    assert bench.ended == []
    bench.user.request.responded(Answered(200), EPOCH + 60)
    assert [data.split()[1] for data in bench.sent] == [b"/a", b"/b", b"/c"]
    assert bench.ended == [False]
    assert not bench.user.is_busy
    books = bench.ledger.books(0, is_warm_up=False)
    assert (books.started, books.completed, books.failed, books.unfinished) == (1, 1, 0, 0)
    times = [(one.started, one.ok, one.response_ok.maximum) for one in bench.figures()]
    assert times == [(1, 1, 10), (1, 0, None), (1, 1, 30)]


@pytest.mark.parametrize("outcome", [Outcome.CONNECTION_CLOSED, Outcome.GENERATOR_ERROR])
def test_a_step_without_a_full_response_ends_the_iteration(outcome: Outcome) -> None:
    bench = Bench(step("/a"), step("/b"))
    bench.begin(is_warm_up=True)
    bench.user.request.failed(outcome, "why", EPOCH + 10)
    assert len(bench.sent) == 1
    assert bench.ended == [outcome is Outcome.GENERATOR_ERROR]
    books = bench.ledger.books(0, is_warm_up=True)
    assert (books.started, books.completed, books.failed, books.unfinished) == (1, 0, 1, 0)
    figures, left_out = bench.figures()
    assert (left_out.started, left_out.not_reached) == (0, 1)
    assert figures.warm_up
    assert figures.outcomes == {outcome: 1}


def test_a_request_that_runs_out_of_time_or_is_left_counts_once() -> None:
    bench = Bench(step("/a", timeout=0.5))
    bench.begin()
    assert bench.rings == [EPOCH + 500_000_000]
    assert bench.deadlines.expired(EPOCH + 499_999_999) == []
    (late,) = bench.deadlines.expired(EPOCH + 500_000_000)
    late.time_out(EPOCH + 500_000_001)
    bench.begin(2)
    assert bench.user.is_busy
    bench.user.leave_unfinished()
    assert bench.user.request.deadline == NEVER
    (figures,) = bench.figures()
    assert figures.started == 2
    assert figures.outcomes == {Outcome.TIMEOUT: 1, Outcome.UNFINISHED: 1}
    assert bench.intervals[-1].failures[0].message == "no full answer in 0.5 s"
    assert figures.bytes_sent == 2 * len(bench.sent[0])


def test_a_request_is_checked_and_redialled_and_follows_redirects() -> None:
    checked = step("/a", checks=(BodyCheck("contains", "yes"),))
    bench = Bench(checked, connections=Connections(redirects=1))
    bench.begin()
    assert bench.user.request.wants_body
    bench.user.request.redialled()
    bench.user.request.responded(Answered(302, head=b"Location: http://h1/b\r\n"), EPOCH + 5)
    assert bench.sent[-1].startswith(b"GET /b HTTP/1.1\r\nHost: h1\r\n")
    assert bench.user.request.origin == 1
    bench.user.request.responded(Answered(200, b"no"), EPOCH + 9)
    (figures,) = bench.figures()
    assert (figures.redialled, figures.redirect_hops) == (1, 1)
    assert figures.outcomes == {Outcome.CHECK_FAILED: 1}
    assert bench.intervals[-1].failures[0].message == 'body does not contain "yes"'


def test_what_finishes_after_the_end_of_sending_is_drained() -> None:
    bench = Bench(step("/a"), step("/b"))
    bench.begin()
    bench.sending.end = EPOCH + 5
    bench.user.request.responded(Answered(200), EPOCH + 5)
    bench.user.request.responded(Answered(500), EPOCH + 6)
    assert [(one.drained_ok, one.drained_failed) for one in bench.figures()] == [(0, 0), (0, 1)]


def test_a_new_secret_is_in_the_next_request() -> None:
    bench = Bench(step("/{{secret:s}}", headers=(("X-Key", "{{secret:s}}"),)))
    (prepared,) = bench.steps
    prepared.prepare({"s": "new"})
    assert prepared.secret_headers == {"x-key"}
    bench.begin()
    assert bench.sent[0].startswith(b"GET /new HTTP/1.1\r\n")


class Waiting:
    """Something with a deadline."""

    def __init__(self) -> None:
        self.deadline = NEVER
        self.armed_at = NEVER

    def time_out(self, now: int) -> None:
        assert self.deadline <= now
        self.deadline = NEVER


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 50), st.booleans()), max_size=80))
@examples(200)
def test_every_deadline_is_met_and_no_other(steps: list[tuple[int, int, bool]]) -> None:
    deadlines = Deadlines(lambda _at: None)
    requests = [Waiting() for _ in range(6)]
    for now, (index, timeout, ends) in enumerate(steps, 1):
        for late in deadlines.expired(now):
            late.time_out(now)
        assert all(request.deadline > now for request in requests)
        request = requests[index]
        if ends:
            request.deadline = NEVER
        elif request.deadline == NEVER:
            request.deadline = now + timeout
            if request.deadline < request.armed_at:
                deadlines.arm(request, request.deadline)
        assert deadlines.next_at() <= min(request.deadline for request in requests)
