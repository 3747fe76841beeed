"""Several engines that each send a share of one plan: together they send what one engine sends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from atm.engine.base import Capability, Control, Engine
from atm.engine.native_engine import NativeEngine
from atm.errors import EngineError
from atm.metrics.histogram import Histogram
from atm.metrics.used_rows import UsedRows
from atm.models.outcome import StopReason
from atm.plan.load_plan import Load, LoadPlan, Segment
from atm.plan.pacer import Pacer, peak_users
from atm.plan.program import DataTable, RequestOp, ThinkOp
from atm.plan.randomness import lane_seed, row_of
from atm.plan.share import Share
from atm.plan.template_parts import DataSource, Encoding, IterationSource, UserSource, UuidSource
from atm.tables.table_writer import write_table
from atm.testing import TargetServer
from atm.testing.target_server.distributions import lognormal_ms
from tests.contract.engine_runs import Ran, longest_delay_ns, run, running
from tests.contract.plans import MILLISECOND, NUMBERED, SECOND, closed, http, opened, plan, step
from tests.contract.scenario_plans import SEED, parts, scenario, value
from tests.contract.shared_runs import THREE, UNEVEN, run_shares, together
from tests.steadiness import allowed

ROWS = 97


def requests_of(target: TargetServer) -> list[bytes]:
    """Every request that the target captured, in full, in a fixed order."""
    return sorted(request.raw or b"" for request in target.captured())


def sent_by_one(engine: Engine, target: TargetServer, made: LoadPlan) -> list[bytes]:
    target.reset()
    run(engine, made)
    return requests_of(target)


def sent_by_shares(engine: Engine, target: TargetServer, made: LoadPlan, shares: Sequence[Share]) -> list[bytes]:
    target.reset()
    run_shares(engine, made, shares)
    return requests_of(target)


def of_everything(target: TargetServer, **fields: Any) -> LoadPlan:
    """A plan of three endpoints whose requests show the draws and the number of their iteration."""
    steps = [
        step(
            f"/echo/raw?e={endpoint}&n={{{{request_number}}}}&id={{{{uuid}}}}",
            method="POST",
            headers=(NUMBERED, ("X-Random", "{{random_int}}")),
            body="{{uuid}} {{random_int}}",
        )
        for endpoint in range(3)
    ]
    return plan(http(target), *steps, weights=(1, 3, 2), seed=99, **fields)


STAGES = (Segment(50, 400, SECOND // 4), Segment(100, 0, SECOND // 5))


@pytest.mark.parametrize("shares", [THREE, UNEVEN], ids=["equal", "uneven"])
@pytest.mark.parametrize("arrival", ["even", "poisson"])
@pytest.mark.parametrize("selection", ["round_robin", "weighted"])
def test_shares_send_what_one_engine_sends(
    engine: Engine, target: TargetServer, shares: tuple[Share, ...], arrival: Any, selection: Any
) -> None:
    load = Load("open", STAGES, arrival=arrival, warm_up_ns=50 * MILLISECOND, warm_up_level=200.0)
    made = of_everything(target, load=load, selection=selection)
    expected = sent_by_one(engine, target, made)
    assert len(expected) > 70
    assert sent_by_shares(engine, target, made, shares) == expected


@pytest.mark.parametrize("arrival", ["even", "poisson"])
def test_a_total_ends_all_shares_of_an_open_load_at_the_same_time(
    engine: Engine, target: TargetServer, arrival: Any
) -> None:
    made = of_everything(target, load=opened(300, arrival=arrival), total=100)
    expected = sent_by_one(engine, target, made)
    one = run(engine, made)
    target.reset()
    runs = run_shares(engine, made)
    assert requests_of(target) == expected
    assert [ran.total().started for ran in runs] == [34, 33, 33]
    assert {ran.report.stop_reason for ran in runs} == {StopReason.TOTAL}
    assert {ran.report.window_end_ns for ran in runs} == {one.report.window_end_ns}
    if arrival == "even":
        assert sum(interval.offered for interval in together(runs).intervals) == pytest.approx(100)


@pytest.mark.parametrize("arrival", ["even", "poisson"])
def test_a_share_is_continued_from_a_time_on_by_others(engine: Engine, target: TargetServer, arrival: Any) -> None:
    made = of_everything(target, load=opened(200, arrival=arrival), total=500)
    from_ns = 1_200 * MILLISECOND
    parts_of_it = [replace(made, share=Share((residue,), 4, from_ns)) for residue in (1, 3)]

    async def main() -> list[Ran]:
        zero = time.monotonic_ns() - SECOND
        return await asyncio.gather(*(running(engine, part, starts_at_ns=zero) for part in parts_of_it))

    runs = asyncio.run(main())
    starts = islice(Pacer(made.lanes[0].load, lane_seed(made.seed, 0)).starts(), 500)
    due = [number for number, moment in enumerate(starts, 1) if moment >= from_ns and number % 2 == 0]
    assert sorted(row.client_number or 0 for row in target.record()) == due
    for ran in runs:
        assert [interval.second for interval in ran.intervals] == list(range(1, 1 + len(ran.intervals)))
    if arrival == "even":
        offered = sum(interval.offered for interval in together(runs).intervals)
        assert offered == pytest.approx(len(due), abs=1.0)


def test_only_open_loads_are_continued(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), load=closed(2), duration=1, share=Share((0,), 2, SECOND))
    with pytest.raises(EngineError, match="only open loads can be continued"):
        run(engine, made)


def test_shares_of_a_closed_load_have_its_users_and_give_each_number_once(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/delay/1", headers=(NUMBERED,)), load=closed(7), duration=1.1)
    runs = run_shares(engine, made)
    assert [ran.intervals[0].generator.users for ran in runs] == [3, 2, 2]
    numbers = [row.client_number or 0 for row in target.record()]
    assert len(set(numbers)) == len(numbers) == together(runs).total().started
    for residue, ran in enumerate(runs):
        own = sorted(number for number in numbers if (number - 1) % 3 == residue)
        assert own == [1 + residue + 3 * turn for turn in range(ran.total().started)]


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_of_a_share_divide_it(target: TargetServer, threads: int) -> None:
    pytest.importorskip("atm_engine", reason="the native engine is not installed")
    engine = NativeEngine(threads)
    made = of_everything(target, load=opened(600, arrival="poisson"), total=150, selection="weighted")
    assert sent_by_shares(engine, target, made, UNEVEN) == sent_by_one(engine, target, made)
    target.reset()
    runs = run_shares(engine, plan(http(target), step("/", headers=(NUMBERED,)), load=closed(30), duration=0.3))
    for residue, ran in enumerate(runs):
        own = sorted(n for row in target.record() if ((n := row.client_number or 0) - 1) % 3 == residue)
        assert own == [1 + residue + 3 * turn for turn in range(ran.total().started)]


def test_users_of_shares_follow_a_ramp_as_one_engines_do(engine: Engine, target: TargetServer) -> None:
    load = Load("closed", (Segment(0, 10, SECOND // 2), Segment(10, 10, SECOND)))
    runs = run_shares(engine, plan(http(target), step("/delay/5"), load=load, duration=1.2), UNEVEN)
    assert peak_users(load) == 10
    assert [ran.intervals[0].generator.users for ran in runs] == [5, 3, 2]


def test_a_share_has_its_own_total_of_a_closed_load(engine: Engine, target: TargetServer) -> None:
    """A total of 0, and a share without users, end at once."""
    made = plan(http(target), load=closed(2), total=5)
    for share, total, expected in ((Share((0,), 3), 5, 5), (Share((1,), 3), 0, 0), (Share((2,), 3), 5, 0)):
        part = replace(made, share=share, lanes=(replace(made.lanes[0], total=total),))
        ran = run(engine, part)
        assert (ran.total().started, ran.report.stop_reason) == (expected, StopReason.TOTAL)
        assert ran.report.window_end_ns == 0 or expected


def test_barriers_cannot_be_shared(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/"), step("/"), selection="sequential", total=4, share=Share((0,), 2))
    with pytest.raises(EngineError, match=r"lanes\[0\]: sequential selection cannot be shared"):
        run(engine, made)
    assert target.stats().received == 0


# Scenarios and test data


@pytest.fixture
def rows(tmp_path: Path) -> DataTable:
    """A table whose cells are the numbers of their rows."""
    path = tmp_path / "rows.table"
    write_table(path, ["n"], [[str(row)] for row in range(ROWS)], bytes(32))
    return DataTable("rows", ("n",), ROWS, "iteration", "in_order", str(path))


def journey(target: TargetServer, table: DataTable, **fields: Any) -> LoadPlan:
    """A scenario of two requests with think time between them, which show row, iteration, user and draws."""
    shown = (DataSource(0, 0, 5), IterationSource(), UserSource(), UuidSource(3))
    pieces = [piece for source in shown for piece in (value(source, encoding=Encoding.TARGET), ".")]
    step_of = replace(step(), target=parts("/echo/raw?", *pieces))
    thinks = ThinkOp("exponential", 2 * MILLISECOND, 0, 8)
    return replace(scenario(target, [RequestOp(0), thinks, RequestOp(1)], step_of, step_of, **fields), data=(table,))


def shown_rows(target: TargetServer) -> list[tuple[int, int, int]]:
    """Row, iteration and user of each captured request."""
    targets = [request.split(b" ")[1].decode().partition("?")[2] for request in requests_of(target)]
    return [(int(row), int(number), int(user)) for row, number, user, *_ in (each.split(".") for each in targets)]


def used_of(ran: Ran, of: Share | None = None) -> tuple[int, int]:
    """Rows used and repeated, as a fleet adds them up over shares."""
    parts = [part for interval in ran.intervals for part in interval.data]
    assert all(bool(part.rows) == (of is not None and part.used > 0) for part in parts)
    if of is not None:
        parts = UsedRows([ROWS]).merged(parts)
    return sum(part.used for part in parts), sum(part.repeated for part in parts)


@pytest.mark.needs(Capability.SCENARIOS)
@pytest.mark.parametrize(
    ("pick", "per"), [(pick, "iteration") for pick in ("in_order", "shuffled", "random")] + [("random", "use")]
)
def test_shares_of_a_scenario_use_the_rows_that_one_engine_uses(
    engine: Engine, target: TargetServer, rows: DataTable, pick: Any, per: Any
) -> None:
    load = opened(500, arrival="poisson", warm_up_ns=30 * MILLISECOND, warm_up_level=200.0)
    made = journey(target, replace(rows, pick=pick, per=per), load=load, total=90)
    one = run(engine, made)
    expected, expected_use = requests_of(target), used_of(one)
    assert len(expected) == 2 * (6 + 90)
    target.reset()
    runs = run_shares(engine, made, UNEVEN)
    assert requests_of(target) == expected
    assert used_of(together(runs), UNEVEN[0]) == expected_use
    assert [ran.total(0).started for ran in runs] == [ran.total(1).started for ran in runs]


@pytest.mark.needs(Capability.SCENARIOS)
@pytest.mark.parametrize("pick", ["in_order", "shuffled"])
def test_a_row_for_one_use_is_used_at_most_once_over_all_shares(
    engine: Engine, target: TargetServer, rows: DataTable, pick: Any
) -> None:
    made = journey(target, replace(rows, pick=pick), load=closed(7), duration=60.0)
    made = replace(made, lanes=(replace(made.lanes[0], last_number=ROWS),))
    runs = run_shares(engine, made, UNEVEN)
    assert {ran.report.stop_reason for ran in runs} == {StopReason.TOTAL}
    # None is left over: every share uses up its own.
    assert sorted(Counter(row for row, _, _ in shown_rows(target)).items()) == [(row, 2) for row in range(ROWS)]
    assert used_of(together(runs), UNEVEN[0]) == (ROWS, 0)


@pytest.mark.needs(Capability.SCENARIOS)
@pytest.mark.parametrize("pick", ["in_order", "random"])
def test_users_of_all_shares_have_numbers_and_rows_of_their_own(
    engine: Engine, target: TargetServer, rows: DataTable, pick: Any
) -> None:
    table = replace(rows, per="user", pick=pick)
    runs = run_shares(engine, journey(target, table, load=closed(8), duration=0.5))
    shown = shown_rows(target)
    assert {user for _, _, user in shown} == set(range(1, 9))
    assert {(user, row) for row, _, user in shown} == {
        (user, row_of(pick, SEED, 0, ROWS, user)) for user in range(1, 9)
    }
    distinct = len({row for row, _, _ in shown})
    assert used_of(together(runs), THREE[0]) == (distinct, 8 - distinct)


@pytest.mark.parametrize("shares", [THREE, UNEVEN], ids=["equal", "uneven"])
def test_lanes_are_shared_each_by_itself(engine: Engine, target: TargetServer, shares: tuple[Share, ...]) -> None:
    made = of_everything(target, load=opened(200, arrival="poisson"), duration=0.4)
    second = replace(made.lanes[0], name="later", flows=(2,), load=opened(150), total=30, duration_ns=None, start_ns=99)
    made = replace(made, lanes=(replace(made.lanes[0], flows=(0, 1), selection="weighted"), second))
    expected = sent_by_one(engine, target, made)
    assert sent_by_shares(engine, target, made, shares) == expected


# The start


def test_a_run_starts_at_the_time_it_is_given(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), step("/", headers=(NUMBERED,)), load=opened(100), duration=0.2)
    starts_at, wall = time.monotonic_ns() + 300 * MILLISECOND, datetime.now(UTC)
    ran = asyncio.run(running(engine, made, starts_at_ns=starts_at))
    assert abs(ran.report.started_at - wall - timedelta(seconds=0.3)) < timedelta(milliseconds=50)
    rows = target.record()
    assert [row.arrived_ns - starts_at - index * 10 * MILLISECOND >= 0 for index, row in enumerate(rows)] == [True] * 20
    assert ran.report.window_end_ns == SECOND // 5


def test_a_start_that_has_passed_stays_the_start(engine: Engine, target: TargetServer) -> None:
    made = plan(http(target), load=opened(100, catch_up="none"), duration=1.0)
    ran = asyncio.run(running(engine, made, starts_at_ns=time.monotonic_ns() - SECOND // 2))
    assert ran.total().due == 100
    assert 45 <= ran.total().skipped < 100
    assert ran.report.window_end_ns == SECOND
    full = plan(http(target), load=opened(100), duration=1.0)
    ran = asyncio.run(running(engine, full, starts_at_ns=time.monotonic_ns() - SECOND // 2))
    assert ran.total().started == 100
    assert (ran.lag.maximum or 0) >= SECOND // 2


@pytest.mark.parametrize("command", [Control.stop, Control.cancel])
@pytest.mark.parametrize("load", [closed(3), opened(100)], ids=["closed", "open"])
def test_a_run_ended_before_its_start_sends_nothing(
    engine: Engine, target: TargetServer, command: Any, load: Load
) -> None:
    async def main() -> None:
        control = Control()
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, command, control)
        made = plan(http(target), load=load, duration=1.0)
        ran = await running(engine, made, control=control, starts_at_ns=time.monotonic_ns() + 3600 * SECOND)
        assert ran.report.stop_reason is control.stop_reason
        assert (ran.report.window_end_ns, ran.report.last_finish_ns) == (0, 0)
        assert ran.total().due == 0

    asyncio.run(main())
    assert target.stats().received == 0


# Truth: merged histograms of three shares against those of one engine


def sending_both_ways(engine: Engine, target: TargetServer, made: LoadPlan) -> Iterator[Callable[[], Ran]]:
    """Yield two ways to send a plan, by one engine and by three shares, each to a target that counts from one."""
    ways: tuple[Callable[[], Ran], ...] = (lambda: run(engine, made), lambda: together(run_shares(engine, made)))
    for send in ways:
        target.reset()
        yield send


def check_percentiles(ran: Ran, soonest: Histogram, record: Histogram) -> None:
    """The response times lie between those that cannot be shorter and those of the target's own record.

    A busy machine may hold up the wire, the engine, and the target between its answer and its look at the clock.
    """
    response, late = ran.total().response(), longest_delay_ns(ran)
    assert response.total == soonest.total == record.total
    for percent in (50, 90, 95, 99):
        found = response.percentile(percent) or 0
        assert found >= 0.99 * (soonest.percentile(percent) or 0) - allowed(0.1 * MILLISECOND), percent
        assert found <= 1.01 * (record.percentile(percent) or 0) + allowed(2 * MILLISECOND) + late, percent


def test_known_delays_have_the_same_percentiles_with_three_shares(engine: Engine, target: TargetServer) -> None:
    """The target delays its request n by a time that is known beforehand."""
    made = plan(http(target), step("/lognormal?median_ms=20&sigma=0.5&seed=5"), load=opened(200), duration=1.5)
    for send in sending_both_ways(engine, target, made):
        ran = send()
        soonest, record = Histogram(), Histogram()
        for row in target.record():
            soonest.record(round(lognormal_ms(20, 0.5, 5, row.route_number) * MILLISECOND))
            record.record(row.service_ns or 0)
        assert record.total == 300
        check_percentiles(ran, soonest, record)


def test_a_pause_of_the_target_shows_in_full_with_three_shares(engine: Engine, target: TargetServer) -> None:
    """Arrivals of all shares continue during the pause, and each waits for its end since its own intended start."""
    made = plan(http(target), step("/", headers=(NUMBERED,), timeout=30), load=opened(300), duration=1.6)
    for send in sending_both_ways(engine, target, made):
        freeze = target.pause(0.5, after=0.5)
        ran = send()
        freeze.wait()
        rows = target.record()
        due = {row.number: ((row.client_number or 0) - 1) * SECOND / 300 for row in rows}
        # The one that came soonest after its time tells when the run began.
        began = min(row.arrived_ns - due[row.number] for row in rows)
        soonest, record = Histogram(), Histogram()
        for row in rows:
            soonest.record(int(row.arrived_ns - began - due[row.number]))
            record.record(int((row.answered_ns or 0) - began - due[row.number]))
        assert record.total == 480
        check_percentiles(ran, soonest, record)
        # Of all, a sixth came in the first half of the pause, and waited for the second.
        slow = ran.total().response()
        assert slow.total - slow.count_at_or_below(SECOND // 4) >= 60
