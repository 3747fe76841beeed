"""Schedules. A path takes a schedule's id or, if it has no slash, its name."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.models.control.base import Moment
from atm.models.control.runs import Deleted
from atm.models.schedule import (
    DeliveryList,
    FiringList,
    FiringOutcome,
    PreviewAnswer,
    PreviewRequest,
    ScheduleList,
    ScheduleRequest,
    ScheduleView,
)
from atm.schedules.views import delivery_view, firing_list, schedule_view

router = Routes("schedules")

Named = Annotated[str, Path(min_length=1, max_length=256, description="Id or name of the schedule.")]
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The schedule does not exist"}}
_TAKEN: dict[int | str, dict[str, object]] = {409: {"description": "A schedule with this name already exists"}}
_CHANGED: dict[int | str, dict[str, object]] = {
    409: {"description": "The name is taken, or the schedule was changed concurrently"}
}


@router.get("/schedules")
async def list_schedules(plane: Plane) -> ScheduleList:
    """List the schedules by name, each with its next due times and last firings."""
    schedules = [schedule_view(schedule) for schedule in await plane.schedules.all()]
    return ScheduleList(schedules=schedules, total=len(schedules))


@router.post("/schedules", status_code=201, responses=_TAKEN)
async def create_schedule(plane: Plane, body: ScheduleRequest) -> ScheduleView:
    """Create a schedule for a spec or a stored test."""
    return schedule_view(await plane.schedules.details(await plane.schedules.create(body)))


@router.post("/schedules/preview")
async def preview_schedule(plane: Plane, body: PreviewRequest) -> PreviewAnswer:
    """Return the due times of a trigger without creating a schedule."""
    return plane.schedules.preview(body)


@router.get("/schedules/{schedule}", responses=_NOT_FOUND)
async def read_schedule(plane: Plane, schedule: Named) -> ScheduleView:
    """Read a schedule."""
    return schedule_view(await plane.schedules.details(await plane.schedules.find(schedule)))


@router.put("/schedules/{schedule}", responses={**_NOT_FOUND, **_CHANGED})
async def replace_schedule(plane: Plane, schedule: Named, body: ScheduleRequest) -> ScheduleView:
    """Replace a schedule. Its history stays; credentials sent as `***` are unchanged, unless the target differs."""
    return schedule_view(await plane.schedules.details(await plane.schedules.change(schedule, body)))


@router.delete("/schedules/{schedule}", responses=_NOT_FOUND)
async def delete_schedule(plane: Plane, schedule: Named) -> Deleted:
    """Delete a schedule with its firings and deliveries. Its runs stay."""
    config = await plane.schedules.find(schedule)
    await plane.schedules.delete(schedule)
    return Deleted(id=config.id, message="the schedule is deleted")


@router.post("/schedules/{schedule}/pause", responses={**_NOT_FOUND, **_CHANGED})
async def pause_schedule(plane: Plane, schedule: Named) -> ScheduleView:
    """Pause a schedule. A run in progress continues."""
    return schedule_view(await plane.schedules.details(await plane.schedules.enable(schedule, enabled=False)))


@router.post("/schedules/{schedule}/resume", responses={**_NOT_FOUND, **_CHANGED})
async def resume_schedule(plane: Plane, schedule: Named) -> ScheduleView:
    """Resume a schedule from now. Due times that passed while it was paused are not caught up."""
    return schedule_view(await plane.schedules.details(await plane.schedules.enable(schedule, enabled=True)))


@router.get("/schedules/{schedule}/firings", responses=_NOT_FOUND)
async def list_firings(
    plane: Plane,
    schedule: Named,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[
        Moment | None, Query(description="Only firings due before this time; `next` of the previous page.")
    ] = None,
    outcome: Annotated[
        list[FiringOutcome] | None, Query(description="Only firings with this outcome; repeatable.")
    ] = None,
) -> FiringList:
    """List the firings of a schedule and their outcomes, newest first."""
    firings = await plane.schedules.firings(schedule, before=before, outcomes=outcome or (), limit=limit)
    return firing_list(firings, limit)


@router.get("/schedules/{schedule}/deliveries", responses=_NOT_FOUND)
async def list_deliveries(
    plane: Plane, schedule: Named, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> DeliveryList:
    """List the notifications of a schedule and their delivery status, newest first."""
    deliveries = await plane.schedules.deliveries(schedule, limit)
    return DeliveryList(deliveries=[delivery_view(delivery) for delivery in deliveries])
