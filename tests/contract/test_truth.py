"""The figures against what is known: the closed form of a pause, and the target's own record of every request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import pairwise

import pytest

from atm.engine.base import Engine
from atm.metrics.histogram import Histogram
from atm.plan.load_plan import Load
from atm.testing import TargetServer
from atm.testing.target_server.distributions import lognormal_ms
from tests.contract.engine_runs import Ran, longest_delay_ns, running
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, closed, http, opened, plan, step
from tests.examples import PROFILE
from tests.steadiness import allowed


@dataclass(frozen=True, slots=True)
class Pause:
    """A target that is frozen for `seconds` while load comes at `rate` for `duration` seconds."""

    rate: float
    duration: float
    seconds: float
    begins: float
    slack: float = 0.0
    """Seconds that the machine may add; nothing of the long pause's 3 %, and more than 3 % of a short one's times."""
    is_ideal: bool = True
    """Whether the closed form is asked for too: it knows of one pause only, and a busy machine makes more of them."""


SHORT = Pause(rate=400, duration=2.0, seconds=0.5, begins=0.6, slack=0.04, is_ideal=False)
FULL = Pause(rate=400, duration=10.0, seconds=2.0, begins=4.0)
SIZES = [pytest.param(SHORT, id="short"), pytest.param(FULL, id="full", marks=pytest.mark.prove)]


def frozen_run(engine: Engine, target: TargetServer, pause: Pause, load: Load, path: str) -> tuple[Ran, int, float]:
    """Run with the pause in it; also when the pause began and how many seconds it lasted, in truth."""
    freeze = target.pause(pause.seconds, after=pause.begins)
    made = plan(http(target), step(path, headers=(NUMBERED,), timeout=30), load=load, duration=pause.duration)
    ran = asyncio.run(running(engine, made))
    freeze.wait()
    assert ran.total().ok == ran.total().started == round(pause.rate * pause.duration)
    assert target.settled_stats().completed == ran.total().started
    return ran, freeze.began_ns, (freeze.ended_ns - freeze.began_ns) / SECOND


def expected_seconds(percent: float, pause: Pause, seconds: float, capacity: float, service: float) -> float:
    """The response time at a percentile above those that met no pause.

    The request that comes k-th after the pause began leaves k/rate later and is served k/capacity after its end, so it
    takes seconds - k (1/rate - 1/capacity) and one service time: a straight line from `seconds` down to nothing, which
    the last of `slow` requests reaches when the backlog has drained.
    """
    slow = seconds / (1 / pause.rate - 1 / capacity)
    beyond = pause.rate * pause.duration * (1 - percent / 100)
    return seconds * (1 - beyond / slow) + service


def drain(target: TargetServer, pause: Pause, seconds: float) -> tuple[float, int]:
    """By the target's own record: answers per second while the backlog drained, and the moment of the first of them."""
    answered = sorted(row.answered_ns or 0 for row in target.record())
    thawed = next(index for index, (left, right) in enumerate(pairwise(answered), 1) if right - left > seconds * 5e8)
    requests, capacity = int(pause.rate * seconds), 0.0
    for _ in range(3):
        # More come while the backlog drains: first as if none did, then as many as that says.
        capacity = requests / ((answered[thawed + requests - 1] - answered[thawed]) / SECOND)
        requests = min(int(seconds / (1 / pause.rate - 1 / capacity)), len(answered) - thawed)
    return capacity, answered[thawed]


def check_against_record(ran: Ran, target: TargetServer, pause: Pause, delay_ns: int = 0) -> None:
    """Request n was due (n - 1)/rate after the first, and the target knows when it read and when it answered it.

    `delay_ns` is how long the target waits before each answer.
    """
    ours = ran.total().response_ok
    rows = target.record()
    due = {row.number: ((row.client_number or 0) - 1) * SECOND / pause.rate for row in rows}
    # The one that came soonest after its moment tells when the run began.
    began = min(row.arrived_ns - due[row.number] for row in rows)
    truth, soonest = Histogram(), Histogram()
    for row in rows:
        truth.record(int((row.answered_ns or 0) - began - due[row.number]))
        soonest.record(int(row.arrived_ns + delay_ns - began - due[row.number]))
    if pause.is_ideal:
        soonest, held_up = truth, 0
    else:
        # A busy machine may suspend the target between its answer and its look at the clock, and the engine too.
        held_up = longest_delay_ns(ran)
    # Waits for a pause lie 1/rate apart: where a busy machine changes the rank of one, a percentile moves as far.
    below = allowed(0.1 * MILLISECOND) + (0 if pause.is_ideal else SECOND / pause.rate)
    for percent in (50, 90, 95, 99):
        known = truth.percentile(percent) or 0
        found = ours.percentile(percent) or 0
        assert found > (soonest.percentile(percent) or 0) * 0.999 - below, percent
        assert found < 1.03 * known + MILLISECOND + pause.slack * SECOND + held_up, percent


@pytest.mark.parametrize("pause", SIZES)
def test_a_pause_shows_in_full_with_ten_users(engine: Engine, target: TargetServer, pause: Pause) -> None:
    load = opened(pause.rate, max_in_flight=10)
    ran, _, seconds = frozen_run(engine, target, pause, load, "/delay/8")
    rows = target.record()
    quick = sorted(row.service_ns or 0 for row in rows)[: int(pause.rate * pause.begins)]
    service = quick[len(quick) // 2] / SECOND
    capacity, _ = drain(target, pause, seconds)
    total = ran.total()
    check_against_record(ran, target, pause, 8 * MILLISECOND)
    if pause.is_ideal:
        for percent in (90, 95, 99):
            expected = expected_seconds(percent, pause, seconds, capacity, service)
            assert (total.response_ok.percentile(percent) or 0) / SECOND == pytest.approx(expected, rel=0.03), percent
        assert (total.response_ok.percentile(50) or 0) / SECOND < 2 * service
    slow = total.service.total - total.service.count_at_or_below(int(seconds * SECOND / 2))
    assert 1 <= slow <= 10
    assert total.waited > pause.rate * pause.seconds * 0.9


@pytest.mark.parametrize("pause", SIZES)
def test_a_pause_shows_in_both_times_without_a_limit(engine: Engine, target: TargetServer, pause: Pause) -> None:
    ran, began, seconds = frozen_run(engine, target, pause, opened(pause.rate), "/")
    total = ran.total()
    check_against_record(ran, target, pause)
    capacity, first = drain(target, pause, seconds)
    # For the target the pause is over with its first answer: before that it accepts what has gathered.
    seconds = (first - began) / SECOND
    for percent in (90, 95, 99):
        ours = (total.response_ok.percentile(percent) or 0) / SECOND
        if pause.is_ideal:
            expected = expected_seconds(percent, pause, seconds, capacity, service=0)
            assert ours == pytest.approx(expected, rel=0.03), percent
        # Nothing waited for a user, so all that is between the two is our own lateness.
        lateness = (ran.lag.maximum or 0) / SECOND
        assert ours == pytest.approx((total.service.percentile(percent) or 0) / SECOND, rel=0.01, abs=lateness)
    assert total.waited == 0


def test_percentiles_agree_with_the_targets_own_record(engine: Engine, target: TargetServer) -> None:
    made = plan(
        http(target),
        step("/lognormal?median_ms=8&sigma=0.6&seed=5", headers=(NUMBERED,)),
        load=opened(300),
        duration=1.5,
    )
    ran = asyncio.run(running(engine, made))
    truth, soonest = Histogram(), Histogram()
    for row in target.record():
        truth.record(row.service_ns or 0)
        soonest.record(round(lognormal_ms(8, 0.6, 5, row.route_number) * MILLISECOND))
    total = ran.total()
    if PROFILE == "prove":
        soonest, held_up = truth, ran.lag.percentile(99) or 0
    else:
        # A busy machine may suspend the target between its answer and its look at the clock, and the engine too.
        held_up = longest_delay_ns(ran)
    assert total.ok == truth.total == 450
    for percent in (10, 50, 90, 95, 99):
        known = truth.percentile(percent) or 0
        # Between the two stand the kernel, two event loops and the wire: never less, and little more. The target
        # looks at its clock after it has written, when the answer may have arrived already on another core.
        found = total.service.percentile(percent) or 0
        assert found > (soonest.percentile(percent) or 0) * 0.999 - 0.1 * MILLISECOND, percent
        assert found < known + allowed(0.05 * known + MILLISECOND) + held_up, percent
        assert (total.response_ok.percentile(percent) or 0) >= (total.service.percentile(percent) or 0)


def test_a_closed_users_times_add_up_to_the_run(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/delay/10"), load=closed(5), duration=1.0)
    ran = asyncio.run(running(engine, made))
    total = ran.total()
    # Little's law: five users, always busy.
    assert (total.service.mean or 0) * total.started / ran.report.last_finish_ns == pytest.approx(5, rel=allowed(0.02))
    assert total.service == total.response_ok
