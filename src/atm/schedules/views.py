"""Schedules, firings and deliveries as storage keeps them, in the words of the Control API."""

from __future__ import annotations

from collections.abc import Sequence

from atm.errors import SpecError
from atm.models.schedule import DeliveryView, FiringList, FiringView, ScheduleView
from atm.runs.views import summary_view
from atm.schedules.firing_policy import trigger_of
from atm.schedules.service import ScheduleDetails
from atm.schedules.triggers import describe
from atm.storage.schedules import Delivery, Firing

_SAME = (
    "id",
    "name",
    "description",
    "enabled",
    "test",
    "max_runs",
    "run_count",
    "overlap",
    "misfire",
    "misfire_grace_seconds",
    "jitter_seconds",
    "start_date",
    "end_date",
    "created_at",
    "updated_at",
    "next_due",
)
_OF_DELIVERY = tuple(DeliveryView.model_fields)


def schedule_view(standing: ScheduleDetails) -> ScheduleView:
    """A schedule with what became of it lately."""
    schedule = standing.schedule
    trigger = trigger_of(schedule)
    try:
        describes = describe(trigger)
    except SpecError as error:
        describes = error.problems[0].what
    return ScheduleView(
        **{name: getattr(schedule, name) for name in _SAME},
        trigger=trigger,
        trigger_type=trigger.type,
        paused=not schedule.enabled,
        test_name=schedule.test or str((schedule.spec or {}).get("name", "")),
        describes=describes,
        spec=None if schedule.spec is None else dict(schedule.spec),
        tags=list(schedule.tags),
        notify=[dict(each) for each in schedule.notify],
        upcoming=list(standing.upcoming),
        recent=[firing_view(each) for each in standing.recent],
        last_run=None if standing.last_run is None else summary_view(standing.last_run),
    )


def firing_view(firing: Firing) -> FiringView:
    """A due time, and what became of it."""
    return FiringView(**{name: getattr(firing, name) for name in FiringView.model_fields})


def firing_list(firings: Sequence[Firing], limit: int) -> FiringList:
    """A page of them."""
    following = firings[-1].due if len(firings) == limit else None
    return FiringList(firings=[firing_view(each) for each in firings], next=following)


def delivery_view(delivery: Delivery) -> DeliveryView:
    """A notification on its way."""
    return DeliveryView(**{name: getattr(delivery, name) for name in _OF_DELIVERY})
