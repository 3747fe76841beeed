"""A run of two scenarios, `browse` and `order`, second by second, whose figures are known."""

from __future__ import annotations

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances
from atm.metrics.interval import Interval
from atm.metrics.summary import RunTimes, summarize
from atm.models.outcome import Outcome
from atm.models.outline import CheckName, EndpointDescription, ScenarioSteps
from atm.models.run import RunResult
from atm.models.run_figures import DataFigures, HookFigures
from tests.cli import results
from tests.metrics.seconds import MS, SECOND, check, endpoint, failure_group, iterations, second

ENDPOINTS = ("browse/list", "browse/open", "order/list", "order/order")
SCENARIOS = (ScenarioSteps("browse", (0, 1)), ScenarioSteps("order", (2, 3)))
CHECKS = (
    CheckName("status == 200", 0),
    CheckName("in stock known", 1),
    CheckName("accepted", 3),
    CheckName("accepted", 2),
    CheckName("never judged", 3),
)
DESCRIBED = [EndpointDescription(name, "GET", f"http://127.0.0.1/{name}") for name in ENDPOINTS]
MESSAGE = 'check "accepted" failed: status == 202'


def shop_collector() -> Collector:
    return Collector(ENDPOINTS, scenarios=SCENARIOS, checks=CHECKS, warm_up_ns=SECOND)


def shop_seconds() -> list[Interval]:
    """Return one second of warm-up, two of load and one of draining.

    Of 30 `browse` iterations 20 came to the end, 4 of them after the end of sending, 8 failed at their first step and
    2 were cut off; 3 more were missed. All 10 `order` iterations came to the end, 6 of them with an order.
    """
    return [
        second(
            0,
            endpoint(0, [50.0] * 5, warm_up=True),
            phase="warm_up",
            offered=5.0,
            iterations=[iterations(0, [90.0] * 5, warm_up=True)],
            checks=[check(0, 5, warm_up=True)],
        ),
        second(
            1,
            endpoint(0, [10.0] * 15, dropped=2, not_reached=0),
            endpoint(1, [20.0] * 10, not_reached=2),
            endpoint(2, [10.0] * 10),
            endpoint(3, [30.0] * 6, not_reached=4),
            offered=27.0,
            iterations=[
                iterations(0, [1000.0] * 10, think_ms=900.0, started=15, failed=2),
                iterations(1, [40.0] * 10),
            ],
            checks=[check(0, 15), check(1, 10), check(2, 6), check(3, 10)],
        ),
        second(
            2,
            endpoint(0, [10.0] * 9, failures={Outcome.CONNECTION_CLOSED: 6}, dropped=1),
            endpoint(1, [20.0] * 5, failures={Outcome.CHECK_FAILED: 1}, not_reached=6),
            offered=16.0,
            iterations=[iterations(0, [2000.0] * 6, think_ms=1900.0, started=15, failed=6)],
            checks=[check(0, 9), check(1, 5, 1)],
            failures=[
                failure_group(Outcome.CHECK_FAILED, MESSAGE, endpoint=1, first_ns=2_500 * MS, last_ns=2_500 * MS)
            ],
        ),
        second(
            3,
            endpoint(1, [20.0] * 4, drained_ok=4),
            phase="drain",
            iterations=[iterations(0, [3000.0] * 4, think_ms=2900.0, started=0, drained=4, unfinished=2)],
            checks=[check(1, 4)],
        ),
    ]


DATA = (
    DataFigures(name="accounts", rows=1200, used=30, repeated=0, used_up_second=None),
    DataFigures(name="words", rows=10, used=10, repeated=20, used_up_second=1),
)


def shop_result_with_data() -> RunResult:
    """Return the same run with test data, `setup` and `teardown`."""
    hooks = {
        "setup": HookFigures(status="passed", steps=2, seconds=0.5),
        "teardown": HookFigures(
            status="failed", steps=1, seconds=1.5, failed_step="teardown/clean", message="503", hint="ask why"
        ),
    }
    return shop_result().model_copy(update={"data": list(DATA), **hooks})


def shop_result() -> RunResult:
    collector = shop_collector()
    for interval in shop_seconds():
        collector.add(interval)
    return summarize(
        collector,
        RunTimes(SECOND, 3 * SECOND, 4 * SECOND),
        results.info(name="shop"),
        DESCRIBED,
        [],
        circumstances=Circumstances(engine="asyncio", cores=2),
        environment={},
        spec={},
    )
