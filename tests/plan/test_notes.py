"""What a plan allows but is probably not meant."""

from __future__ import annotations

from typing import Any

import pytest

from atm.plan.compile import compile_plan

STAGES = {"model": "closed", "stages": [{"duration": "10s", "target": 5}, {"duration": "90s", "target": 5}]}


def notes(**fields: Any) -> list[str]:
    return [note.what for note in compile_plan({"name": "a", "url": "http://h/", **fields}, {}).notes]


def test_a_duration_that_contradicts_the_stages_is_said() -> None:
    assert notes(load=STAGES) == []
    assert notes(load=STAGES, duration="100s") == []
    assert notes(load=STAGES, duration="30s") == ["the stages take 1 min 40 s, and duration ends the run after 30 s"]
    assert notes(load=STAGES, duration="5m") == [
        "duration is 5 min, but the stages end after 1 min 40 s, and so does the run"
    ]


def test_the_length_of_a_plan_is_what_ends_it_first() -> None:
    plans = [
        compile_plan({"name": "a", "url": "http://h/", "load": STAGES, **more}, {}).plan
        for more in ({}, {"duration": 30})
    ]
    assert [plan.planned_ns for plan in plans] == [100 * 10**9, 30 * 10**9]
    assert compile_plan({"name": "a", "url": "http://h/"}, {}).plan.planned_ns is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"requests_per_second": 1, "duration": "60s"}, "10 requests at most in 10 s, and min_samples is 20"),
        ({"total_requests": 5}, "5 requests at most in 10 s, and min_samples is 20"),
        ({"requests_per_second": 50, "duration": "5s"}, "the run lasts 5 s, and its window 10 s"),
        ({"load": {"users": 2, "max_rate": 1}, "duration": "60s"}, "10 requests at most in 10 s"),
    ],
)
def test_a_window_that_can_never_be_judged_is_said_before_the_run(fields: dict[str, Any], said: str) -> None:
    [note] = notes(**fields, thresholds=["p99 < 1s for 10s"])
    assert said in note
    assert 'fail with "no data"' in note


def test_a_window_that_may_be_judged_is_not_remarked() -> None:
    assert notes(requests_per_second=3, duration="60s", thresholds=["p99 < 1s for 10s"]) == []
    assert notes(concurrency=1, duration="60s", thresholds=["p99 < 1s for 10s"]) == []
    assert notes(requests_per_second=1, duration="60s", thresholds=["rps > 0.5 for 10s"]) == []


def test_an_endpoint_has_its_share_of_a_window() -> None:
    endpoints = [{"name": name, "url": "http://h/"} for name in "abcd"]
    spec = {"name": "a", "endpoints": endpoints, "requests_per_second": 4, "duration": "60s"}
    whole = compile_plan({**spec, "thresholds": ["p99 < 1s for 10s"]}, {}).notes
    one = compile_plan({**spec, "thresholds": ["a: p99 < 1s for 10s"]}, {}).notes
    assert (len(whole), len(one)) == (0, 1)
