from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.metrics.interval import EndpointInterval
from atm.metrics.recorder import Cell, Recorder
from atm.models.outcome import Outcome
from tests.examples import examples

times = st.integers(0, 2 * HIGHEST_NS)


def histogram(values: list[int]) -> Histogram:
    result = Histogram()
    for value in values:
        result.record(value)
    return result


def taken(cell: Cell) -> EndpointInterval:
    pair = cell.take()
    assert pair
    return pair[0]


@given(st.lists(st.tuples(times, times, times).map(sorted), min_size=1))
@examples(200)
def test_the_written_out_buckets_are_those_of_the_histogram(samples: list[list[int]]) -> None:
    cell = Cell(0, warm_up=False)
    for first_byte, service, response in samples:
        cell.answered_ok(200, response, service, first_byte)
    interval = taken(cell)
    assert interval.response_ok == histogram([each[2] for each in samples])
    assert interval.service == histogram([each[1] for each in samples])
    assert interval.first_byte == histogram([each[0] for each in samples])
    assert interval.clamped == sum(value > HIGHEST_NS for each in samples for value in each)
    assert interval.outcomes == {Outcome.OK: len(samples)}
    assert interval.statuses == {200: len(samples)}


def test_every_kind_of_end_goes_to_its_own_histogram() -> None:
    cell = Cell(3, warm_up=True)
    cell.started = 6
    cell.answered_badly(Outcome.UNEXPECTED_STATUS, "503, expected 200", 503, 30, 20, 10, at=100)
    cell.answered_badly(Outcome.CHECK_FAILED, "body", 200, 31, 21, 11, at=110)
    cell.gave_up("no full answer in 1 s", 40, 39, at=120)
    cell.ended(Outcome.CONNECT_ERROR, "connection refused", 50, at=130)
    cell.ended(Outcome.GENERATOR_ERROR, "no free local port", 60, at=140)
    cell.left_unfinished()
    interval = taken(cell)
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
    cell = Cell(0, warm_up=False)
    for at in (5, 7, 9):
        cell.ended(Outcome.CONNECTION_CLOSED, "reset by the target", 1, at)
    cell.ended(Outcome.CONNECTION_CLOSED, "x" * 500, 1, 8)
    pair = cell.take()
    assert pair
    groups = [(group.message, group.count, group.first_ns, group.last_ns) for group in pair[1]]
    assert groups == [("reset by the target", 3, 5, 9), ("x" * 200, 1, 8, 8)]


def test_missed_arrivals_are_told_apart() -> None:
    cell = Cell(0, warm_up=False)
    cell.missed("dropped")
    cell.missed("skipped")
    cell.missed("skipped")
    cell.missed_at_end(70)
    cell.started = 1
    cell.waited_for_user(80)
    interval = taken(cell)
    assert (interval.dropped, interval.skipped, interval.queued_at_end, interval.waited) == (1, 2, 1, 1)
    assert interval.due == 5
    assert interval.waits == histogram([80])
    assert interval.waits_at_end == histogram([70])


def test_taking_empties_every_cell_and_leaves_out_the_untouched() -> None:
    recorder = Recorder(3)
    recorder.measured[2].answered_ok(200, 3, 2, 1)
    recorder.warm_up[0].started += 1
    recorder.measured[0].left_unfinished()
    intervals, failures = recorder.take()
    assert [(each.endpoint, each.warm_up) for each in intervals] == [(0, True), (0, False), (2, False)]
    assert failures == []
    assert recorder.take() == ([], [])
    recorder.measured[2].answered_ok(200, 3, 2, 1)
    assert intervals[2].ok == recorder.take()[0][0].ok == 1
