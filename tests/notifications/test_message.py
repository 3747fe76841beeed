from __future__ import annotations

import pytest

from atm.notifications.message import body_of, title_of
from tests.notifications.documents import document


@pytest.mark.parametrize(
    ("event", "outcome", "title"),
    [
        ("failure", "failed", "nightly failed"),
        ("failure", "invalid", "nightly could not be measured"),
        ("failure", "error", "nightly ended in an error"),
        ("recovery", "passed", "nightly passes again"),
        ("success", "passed", "nightly passed"),
        ("cancelled", "cancelled", "nightly was cancelled"),
        ("cancelled", "stopped", "nightly was stopped"),
    ],
)
def test_the_title_says_what_happened(event: str, outcome: str, title: str) -> None:
    assert title_of(document(event=event, outcome=outcome)) == title


def test_reasons_come_first_then_figures_then_where_to_look() -> None:
    assert body_of(document()).splitlines() == [
        "p99 < 300 ms: actual 412 ms",
        "p95 287 ms, 49.98 requests/s, 0.20 % failed",
        "https://shop.example/cart",
        "run r1",
        "due 2026-01-01T02:30:00Z",
    ]


def test_what_is_not_known_is_left_out() -> None:
    bare = document(
        run_id=None, url=None, latency_p95_ms=None, requests_per_second=None, error_rate=None, failure_reasons=[]
    )
    assert body_of(bare).splitlines() == [
        "p99 < 300 ms: actual 412 ms",
        "no run was started",
        "due 2026-01-01T02:30:00Z",
    ]


def test_many_reasons_are_counted() -> None:
    lines = body_of(document(failure_reasons=[f"reason {number}" for number in range(9)])).splitlines()
    assert lines[4:6] == ["reason 4", "and 4 more"]
