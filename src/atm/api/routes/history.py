"""The history by test: what the first page of the dashboard shows."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from atm.api.deps import Plane
from atm.models.control.history import HistoryView, TestHistory
from atm.runs.views import summary_view
from atm.storage.records import RunQuery

router = APIRouter(tags=["runs"])


@router.get("/history")
async def read_history(
    plane: Plane,
    limit: Annotated[int, Query(ge=1, le=100, description="Tests.")] = 25,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    recent: Annotated[int, Query(ge=1, le=50, description="Runs of each test.")] = 20,
    text: Annotated[str | None, Query(max_length=256, description="Somewhere in the name, ignoring case.")] = None,
) -> HistoryView:
    """List the tests that were run, each with its newest runs; the test with the newest run first."""
    found = list(await plane.storage.tests.in_history())
    if text:
        found = [each for each in found if text.lower() in each.name.lower()]
    found.sort(key=lambda each: (each.last_run.created_at, each.last_run.id), reverse=True)
    tests = []
    for each in found[offset : offset + limit]:
        page = await plane.storage.runs.page(RunQuery(name=each.name, limit=recent, with_total=False))
        tests.append(TestHistory(name=each.name, runs=each.runs, recent=[summary_view(run) for run in page.runs]))
    return HistoryView(tests=tests, total=len(found))
