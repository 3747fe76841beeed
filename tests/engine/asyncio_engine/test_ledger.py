from __future__ import annotations

import json
import time

from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.health import Health
from atm.engine.asyncio_engine.ledger.ledger import Ledger, LoadState
from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.ledger.sampler import Sampler
from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.metrics.interval import EndpointInterval, Interval
from atm.metrics.scenario_interval import IterationInterval
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import Flow, Sampling, Step
from atm.plan.pacer import SECOND
from tests.contract.plans import plan, step, with_flows
from tests.examples import examples

times = st.integers(0, 2 * HIGHEST_NS)
EPOCH = 1_000


def histogram(values: list[int]) -> Histogram:
    result = Histogram()
    for value in values:
        result.record(value)
    return result


def taken(figures: EndpointFigures) -> EndpointInterval:
    pair = figures.take()
    assert pair
    return pair[0]


@given(st.lists(st.tuples(times, times, times).map(sorted), min_size=1))
@examples(200)
def test_the_written_out_buckets_are_those_of_the_histogram(samples: list[list[int]]) -> None:
    figures = EndpointFigures(0, warm_up=False)
    for first_byte, service, response in samples:
        figures.count_ok(200, response, service, first_byte)
    interval = taken(figures)
    assert interval.response_ok == histogram([each[2] for each in samples])
    assert interval.service == histogram([each[1] for each in samples])
    assert interval.first_byte == histogram([each[0] for each in samples])
    assert interval.clamped == sum(value > HIGHEST_NS for each in samples for value in each)
    assert interval.outcomes == {Outcome.OK: len(samples)}
    assert interval.statuses == {200: len(samples)}


def test_every_kind_of_end_goes_to_its_own_histogram() -> None:
    figures = EndpointFigures(3, warm_up=True)
    figures.started = 6
    figures.count_failed_response(Outcome.UNEXPECTED_STATUS, "503, expected 200", 503, 30, 20, 10, at=100)
    figures.count_failed_response(Outcome.CHECK_FAILED, "body", 200, 31, 21, 11, at=110)
    figures.count_timeout("no full answer in 1 s", 40, 39, at=120)
    figures.count_error(Outcome.CONNECT_ERROR, "connection refused", 50, at=130)
    figures.count_error(Outcome.GENERATOR_ERROR, "no free local port", 60, at=140)
    figures.count_unfinished()
    interval = taken(figures)
    assert (interval.endpoint, interval.warm_up, interval.started) == (3, True, 6)
    assert interval.response_failed == histogram([30, 31])
    assert interval.response_timeout == histogram([40])
    assert interval.service == histogram([20, 21, 39])
    assert interval.first_byte == histogram([10, 11])
    assert interval.error_time == histogram([50])
    assert interval.statuses == {503: 1, 200: 1}
    assert interval.failed == 4
    assert interval.outcomes[Outcome.UNFINISHED] == interval.outcomes[Outcome.GENERATOR_ERROR] == 1


def test_failures_group_by_kind_and_message() -> None:
    figures = EndpointFigures(0, warm_up=False)
    for at in (5, 7, 9):
        figures.count_error(Outcome.CONNECTION_CLOSED, "reset by the target", 1, at)
    figures.count_error(Outcome.CONNECTION_CLOSED, "x" * 500, 1, 8)
    pair = figures.take()
    assert pair
    groups = [(group.message, group.count, group.first_ns, group.last_ns) for group in pair[1]]
    assert groups == [("reset by the target", 3, 5, 9), ("x" * 200, 1, 8, 8)]


def test_missed_arrivals_are_told_apart() -> None:
    figures = EndpointFigures(0, warm_up=False)
    figures.missed("dropped")
    figures.missed("skipped")
    figures.missed("skipped")
    figures.missed_at_end(70)
    figures.started = 1
    figures.waited_for_user(80)
    interval = taken(figures)
    assert (interval.dropped, interval.skipped, interval.queued_at_end, interval.waited) == (1, 2, 1, 1)
    assert interval.due == 5
    assert interval.waits == histogram([80])
    assert interval.waits_at_end == histogram([70])


def ledger_of(*steps: Step, flows: int = 1) -> tuple[Ledger, list[Interval]]:
    made = plan(Origin("http", "h", 80), *steps)
    if flows == 1:
        made = with_flows(made, Flow("f", 1, tuple(flow.steps[0] for flow in made.flows)))
    intervals: list[Interval] = []
    ledger = Ledger(made, Masker(made, {}), intervals.append)
    ledger.begin(EPOCH, lambda _now: None)
    return ledger, intervals


def test_a_second_is_handed_out_once_and_holds_what_was_counted_in_it() -> None:
    ledger, intervals = ledger_of(step("/a"), step("/b"), step("/c"), flows=3)
    ledger.measured[2].count_ok(200, 3, 2, 1)
    ledger.warm_up[0].started += 1
    ledger.measured[0].count_unfinished()
    ledger.health.dialled()
    ledger.health.opened()
    assert ledger.second_end == EPOCH + SECOND
    ledger.end_second(LoadState("load", 10.0, 3, 2, 1))
    assert ledger.second_end == EPOCH + 2 * SECOND
    ledger.measured[2].count_ok(200, 3, 2, 1)
    ledger.health.closed()
    ledger.end_last_second(EPOCH + SECOND + 5, LoadState("drain", 25.0, 3, 0, 0))
    first, last = intervals
    assert (first.second, first.duration_ns, first.offered, first.phase) == (0, SECOND, 10.0, "load")
    assert (last.second, last.duration_ns, last.offered, last.phase) == (1, 5, 15.0, "drain")
    assert [(one.endpoint, one.warm_up) for one in first.endpoints] == [(0, True), (0, False), (2, False)]
    assert [(one.endpoint, one.ok) for one in last.endpoints] == [(2, 1)]
    generator = first.generator
    assert (generator.users, generator.in_flight, generator.waiting) == (3, 2, 1)
    assert (generator.dials, generator.open_connections) == (1, 1)
    assert (last.generator.dials, last.generator.open_connections) == (0, 0)
    assert first.iterations == last.iterations == []


def test_iterations_are_in_the_intervals_where_a_flow_has_several_steps() -> None:
    ledger, intervals = ledger_of(step("/a"), step("/b"))
    ledger.books(0, is_warm_up=True).started += 2
    ledger.books(0, is_warm_up=False).started += 1
    ledger.books(0, is_warm_up=True).completed += 1
    ledger.end_second(LoadState("load", 0.0, 1, 1, 0))
    ledger.books(0, is_warm_up=True).failed += 1
    ledger.books(0, is_warm_up=False).unfinished += 1
    ledger.end_second(LoadState("load", 0.0, 1, 1, 0))
    assert [interval.iterations for interval in intervals] == [
        [IterationInterval(0, True, started=2, completed=1), IterationInterval(0, False, started=1)],
        [IterationInterval(0, True, failed=1), IterationInterval(0, False, unfinished=1)],
    ]
    for interval in intervals:
        assert Interval.from_bytes(interval.to_bytes()) == interval
    assert json.loads(intervals[1].to_bytes())["iterations"][0] == {"flow": 0, "warm_up": True, "failed": 1}


class Ended:
    """A request that has ended; its answer is itself."""

    endpoint, position, is_warm_up = 0, 0, False
    slots: frozenset[str] = frozenset({"token"})
    destination = Origin("http", "h", 80)
    intended = actual = EPOCH
    first_byte = EPOCH + 1
    head_status = 200
    shown = b"GET /?t=secret HTTP/1.1\r\nHost: h\r\n\r\n"
    secret_values: tuple[str, ...] = ()
    raw = b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\n\r\nsecret"
    received = len(raw)
    body_bytes = 6

    def __init__(self, number: int) -> None:
        self.number = number


def test_samples_are_the_first_the_failed_and_the_slowest_without_secrets() -> None:
    made = plan(Origin("http", "h", 80), step("/"))
    sampler = Sampler(Sampling(1, 1, 2, 100), 1, Masker(made, {"token": "secret"}))
    sampler.epoch = EPOCH
    for number, response in enumerate((5, 9, 7, 1, 8), 1):
        if response > sampler.slower_than[0]:
            sampler.keep_ok(Ended(number), Ended(number), EPOCH + response)
    for number in (6, 7):
        sampler.keep_failed(Ended(number), None, Outcome.TIMEOUT, "no answer", EPOCH + 2)
    samples = {sample.request_number: sample for sample in sampler.take()}
    assert {number: sample.reason for number, sample in samples.items()} == {
        1: "first",
        2: "slowest",
        5: "slowest",
        6: "failure",
    }
    assert samples[1].url == "http://h/?t=***"
    assert samples[1].response
    assert samples[1].response.body == "***"
    assert samples[1].response.headers == (("Set-Cookie", "***"),)
    assert samples[6].response is None
    assert sampler.take() == []


def test_seconds_that_are_taken_at_once_share_one_cpu_share() -> None:
    health = Health()
    shares, taken_ns = [0.0], 10_000_000
    # A busy machine may interrupt this thread between the seconds.
    while taken_ns >= 10_000_000:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        begin = time.monotonic_ns()
        shares = [health.take(users=1, in_flight=0, waiting=0).busiest_thread_share for _ in range(3)]
        taken_ns = time.monotonic_ns() - begin
    assert 0 < shares[0] <= 1
    assert shares == [shares[0]] * 3
