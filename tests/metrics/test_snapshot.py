"""What the live view is given once a second."""

from __future__ import annotations

import pytest

from atm.metrics.collector import Collector
from atm.models.outcome import Outcome
from tests.metrics.seconds import MS, SECOND, endpoint, failure_group, second

NAMES = ("GET /users", "POST /orders")


def test_before_the_first_second_everything_is_empty() -> None:
    snapshot = Collector(NAMES).snapshot()
    far = snapshot.so_far
    assert (far.started, far.latency_p99_ms, snapshot.rates, far.errors) == (
        0,
        None,
        (),
        (),
    )
    assert [each.name for each in snapshot.so_far.endpoints] == list(NAMES)
    assert snapshot.last_failure_seconds is None


def test_it_shows_the_run_so_far_and_the_last_second() -> None:
    collector = Collector(NAMES)
    collector.add(second(0, endpoint(0, [10.0] * 100), endpoint(1, [20.0] * 50), offered=150.0))
    last = second(
        1,
        endpoint(0, [30.0] * 40, waited=2),
        endpoint(1, [], failures={Outcome.UNEXPECTED_STATUS: 8, Outcome.TIMEOUT: 2}, dropped=1),
        phase="hold",
        offered=100.0,
        failures=[
            failure_group(endpoint=1, count=8, first_ns=SECOND, last_ns=1_300 * MS),
            failure_group(Outcome.TIMEOUT, "no full answer in 2 s", 2, endpoint=1, last_ns=1_900 * MS),
        ],
        users=64,
        in_flight=7,
        waiting=3,
        cpu_seconds=0.34,
        busiest_thread_share=0.3,
    )
    last.generator.schedule_lag.record(MS // 5, 50)
    collector.add(last)
    snapshot = collector.snapshot()
    assert (snapshot.elapsed_seconds, snapshot.second.phase, snapshot.second.warm_up) == (2.0, "hold", False)
    shown, far = snapshot.second, snapshot.so_far
    assert (far.started, far.ok, far.failed, far.completed) == (
        200,
        190,
        10,
        200,
    )
    assert (snapshot.so_far.missed, snapshot.so_far.waited, snapshot.so_far.error_rate) == (1, 2, 0.05)
    assert (shown.requests_per_second, shown.offered_rate, snapshot.rates) == (
        50.0,
        100.0,
        (150.0, 50.0),
    )
    assert snapshot.so_far.latency_p50_ms == pytest.approx(10, rel=1e-3)
    assert snapshot.so_far.latency_p90_ms == pytest.approx(30, rel=1e-3)
    assert snapshot.second.latency_p50_ms == pytest.approx(30, rel=1e-3)
    assert snapshot.p99s_ms == pytest.approx((20, 2000), rel=1e-3)
    assert [(error.label, error.count, error.last_seconds) for error in snapshot.so_far.errors] == [
        ("503", 8, 1.3),
        ("timeout", 2, 1.9),
    ]
    assert snapshot.last_failure_seconds == 1.9
    assert (shown.users, shown.in_flight, shown.waiting, shown.cpu_share) == (
        64,
        7,
        3,
        0.34,
    )
    assert snapshot.so_far.schedule_lag_p99_ms == pytest.approx(0.2, rel=1e-3)
    users, orders = snapshot.so_far.endpoints
    assert (users.requests_per_second, users.completed, users.failed) == (40.0, 140, 0)
    assert (orders.requests_per_second, orders.failed) == (10.0, 10)


def test_warm_up_shows_its_own_figures_until_it_is_over() -> None:
    collector = Collector(NAMES, warm_up_ns=SECOND)
    refused = failure_group(Outcome.CONNECT_ERROR, "connection refused", 3, warm_up=True, last_ns=5)
    warm = endpoint(0, [50.0] * 20, warm_up=True, failures={Outcome.CONNECT_ERROR: 3})
    collector.add(second(0, warm, phase="warm_up", failures=[refused]))
    during = collector.snapshot()
    assert (during.second.warm_up, during.so_far.ok, during.so_far.failed) == (True, 20, 3)
    assert [error.label for error in during.so_far.errors] == ["connect error"]
    collector.add(second(1, endpoint(0, [10.0] * 5)))
    after = collector.snapshot()
    assert (after.second.warm_up, after.so_far.ok, after.so_far.failed, after.so_far.errors) == (False, 5, 0, ())


def test_failures_with_one_message_at_several_endpoints_are_one_line() -> None:
    collector = Collector(NAMES)
    groups = [failure_group(endpoint=index, count=index + 1, last_ns=index * SECOND) for index in range(2)]
    collector.add(second(0, failures=groups))
    (error,) = collector.snapshot().so_far.errors
    assert (error.count, error.last_seconds) == (3, 1.0)


def test_the_sparkline_holds_a_minute() -> None:
    collector = Collector(NAMES)
    for number in range(75):
        collector.add(second(number, endpoint(0, [10.0] * number)))
    snapshot = collector.snapshot()
    assert snapshot.rates == tuple(float(number) for number in range(15, 75))
    assert len(snapshot.p99s_ms) == 60
