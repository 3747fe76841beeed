"""The verdict on each worker: from its own figures, and compared with the others, while it runs and at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atm.engine.base import EngineReport
from atm.fleet.actions import Second
from atm.fleet.records import OnLoss, Step
from atm.fleet.split import part_of_load, shares_of
from atm.fleet.state import FleetRun
from atm.fleet.worker import description
from atm.fleet.workers import Workers
from atm.metrics.interval import GeneratorInterval, Interval
from atm.models.fleet_figures import FleetFigures, WorkerSecond
from atm.models.outcome import Measurement
from atm.plan.load_plan import LoadPlan, Origin
from tests.contract.plans import closed, opened, plan
from tests.metrics.seconds import MS, SECOND, endpoint

ORIGIN = Origin("http", "127.0.0.1", 1, addresses=("127.0.0.1",))
OPEN = plan(ORIGIN, load=opened(300), duration=10)
VALID, SUSPECT, INVALID = Measurement.VALID, Measurement.SUSPECT, Measurement.INVALID


def second(number: int, count: int = 100, lag_ms: float = 0.1, cpu: float = 0.2, offered: float = 0.0) -> bytes:
    """100 requests, as one of three workers sends them."""
    part = endpoint(0, [20.0] * count, started=count)
    generator = GeneratorInterval(cpu_seconds=cpu, busiest_thread_share=min(cpu, 0.8))
    generator.schedule_lag.record(round(lag_ms * MS), count)
    return Interval(number, "load", offered=offered, endpoints=[part], generator=generator).to_bytes()


def reported(made: LoadPlan, odd: dict[str, float], seconds: int = 6) -> tuple[list[WorkerSecond], FleetFigures]:
    """Run three workers, of which the second is an odd one; return the workers of the last second, and of the run."""
    run = FleetRun(made, [1, 1, 1], {}, shares_clock=[True] * 3)
    run.prepare(0)
    for record in run.workers:
        record.step = Step.RUNNING
    intervals: list[Interval] = []
    workers = Workers(made, ["a", "b", "c"], [description()] * 3, run, intervals.append, "native")
    for number in range(seconds):
        offered = 100.0 if made.lanes[0].load.model == "open" else 0.0
        usual = second(number, offered=offered)
        other = second(number, offered=offered, **odd)  # type: ignore[arg-type]
        workers.take(Second(number, {(0, 0): usual, (1, 0): other, (2, 0): usual}))
    report = EngineReport(None, None, 0, seconds * SECOND, seconds * SECOND, ())  # type: ignore[arg-type]
    return intervals[-1].workers, workers.figures(report, OnLoss.ABORT, ())


@pytest.mark.parametrize(
    ("odd", "measurement", "message"),
    [
        ({}, VALID, ""),
        ({"lag_ms": 5.0}, SUSPECT, "requests started late"),
        ({"lag_ms": 25.0}, INVALID, "requests started late"),
        ({"cpu": 0.6}, SUSPECT, "differs from the others: used 3.0 times the CPU time of the others for a request"),
        ({"cpu": 0.39}, VALID, ""),
    ],
)
def test_the_verdict_on_a_worker_is_the_same_while_it_runs_and_at_the_end(
    odd: dict[str, float], measurement: Measurement, message: str
) -> None:
    live, at_the_end = reported(OPEN, odd)
    assert [worker.measurement for worker in live] == [VALID, measurement, VALID]
    assert [worker.measurement for worker in at_the_end.workers] == [VALID, measurement, VALID]
    assert live[1].message == at_the_end.workers[1].message
    assert live[1].message.startswith(message)
    assert at_the_end.workers[1].service_p50_ms == pytest.approx(20, rel=0.001)


def test_users_of_a_worker_that_send_less_than_those_of_the_others_make_it_unequal() -> None:
    made = plan(ORIGIN, load=closed(6), duration=10)
    live, _ = reported(made, {"count": 60})
    assert [worker.measurement for worker in live] == [VALID, SUSPECT, VALID]
    assert live[1].message == "differs from the others: sent 60 /s, its part is 86.67 /s"
    # Few requests differ by chance.
    live, _ = reported(made, {"count": 60}, seconds=2)
    assert {worker.measurement for worker in live} == {VALID}


def test_a_worker_has_the_part_of_its_users_and_of_its_arrivals() -> None:
    made = plan(ORIGIN, load=closed(3), duration=10)
    assert [part_of_load(made, share) for share in shares_of([1, 1])] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert [part_of_load(OPEN, share) for share in shares_of([3, 1])] == [0.75, 0.25]
    both = replace(made, lanes=(*made.lanes, *OPEN.lanes))
    assert sum(part_of_load(both, share) for share in shares_of([2, 1])) == pytest.approx(1)
