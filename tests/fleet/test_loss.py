"""The books after a loss: what was in flight is unfinished, what was due is missed, and the counts still add up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from atm.fleet.loss import WorkerBooks
from atm.metrics.interval import EndpointInterval, Interval
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import Load, Segment
from atm.plan.pacer import SECOND, Pacer
from atm.plan.share import Share
from tests.contract.plans import closed, plan, step
from tests.examples import examples

ORIGIN = Origin("http", "127.0.0.1", 1, addresses=("127.0.0.1",))


@given(
    rate=st.integers(1, 300),
    warm_up=st.integers(0, 3),
    of=st.integers(1, 5),
    lost=st.integers(0, 8),
    arrival=st.sampled_from(["even", "poisson"]),
)
@examples(100)
def test_arrivals_of_a_lost_worker_are_missed_from_then_on(
    rate: int, warm_up: int, of: int, lost: int, arrival: str
) -> None:
    load = Load(
        "open",
        (Segment(rate, rate, None),),
        warm_up_ns=warm_up * SECOND,
        warm_up_level=rate,
        arrival="poisson" if arrival == "poisson" else "even",
    )
    made = replace(plan(ORIGIN, step(), step(), load=load, duration=5), share=Share((0,), of))
    end = (5 + warm_up) * SECOND
    mine = []
    for number, moment in enumerate(Pacer(load, made.seed).starts()):
        if moment >= end:
            break
        if number % of == 0:
            mine.append((moment, number % 2, moment < warm_up * SECOND))
    books = WorkerBooks(made)
    for second in range(lost):
        interval = Interval(second, "load")
        for endpoint in (0, 1):
            for is_warm_up in (True, False):
                count = sum((m // SECOND, e, w) == (second, endpoint, is_warm_up) for m, e, w in mine)
                if count:
                    interval.endpoints.append(EndpointInterval(endpoint, is_warm_up, started=count))
        books.add(interval)
    totals: dict[tuple[int, bool], EndpointInterval] = {}
    for second in range(lost, 9):
        for part in books.gap(second, (second + 1) * SECOND, "load").endpoints:
            totals.setdefault((part.endpoint, part.warm_up), EndpointInterval(part.endpoint)).merge(part)
    for endpoint in (0, 1):
        for is_warm_up in (True, False):
            total = totals.get((endpoint, is_warm_up), EndpointInterval(endpoint))
            places = [m for m, e, w in mine if (e, w) == (endpoint, is_warm_up)]
            assert total.skipped == sum(moment >= lost * SECOND for moment in places)
            assert total.outcomes.get(Outcome.UNFINISHED, 0) == sum(moment < lost * SECOND for moment in places)


def test_a_lost_worker_of_the_closed_model_misses_nothing_but_leaves_requests_unfinished() -> None:
    books = WorkerBooks(plan(ORIGIN, load=closed(5), duration=9))
    books.add(Interval(0, "load", endpoints=[EndpointInterval(0, started=10, outcomes={Outcome.OK: 6})]))
    gap = books.gap(1, 2 * SECOND, "load")
    assert [(part.missed, part.outcomes) for part in gap.endpoints] == [(0, {Outcome.UNFINISHED: 4})]
    assert books.gap(2, 3 * SECOND, "load").endpoints == []
