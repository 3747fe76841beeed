from __future__ import annotations

from typing import Any

import pytest

from atm.plan.compile import compile_plan
from atm.plan.extent import Extent, extent, leads_to


def bounds(**fields: Any) -> Extent:
    return extent(compile_plan({"name": "a", "url": "http://h/", **fields}, {}).plan)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Extent(10, None, 100)),
        ({"concurrency": 7, "duration": 30}, Extent(7, 30, None)),
        ({"concurrency": 7, "duration": 30, "total_requests": 500}, Extent(7, 30, 500)),
        ({"requests_per_second": 50, "duration": 30}, Extent(50, 30, 1500)),
        ({"requests_per_second": 50, "total_requests": 200}, Extent(50, 4, 200)),
        ({"requests_per_second": 50, "total_requests": 200, "duration": 1}, Extent(50, 1, 50)),
        ({"load": {"rate": 50, "warm_up": 4}, "duration": 10}, Extent(50, 14, 700)),
        ({"load": {"users": 5, "warm_up": 4}, "total_requests": 10}, Extent(5, None, None)),
        ({"load": {"users": 5, "warm_up": 4, "max_rate": 10}, "duration": 10}, Extent(5, 14, 140)),
        (
            {"load": {"model": "open", "stages": [{"duration": 10, "target": 100}, {"duration": 10, "target": 0}]}},
            Extent(100, 20, 1000),
        ),
        (
            {"load": {"model": "open", "stages": [{"duration": 10, "target": 100}]}, "duration": 5},
            Extent(100, 5, 125),
        ),
        ({"load": {"model": "closed", "start": 2, "stages": [{"duration": 10, "target": 9}]}}, Extent(9, 10, None)),
    ],
)
def test_a_plan_says_how_much_it_may_do_at_most(fields: dict[str, Any], expected: Extent) -> None:
    assert bounds(**fields) == expected


def test_random_arrivals_may_be_more_than_their_mean() -> None:
    most = bounds(load={"rate": 100, "arrival": "poisson"}, duration=100).requests
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
