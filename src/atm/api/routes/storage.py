"""Status and overview of the storage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Query

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.bootstrap import ControlPlane
from atm.config import Settings
from atm.models.control.storage import DayView, NamedCount, RetentionView, StorageOverview, StorageStatusView
from atm.storage.records import Order, RunQuery
from atm.storage.views import status_view

router = Routes("server")

MOST_TESTS = 10


@router.get("/storage/status")
async def storage_status(plane: Plane) -> StorageStatusView:
    """Read kind, location, size and number of runs."""
    return status_view(await plane.storage.upkeep.status())


@router.get("/storage/overview")
async def storage_overview(
    plane: Plane, days: Annotated[int, Query(ge=1, le=92, description="Number of days up to today, in UTC.")] = 30
) -> StorageOverview:
    """Read the status, the runs of each day, the tests with the most runs, and the retention."""
    storage = plane.storage
    status = await storage.upkeep.status()
    tests = sorted(await storage.tests.in_history(), key=lambda test: (-test.runs, test.name))
    return StorageOverview(
        status=status_view(status),
        schema_latest=status.schema_latest,
        oldest=await _created(plane, Order.OLDEST),
        newest=await _created(plane, Order.NEWEST),
        days=await _days(plane, days, datetime.now(UTC)),
        top_tests=[NamedCount(name=test.name, runs=test.runs) for test in tests[:MOST_TESTS]],
        retention=_retention(plane.settings),
    )


async def _created(plane: ControlPlane, order: Order) -> datetime | None:
    page = await plane.storage.runs.page(RunQuery(order=order, limit=1, with_total=False))
    return page.runs[0].created_at if page.runs else None


async def _days(plane: ControlPlane, days: int, now: datetime) -> list[DayView]:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    views = []
    for back in range(days - 1, -1, -1):
        start = midnight - timedelta(days=back)
        runs = await _count(plane, start)
        passed = await _count(plane, start, passed=True) if runs else 0
        failed = await _count(plane, start, passed=False) if runs else 0
        views.append(DayView(day=start.date(), runs=runs, passed=passed, failed=failed))
    return views


async def _count(plane: ControlPlane, start: datetime, *, passed: bool | None = None) -> int:
    query = RunQuery(since=start, until=start + timedelta(days=1), passed=passed, limit=1)
    return (await plane.storage.runs.page(query)).total or 0


def _retention(settings: Settings) -> RetentionView:
    return RetentionView(
        runs_seconds=_seconds(settings.retention_runs),
        runs_at_most=settings.retention_count,
        intervals_seconds=_seconds(settings.retention_seconds),
        samples_seconds=_seconds(settings.retention_samples),
        firings_seconds=_seconds(settings.retention_firings),
    )


def _seconds(span: timedelta | None) -> float | None:
    return None if span is None else span.total_seconds()
