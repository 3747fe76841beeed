from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.cli.commands.validate import sentence
from atm.cli.progress import planned_loads
from atm.models.forecast import Forecast, ForecastPhase, LevelPoint, Phase
from atm.plan.compile import compile_plan
from atm.plan.forecast import concurrency_of, forecast, leads_to, load_of, most_at_once, most_in_flight
from atm.plan.load_plan import Lane, Load, LoadPlan, Segment
from atm.plan.pacer import SECOND, Profile
from tests.examples import examples


def plan_of(**fields: Any) -> LoadPlan:
    return compile_plan({"name": "a", "url": "http://h/", **fields}, {}).plan


def ahead(**fields: Any) -> Forecast:
    return forecast(plan_of(**fields))


def bounds(**fields: Any) -> tuple[float, float | None, int | None]:
    found = ahead(**fields)
    return found.peak, found.most_seconds, found.most_requests


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (10, None, 100)),
        ({"concurrency": 7, "duration": 30}, (7, 30, None)),
        ({"concurrency": 7, "duration": 30, "total_requests": 500}, (7, 30, 500)),
        ({"requests_per_second": 50, "duration": 30}, (50, 30, 1500)),
        ({"requests_per_second": 50, "total_requests": 200}, (50, 4, 200)),
        ({"requests_per_second": 50, "total_requests": 200, "duration": 1}, (50, 1, 50)),
        ({"load": {"rate": 50, "warm_up": 4}, "duration": 10}, (50, 14, 700)),
        ({"load": {"users": 5, "warm_up": 4}, "total_requests": 10}, (5, None, None)),
        ({"load": {"users": 5, "warm_up": 4, "max_rate": 10}, "duration": 10}, (5, 14, 140)),
        (
            {"load": {"model": "open", "stages": [{"duration": 10, "target": 100}, {"duration": 10, "target": 0}]}},
            (100, 20, 1000),
        ),
        (
            {"load": {"model": "open", "stages": [{"duration": 10, "target": 100}]}, "duration": 5},
            (50, 5, 125),
        ),
        ({"load": {"model": "closed", "start": 2, "stages": [{"duration": 10, "target": 9}]}}, (9, 10, None)),
    ],
)
def test_a_plan_says_how_much_it_may_do_at_most(
    fields: dict[str, Any], expected: tuple[float, float | None, int | None]
) -> None:
    assert bounds(**fields) == expected


def test_random_arrivals_may_be_more_than_their_mean() -> None:
    most = bounds(load={"rate": 100, "arrival": "poisson"}, duration=100)[2]
    assert most == 10_600


def test_every_host_that_a_test_dials_is_named_with_its_field() -> None:
    spec = {
        "name": "a",
        "endpoints": [{"name": "a", "url": "http://A.example/"}, {"name": "b", "url": "https://b.example:8443/x"}],
        "connect_to": ["b.example:8443:10.0.0.5:443"],
        "proxy": "http://proxy.example:3128",
        "auth": {
            "type": "oauth2_client_credentials",
            "token_url": "https://login.example/token",
            "client_id": "i",
            "client_secret": "s",
        },
    }
    assert list(leads_to(compile_plan(spec, {}))) == [
        ("url", "a.example"),
        ("url", "b.example"),
        ("connect_to", "10.0.0.5"),
        ("proxy", "proxy.example"),
        ("auth.token_url", "login.example"),
    ]


STAGES = [{"duration": 10, "target": 100}, {"duration": 0, "target": 20}, {"duration": 10, "target": 20}]


def test_the_level_over_time_has_a_corner_at_each_change() -> None:
    found = ahead(load={"model": "open", "warm_up": 5, "warm_up_level": 3, "stages": STAGES})
    corners = [(0, 3), (5, 3), (5, 0), (15, 100), (15, 20), (25, 20)]
    assert [(point.at, point.level) for point in found.points] == corners
    assert found.phases == [
        ForecastPhase(Phase.WARM_UP, 0, 5),
        ForecastPhase(Phase.RAMP_UP, 5, 15),
        ForecastPhase(Phase.HOLD, 15, 25),
    ]
    assert (found.seconds, found.total_seconds, found.requests, found.peak) == (20, 25, 700, 100)


@pytest.mark.parametrize(
    ("fields", "seconds", "requests"),
    [
        ({"load": {"rate": 10}, "duration": 10, "total_requests": 50}, 5, 50),
        ({"requests_per_second": 10}, 10, 100),
        ({"load": {"model": "open", "stages": [{"duration": 10, "target": 10}]}, "total_requests": 8}, 4, 8),
        ({"load": {"model": "open", "stages": [{"duration": 10, "target": 10}]}, "duration": 60}, 10, 50),
        ({"load": {"model": "open", "stages": [{"duration": 10, "target": 10}]}, "total_requests": 80}, 10, 50),
        (
            {"load": {"model": "open", "start": 10, "stages": [{"duration": 9, "target": 0}]}, "total_requests": 80},
            9,
            45,
        ),
        ({"concurrency": 5, "total_requests": 1000}, None, 1000),
        ({"concurrency": 5, "duration": 30}, 30, None),
        ({"concurrency": 5, "duration": 30, "total_requests": 7}, 30, 7),
    ],
)
def test_it_ends_with_the_first_of_duration_requests_and_stages(
    fields: dict[str, Any], seconds: float | None, requests: int | None
) -> None:
    found = ahead(**fields)
    assert found.seconds == (None if seconds is None else pytest.approx(seconds))
    assert found.requests == requests
    assert found.phases[-1].end == found.seconds


def test_a_load_without_an_end_in_time_is_a_point() -> None:
    found = ahead(concurrency=5, total_requests=1000)
    assert found.points == [LevelPoint(0, 5)]
    assert found.phases == [ForecastPhase(Phase.LOAD, 0, None)]


def test_the_load_of_a_spec_is_read_whatever_else_is_wrong_with_it() -> None:
    read = load_of(
        {"load": {"rate": 10, "max_in_flight": 64}, "duration": "10s", "method": "G ET", "thresholds": ["x"]}
    )
    assert read is not None
    load, total, found = read
    assert (load.model, total, found.seconds, found.requests) == ("open", None, 10, 100)


@pytest.mark.parametrize(
    "fields",
    [
        {"load": {"rate": "x"}, "duration": 5},
        {"load": {"rate": 0}, "duration": 5},
        {"load": {"stages": [{"duration": "3x", "target": 1}], "model": "open"}},
        {"load": {"stages": [{"duration": "3s", "target": 1}]}},
        {"load": {"rate": 5}, "duration": "soon"},
        {"load": {"rate": 5}, "requests_per_second": 5},
        {"concurrency": -1},
        {"total_requests": 0},
    ],
)
def test_a_load_that_cannot_be_read_has_no_forecast(fields: dict[str, Any]) -> None:
    assert load_of({"name": "a", "url": "http://h/", **fields}) is None


def test_the_most_requests_in_flight() -> None:
    assert most_at_once(plan_of(concurrency=7).lanes[0].load) == 7
    assert most_at_once(plan_of(requests_per_second=5).lanes[0].load) is None
    assert most_at_once(plan_of(requests_per_second=5, concurrency=64).lanes[0].load) == 64


segments = st.lists(
    st.builds(
        Segment,
        st.floats(0, 1000),
        st.floats(0, 1000),
        st.integers(1, 600).map(lambda tenths: tenths * 100_000_000),
    ),
    min_size=1,
    max_size=6,
)


@given(segments, st.none() | st.integers(1, 5000), st.none() | st.integers(1, 1200))
@examples(200)
def test_it_agrees_with_the_schedule_that_engines_keep(
    parts: list[Segment], total: int | None, tenths: int | None
) -> None:
    duration = None if tenths is None else tenths * 100_000_000
    plan = plan_of(requests_per_second=1)
    lane = replace(plan.lanes[0], load=Load("open", tuple(parts)), total=total, duration_ns=duration)
    plan = replace(plan, lanes=(lane,))
    found = forecast(plan)
    profile = Profile(lane.load.segments)
    assert found.seconds is not None
    exact = profile.integral_to(round(found.seconds * 1e9))
    assert found.requests is not None
    assert found.requests == pytest.approx(min(exact, total or exact), abs=1)
    for point, later in itertools.pairwise(found.points):
        assert point.at <= later.at
    if total is not None and (start := profile.inverse(float(total - 1))) is not None:
        # The last arrival is due before the end, unless the duration ends before that.
        assert start / 1e9 <= found.seconds + 1e-6 or found.seconds == (tenths or 0) / 10


def lanes_of(*lanes: Lane) -> LoadPlan:
    """A plan with these lanes, whose iterations are single requests."""
    plan = plan_of(requests_per_second=1)
    return replace(plan, lanes=lanes, flows=plan.flows * len(lanes))


def test_lanes_add_up() -> None:
    ramp = (Segment(0, 100, 10 * SECOND), Segment(100, 100, 10 * SECOND))
    found = forecast(
        lanes_of(
            Lane("a", (0,), "round_robin", Load("open", (Segment(40, 40, None),)), None, 15 * SECOND),
            Lane("b", (1,), "round_robin", Load("open", ramp), None, None, start_ns=5 * SECOND),
        )
    )
    assert (found.warm_up_seconds, found.seconds, found.most_seconds) == (0, 25, 25)
    assert (found.requests, found.most_requests, found.peak) == (40 * 15 + 500 + 1000, 2100, 140)
    corners = [(point.at, point.level) for point in found.points]
    assert corners == [(0, 40), (5, 40), (15, 140), (15, 100), (25, 100)]
    assert [(phase.phase, phase.start, phase.end) for phase in found.phases] == [("load", 0, 25)]


def test_what_one_lane_leaves_open_is_open_for_all() -> None:
    browse = Lane("browse", (0,), "round_robin", Load("open", (Segment(40, 40, None),)), None, 10 * SECOND)
    users = Load("closed", (Segment(50, 50, None),), warm_up_ns=2 * SECOND, warm_up_level=5.0)
    order = Lane("order", (1,), "round_robin", users, None, 10 * SECOND, start_ns=3 * SECOND)
    plan = lanes_of(browse, order)
    found = forecast(plan)
    assert (found.seconds, found.requests, found.most_requests) == (15, None, None)
    # Users are not added to arrivals per second.
    assert (found.peak, [point.level for point in found.points]) == (40, [40, 40])
    assert (concurrency_of(plan), most_in_flight(plan)) == (None, None)
    limited = replace(browse, load=replace(browse.load, max_in_flight=64))
    assert (concurrency_of(lanes_of(limited, order)), most_in_flight(lanes_of(limited, order))) == (114, 114)
    assert forecast(lanes_of(replace(browse, duration_ns=None, total=100), replace(order, total=5))).requests == 105
    assert planned_loads(plan) == "browse: open 40/s · order: closed, 50 users"
    assert sentence(plan).startswith("valid: 1 endpoint, browse: open 40/s, order: closed, 50 users from 3 s, for 15 s")
