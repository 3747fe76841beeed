"""Schedules: tests that run by themselves. A schedule is named by its id or, where that has no slash, by its name."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from atm.api.deps import Plane
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

router = APIRouter(tags=["schedules"])

Named = Annotated[str, Path(min_length=1, max_length=256, description="Its id or its name.")]
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "There is no such schedule"}}
_TAKEN: dict[int | str, dict[str, object]] = {409: {"description": "There is a schedule of this name already"}}
_CHANGED: dict[int | str, dict[str, object]] = {409: {"description": "Its name is taken, or it was changed meanwhile"}}


@router.get("/schedules")
async def list_schedules(plane: Plane) -> ScheduleList:
    """List the schedules, by name, each with its next due times and its last firings."""
    found = [schedule_view(each) for each in await plane.schedules.all()]
    return ScheduleList(schedules=found, total=len(found))


@router.post("/schedules", status_code=201, responses=_TAKEN)
async def create_schedule(plane: Plane, body: ScheduleRequest) -> ScheduleView:
    """Make a schedule, of a test spec or of a test that is kept."""
    return schedule_view(await plane.schedules.details(await plane.schedules.create(body)))


@router.post("/schedules/preview")
async def preview_schedule(plane: Plane, body: PreviewRequest) -> PreviewAnswer:
    """Say when a trigger would be due, without making anything."""
    return plane.schedules.preview(body)


@router.get("/schedules/{schedule}", responses=_NOT_FOUND)
async def read_schedule(plane: Plane, schedule: Named) -> ScheduleView:
    """Read a schedule."""
    return schedule_view(await plane.schedules.details(await plane.schedules.find(schedule)))


@router.put("/schedules/{schedule}", responses={**_NOT_FOUND, **_CHANGED})
async def replace_schedule(plane: Plane, schedule: Named, body: ScheduleRequest) -> ScheduleView:
    """Replace a schedule; its history stays, and so does what is sent as `***`, unless it would go elsewhere."""
    return schedule_view(await plane.schedules.details(await plane.schedules.change(schedule, body)))


@router.delete("/schedules/{schedule}", responses=_NOT_FOUND)
async def delete_schedule(plane: Plane, schedule: Named) -> Deleted:
    """Delete a schedule with its firings and deliveries; its runs stay."""
    found = await plane.schedules.find(schedule)
    await plane.schedules.delete(schedule)
    return Deleted(id=found.id, message="the schedule is deleted")


@router.post("/schedules/{schedule}/pause", responses={**_NOT_FOUND, **_CHANGED})
async def pause_schedule(plane: Plane, schedule: Named) -> ScheduleView:
    """Pause a schedule; a run that has started goes on."""
    return schedule_view(await plane.schedules.details(await plane.schedules.enable(schedule, enabled=False)))


@router.post("/schedules/{schedule}/resume", responses={**_NOT_FOUND, **_CHANGED})
async def resume_schedule(plane: Plane, schedule: Named) -> ScheduleView:
    """Let a schedule go on, from now: what it was due at meanwhile is not made up for."""
    return schedule_view(await plane.schedules.details(await plane.schedules.enable(schedule, enabled=True)))


@router.get("/schedules/{schedule}/firings", responses=_NOT_FOUND)
async def list_firings(
    plane: Plane,
    schedule: Named,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[Moment | None, Query(description="Due before; `next` of the page before.")] = None,
    outcome: Annotated[list[FiringOutcome] | None, Query(description="Only these; may be given several times.")] = None,
) -> FiringList:
    """List what became of its due times, newest first."""
    found = await plane.schedules.firings(schedule, before=before, outcomes=outcome or (), limit=limit)
    return firing_list(found, limit)


@router.get("/schedules/{schedule}/deliveries", responses=_NOT_FOUND)
async def list_deliveries(
    plane: Plane, schedule: Named, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> DeliveryList:
    """List its notifications and what became of them, newest first."""
    found = await plane.schedules.deliveries(schedule, limit)
    return DeliveryList(deliveries=[delivery_view(each) for each in found])
