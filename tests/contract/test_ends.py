from __future__ import annotations

import asyncio
import time

import pytest

from atm.engine.base import Control, Engine
from atm.errors import EngineError
from atm.models.outcome import Outcome, StopReason
from atm.testing import TargetServer
from tests.contract.engine_runs import late_arrivals, open_connections, received, run, running, until
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, closed, http, opened, plan, step
from tests.steadiness import allowed


def test_a_stop_lets_what_is_in_flight_finish(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/delay/250"), load=closed(5), duration=9)
    ran = run(engine, made, once=(received(target, 10), Control.stop))
    assert ran.report.stop_reason is StopReason.STOPPED
    assert ran.total().started == ran.total().ok == 10
    assert ran.total().drained_ok == 5
    # The window ends at the stop, in the second iteration of the five users.
    assert 250 * MILLISECOND < ran.report.window_end_ns < ran.report.last_finish_ns
    assert ran.report.last_finish_ns > 500 * MILLISECOND
    assert target.settled_stats().completed == 10


def test_a_stop_has_the_reason_it_was_given(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), load=opened(100), duration=9)
    ran = run(engine, made, at={0.05: lambda control: control.stop(StopReason.THRESHOLD)})
    assert ran.report.stop_reason is StopReason.THRESHOLD


def test_what_outlasts_the_graceful_stop_is_unfinished(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/never"), load=opened(100), duration=0.1, graceful=0.1)
    ran = run(engine, made)
    assert ran.total().outcomes == {Outcome.UNFINISHED: 10}
    assert ran.report.stop_reason is StopReason.DURATION
    assert ran.report.window_end_ns == 100 * MILLISECOND
    assert 0.2 <= ran.seconds < 0.2 + allowed(0.3)
    assert target.settled_stats().aborted == 10


@pytest.mark.parametrize("load", [closed(50), opened(500)])
def test_a_cancel_closes_every_connection_at_once(engine: Engine, target: TargetServer, load: object) -> None:
    made = plan(http(target), step("/never"), load=load, duration=9)  # type: ignore[arg-type]
    began = called = 0.0

    def cancel(control: Control) -> None:
        nonlocal called
        called = time.monotonic()
        control.cancel()

    async def main() -> float:
        nonlocal began
        control = Control()
        asyncio.get_running_loop().call_later(0.2, cancel, control)
        began = time.monotonic()
        ran = await running(engine, made, control=control)
        assert ran.report.stop_reason is StopReason.CANCELLED
        assert set(ran.total().outcomes) == {Outcome.UNFINISHED}
        # It ends at the call, which is a little less after its own start than after ours.
        assert ran.report.last_finish_ns / SECOND < called - began + allowed(0.05)
        assert ran.report.last_finish_ns / SECOND > called - began - allowed(0.05)
        return time.monotonic() - called

    assert asyncio.run(main()) < allowed(0.1)
    assert target.settled_stats().aborted == target.stats().received
    assert open_connections(target) == 0


def test_a_cancel_after_a_stop_still_cancels(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/never"), load=closed(3), duration=9)
    ran = run(engine, made, at={0.15: Control.cancel}, once=(received(target, 3), Control.stop))
    assert ran.report.stop_reason is StopReason.CANCELLED
    assert ran.total().outcomes == {Outcome.UNFINISHED: 3}
    assert ran.seconds < 0.15 + allowed(0.35)


def test_a_run_that_was_stopped_before_it_began_ends_at_once(engine: Engine, target: TargetServer) -> None:
    control = Control()
    control.stop()
    ran = run(engine, plan(http(target), load=closed(3), duration=9), control=control)
    assert ran.seconds < allowed(0.5)
    assert ran.report.stop_reason is StopReason.STOPPED


def test_arrivals_that_wait_at_the_end_are_missed(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/delay/100"), load=opened(100, max_in_flight=2), duration=9)
    # The fifth and sixth are received after 200 ms, when 20 were due.
    ran = run(engine, made, once=(received(target, 6), Control.stop))
    total = ran.total()
    assert total.queued_at_end > 10
    assert total.waits_at_end.total == total.queued_at_end
    assert total.due == total.started + total.queued_at_end
    assert total.due == pytest.approx(100 * ran.report.window_end_ns / SECOND, abs=3 + late_arrivals(ran, 100))


def test_a_load_does_not_outlive_whoever_awaits_it(engine: Engine, target: TargetServer) -> None:
    async def main() -> None:
        task = asyncio.create_task(running(engine, plan(http(target), load=opened(200), duration=30)))
        await until(received(target, 11))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    before = target.settled_stats().received
    assert before > 10
    assert target.stats().received == before
    assert open_connections(target) == 0


def test_an_error_of_the_listener_ends_the_run_and_comes_out(engine: Engine, target: TargetServer) -> None:
    def refuse(_interval: object) -> None:
        raise LookupError("no room")

    with pytest.raises(LookupError, match="no room"):
        asyncio.run(running(engine, plan(http(target), load=closed(2), duration=2.5), on_interval=refuse))


def test_a_renewed_secret_is_used_from_then_on(engine: Engine, target: TargetServer) -> None:
    made = plan(
        http(target),
        step("/auth/bearer?token=new", headers=(("Authorization", "Bearer {{secret:token}}"), NUMBERED)),
        load=closed(1, max_rate=200),
        total=60,
    )
    renew = (received(target, 20), lambda control: control.set_secret("token", "new"))
    ran = run(engine, made, {"token": "old"}, once=renew)
    assert ran.total().statuses == target.settled_stats().statuses
    # Of one user after another: up to a moment all were sent with the old one, and none after it.
    statuses = [row.status for row in sorted(target.record(), key=lambda row: row.client_number or 0)]
    renewed = statuses.index(200)
    assert renewed >= 20
    assert statuses == [401] * renewed + [200] * (60 - renewed)


def test_a_plan_that_needs_a_secret_that_is_not_there_does_not_begin(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/", headers=(("X-Key", "{{secret:key}}"),)))
    with pytest.raises(EngineError, match='the plan needs the secret "key"'):
        run(engine, made)
    with pytest.raises(EngineError, match='the secret "key" has a control character'):
        run(engine, made, {"key": "a\r\nX-Injected: yes"})
    assert target.settled_stats().received == 0
