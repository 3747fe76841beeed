"""The history grouped by test, for the first page of the dashboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.models.control.history import HistoryView, TestHistory
from atm.runs.views import summary_view

router = Routes("runs")


@router.get("/history")
async def read_history(
    plane: Plane,
    limit: Annotated[int, Query(ge=1, le=100, description="Most tests to return.")] = 25,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    recent: Annotated[int, Query(ge=1, le=50, description="Most runs per test.")] = 20,
    text: Annotated[
        str | None, Query(max_length=256, description="Only tests with this text in their name, ignoring case.")
    ] = None,
) -> HistoryView:
    """List the tests in the history, each with its newest runs; the test with the newest run first."""
    history = list(await plane.storage.tests.in_history())
    if text:
        history = [test for test in history if text.lower() in test.name.lower()]
    history.sort(key=lambda test: (test.last_run.created_at, test.last_run.id), reverse=True)
    shown = history[offset : offset + limit]
    newest = await plane.storage.runs.newest([test.name for test in shown], recent)
    tests = [
        TestHistory(name=test.name, runs=test.runs, recent=[summary_view(run) for run in newest.get(test.name, ())])
        for test in shown
    ]
    return HistoryView(tests=tests, total=len(history))
