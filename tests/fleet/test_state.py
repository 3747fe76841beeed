"""The state machine of a run on a fleet, on a simulated transport: delays, skewed clocks, duplicates and losses."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.base import Command
from atm.fleet import messages
from atm.fleet.records import OnLoss, Step
from atm.fleet.state import FleetRun
from atm.metrics.interval import Interval
from atm.plan.connections import Origin
from atm.plan.pacer import SECOND
from tests.contract.plans import opened, plan
from tests.examples import examples
from tests.fleet.simulation import PlannedWorker, SimulatedWorker, Simulation, arrivals

ORIGIN = Origin("http", "127.0.0.1", 1, addresses=("127.0.0.1",))
PLAN = plan(ORIGIN, load=opened(1000))


def simulation(
    workers: list[SimulatedWorker], seed: int = 1, on_loss: OnLoss = OnLoss.ABORT, **fields: Any
) -> Simulation:
    shares = [worker.skew_ns == 0 for worker in workers]
    run = FleetRun(PLAN, [1] * len(workers), {"token": "old"}, shares_clock=shares, on_loss=on_loss, **fields)
    return Simulation(run, workers, random.Random(seed))


def started(made: Simulation) -> list[int]:
    """The requests of each worker in the seconds that left the machine."""
    totals = [0] * len(made.workers)
    for second in made.seconds:
        for (worker, _), data in second.parts.items():
            interval = Interval.from_bytes(data)
            assert interval.second == second.second
            totals[worker] += interval.endpoints[0].started
    return totals


WORKERS = st.lists(
    st.builds(
        SimulatedWorker,
        seconds=st.integers(1, 10),
        skew_ns=st.sampled_from([0, 1, -1]) | st.integers(-10 * SECOND, 10 * SECOND),
        answers_late=st.booleans(),
    ),
    min_size=1,
    max_size=4,
)


@given(workers=WORKERS, seed=st.integers(0, 2**32))
@examples(100)
def test_each_second_of_each_worker_arrives_once_whatever_the_delays_clocks_and_duplicates(
    workers: list[SimulatedWorker], seed: int
) -> None:
    made = simulation(workers, seed)
    made.to_the_end()
    assert [second.second for second in made.seconds] == list(range(max(worker.seconds for worker in workers)))
    assert started(made) == [worker.seconds * 1000 for worker in workers]
    assert all(record.step is Step.ENDED for record in made.run.workers)


@given(workers=WORKERS, seed=st.integers(0, 2**32))
@examples(100)
def test_all_workers_start_together_within_the_error_that_the_machine_knows(
    workers: list[SimulatedWorker], seed: int
) -> None:
    made = simulation(workers, seed)
    made.to_the_end()
    assert made.run.time_zero_ns is not None
    for worker, record in zip(workers, made.run.workers, strict=True):
        assert worker.zero_ns is not None
        assert abs(worker.zero_ns - made.run.time_zero_ns) <= record.clock.error_ns + 1
        assert record.clock_error_ns >= record.clock.error_ns


@given(
    workers=WORKERS,
    seed=st.integers(0, 2**32),
    lost=st.integers(0, 5),
    at=st.integers(2 * SECOND, 12 * SECOND),
    on_loss=st.sampled_from([OnLoss.ABORT, OnLoss.CONTINUE]),
)
@examples(100)
def test_after_a_loss_the_seconds_of_all_are_still_counted_once_and_the_run_ends(
    workers: list[SimulatedWorker], seed: int, lost: int, at: int, on_loss: OnLoss
) -> None:
    made = simulation(workers, seed, on_loss)
    victim = workers[lost % len(workers)]
    victim.lost_at_ns = made.now_ns + at
    made.to_the_end()
    counts = started(made)
    for worker, record, count in zip(workers, made.run.workers, counts, strict=True):
        if record.step is Step.ENDED and not made.run.is_aborted:
            assert count == worker.seconds * 1000
        if record.step is Step.LOST:
            assert worker is victim
            assert count == record.lost_second * 1000
    if made.run.is_aborted:
        assert made.run.sending_ends_ns is not None
        survivors = [worker for worker in workers if worker is not victim]
        assert all(worker.ends_ns is None or worker.ends_ns <= made.now_ns for worker in survivors)


def test_a_worker_that_is_lost_before_the_start_ends_the_run_before_it_begins() -> None:
    workers = [SimulatedWorker(5), SimulatedWorker(5)]
    made = simulation(workers)
    workers[1].lost_at_ns = made.now_ns
    made.to_the_end()
    assert made.run.refusal is not None
    assert made.run.time_zero_ns is None
    assert made.seconds == []
    assert not any(isinstance(message, messages.Start) for _, message in made.sent)


def test_a_worker_that_refuses_the_plan_ends_the_run_with_its_problem() -> None:
    class Refusing(SimulatedWorker):
        def answer(self, message: messages.Message, now_ns: int, chance: random.Random) -> messages.Answer:
            if isinstance(message, messages.Prepare):
                return messages.Refused("no such engine", "engine_cannot")
            return super().answer(message, now_ns, chance)

    made = simulation([SimulatedWorker(5), Refusing(5)])
    made.to_the_end()
    assert made.run.refusal == messages.Refused("no such engine", "engine_cannot")


@pytest.mark.parametrize("command", [Command.STOP, Command.CANCEL])
@pytest.mark.parametrize("after", [0.0, 0.001, 2.0, 5.5])
def test_a_command_reaches_every_worker_and_ends_the_run(command: Command, after: float) -> None:
    workers = [SimulatedWorker(600), SimulatedWorker(600, skew_ns=3 * SECOND), SimulatedWorker(600)]
    made = simulation(workers)
    given_at = made.now_ns + int(after * SECOND)
    made.at(given_at, lambda: made.do(made.run.command(command, made.now_ns)))
    made.to_the_end(60)
    assert all(command in worker.commands for worker in workers)
    assert all(record.step is Step.ENDED for record in made.run.workers)
    assert all(worker.ends_ns is not None and worker.ends_ns <= made.now_ns for worker in workers)
    assert not made.killed


def test_a_worker_that_does_not_confirm_a_cancel_is_killed_within_a_second() -> None:
    workers = [SimulatedWorker(600), SimulatedWorker(600)]
    made = simulation(workers)
    cancel_ns = made.now_ns + 5 * SECOND
    workers[1].lost_at_ns = cancel_ns - 1
    made.at(cancel_ns, lambda: made.do(made.run.command(Command.CANCEL, made.now_ns)))
    made.to_the_end(60)
    assert made.killed == {1}
    assert made.now_ns - cancel_ns <= SECOND + 100_000_000


def test_renewed_secrets_reach_the_workers_also_before_the_start() -> None:
    workers = [SimulatedWorker(8), SimulatedWorker(8)]
    made = simulation(workers)
    made.at(made.now_ns + 1000, lambda: made.do(made.run.set_secret("token", "new", made.now_ns)))
    made.at(made.now_ns + 5 * SECOND, lambda: made.do(made.run.set_secret("key", "newer", made.now_ns)))
    made.to_the_end()
    assert [worker.secrets for worker in workers] == [{"token": "new", "key": "newer"}] * 2


def test_a_worker_that_waits_for_the_others_hears_from_its_controller_every_second() -> None:
    made = simulation([SimulatedWorker(3), SimulatedWorker(3)])
    delay = made._delay

    heard: list[int] = []

    class Listening(SimulatedWorker):
        def answer(self, message: messages.Message, now_ns: int, chance: random.Random) -> messages.Answer:
            heard.append(now_ns)
            return super().answer(message, now_ns, chance)

    made.workers[0] = Listening(3)

    def slow() -> int:
        worker, message = made.sent[-1]
        return 20 * SECOND if worker == 1 and isinstance(message, messages.Prepare) else delay()

    made._delay = slow  # type: ignore[method-assign]
    made.to_the_end()
    gaps = [later - earlier for earlier, later in pairwise(heard)]
    assert max(gaps) < 2 * SECOND
    assert len(heard) > 30


@given(
    seconds=st.integers(4, 15),
    rate=st.integers(1, 60),
    arrival=st.sampled_from(["even", "poisson"]),
    count=st.integers(2, 4),
    losses=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 18 * SECOND), st.booleans()), max_size=3),
    skew=st.integers(-10 * SECOND, 10 * SECOND),
    late=st.booleans(),
    seed=st.integers(0, 2**32),
)
@examples(100)
def test_what_a_lost_worker_would_have_sent_is_sent_by_the_others_or_missed_and_never_twice(
    seconds: int,
    rate: int,
    arrival: Any,
    count: int,
    losses: list[tuple[int, int, bool]],
    skew: int,
    late: bool,
    seed: int,
) -> None:
    made = plan(ORIGIN, load=opened(rate, arrival=arrival), duration=seconds)
    workers = [PlannedWorker(skew_ns=skew * number, answers_late=late) for number in range(count)]
    shares_clock = [worker.skew_ns == 0 for worker in workers]
    run = FleetRun(made, [1] * count, {}, shares_clock=shares_clock, on_loss=OnLoss.REASSIGN)
    simulated = Simulation(run, list(workers), random.Random(seed))
    for victim, at, is_out_of_reach in losses:
        worker = workers[victim % count]
        worker.lost_at_ns = simulated.now_ns + 2 * SECOND + at
        worker.is_out_of_reach = is_out_of_reach
    simulated.to_the_end()
    if run.time_zero_ns is None:
        return
    end_ns = run.time_zero_ns + seconds * SECOND
    for worker in workers:
        if worker.is_out_of_reach:
            # Nothing reaches it, but it sends until its lease ends.
            worker.lost_at_ns = max(worker.lost_at_ns or 0, worker.lease_ns)
        worker.send_until(end_ns)
    sent = [number for worker in workers for number in worker.sent]
    assert len(sent) == len(set(sent))
    missed = {
        number
        for record in run.workers
        if record.step is Step.LOST
        for load in record.loads
        for number, moment in arrivals(load.plan)
        if load.next_second * SECOND <= moment < (load.dealt_from_ns or end_ns)
    }
    everything = {number for number, _ in arrivals(made)}
    assert everything - missed <= set(sent) <= everything
    counted = sum(
        part.started
        for second in simulated.seconds
        for data in second.parts.values()
        for part in Interval.from_bytes(data).endpoints
    )
    assert counted == len(everything - missed)


def test_the_run_starts_without_a_worker_that_is_not_ready_if_enough_are_left() -> None:
    workers = [PlannedWorker(), PlannedWorker(skew_ns=SECOND), PlannedWorker(skew_ns=5)]
    made = plan(ORIGIN, load=opened(60), duration=3)
    run = FleetRun(made, [1] * 3, {}, shares_clock=[True, False, False], least=2)
    simulated = Simulation(run, list(workers), random.Random(1))
    workers[1].lost_at_ns = simulated.now_ns
    simulated.to_the_end(120)
    assert [record.step for record in run.workers] == [Step.ENDED, Step.MISSING, Step.ENDED]
    assert simulated.killed == {1}
    for worker in workers:
        worker.send_until(simulated.now_ns)
    assert sorted(workers[0].sent + workers[2].sent) == list(range(1, 181))


def test_too_few_ready_workers_end_the_run_before_it_begins_and_all_that_are_missing_are_named() -> None:
    workers = [SimulatedWorker(3), SimulatedWorker(3), SimulatedWorker(3)]
    made = simulation(workers, least=2)
    for worker in workers[1:]:
        worker.lost_at_ns = made.now_ns
    made.at(made.now_ns + 1, lambda: made.do(made.run.lost(2, "worker 3 ended", made.now_ns)))
    made.to_the_end(120)
    assert made.run.refusal is not None
    assert "did not answer; worker 3 ended" in made.run.refusal.what
    assert made.run.time_zero_ns is None
