"""The PDF over all saved tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome, RunStatus
from atm.reports.pdf.tests_report import render_tests_pdf
from atm.reports.test_runs import TestRuns
from tests.reports.test_pdf import HOSTILE, copied, page_count

AT = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


def run(outcome: RunOutcome, place: int = 0, **changes: Any) -> RunSummaryView:
    values: dict[str, Any] = {
        "id": f"{place:08d}-0000",
        "name": "checkout",
        "url": "http://127.0.0.1/",
        "method": "GET",
        "total_requests": 100,
        "concurrency": 1,
        "status": RunStatus.COMPLETED,
        "stop_reason": None,
        "created_at": AT + timedelta(minutes=place),
        "started_at": None,
        "completed_at": AT + timedelta(minutes=place + 1),
        "passed": outcome is RunOutcome.PASSED,
        "outcome": outcome,
        "measurement": None,
        "requests_completed": 100,
        "error_message": None,
        "engine": "native",
        "source": "api",
        "tags": [],
        "latency_p95_ms": 20.0 + place % 7,
        "requests_per_second": 99.5,
        "error_rate": 0.0 if outcome is RunOutcome.PASSED else 0.25,
        "endpoint_count": 1,
    }
    return RunSummaryView(**{**values, **changes})


def saved() -> list[TestRuns]:
    trend = [run(RunOutcome.PASSED if place % 5 else RunOutcome.FAILED, place) for place in range(20, 0, -1)]
    reasons = ["p99 < 300 ms: actual 512 ms", "25 of 100 requests failed: 25 × unexpected_status (503, expected 2xx)"]
    return [
        TestRuns("checkout", True, trend, reasons),
        TestRuns("search", True, [run(RunOutcome.PASSED, place) for place in range(9, 0, -1)]),
        TestRuns(
            "busy", True, [run(RunOutcome.RUNNING, completed_at=None), run(RunOutcome.INVALID, 3, latency_p95_ms=None)]
        ),
        TestRuns("never", False, []),
    ]


def test_it_is_one_page_for_a_few_tests() -> None:
    document = render_tests_pdf(saved(), AT, "smoke")
    assert page_count(document) == 1
    assert set("checkoutsearchneverWhatfailed") <= set(copied(document))


def test_without_tests_or_runs_it_says_so() -> None:
    assert page_count(render_tests_pdf([], AT)) == 1
    assert page_count(render_tests_pdf([TestRuns("never", True, [])], AT)) == 1


def test_names_and_reasons_cannot_break_it() -> None:
    hostile = [TestRuns(text, True, [run(RunOutcome.FAILED)], [text] * 9) for text in HOSTILE]
    assert page_count(render_tests_pdf(hostile, AT, " ".join(HOSTILE))) <= 4
