"""Convert stored schedules, firings and deliveries to the views of the Control API."""

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


def schedule_view(details: ScheduleDetails) -> ScheduleView:
    """Return a schedule with its recent firings."""
    schedule = details.schedule
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
        notify=[dict(channel) for channel in schedule.notify],
        upcoming=list(details.upcoming),
        recent=[firing_view(channel) for channel in details.recent],
        last_run=None if details.last_run is None else summary_view(details.last_run),
    )


def firing_view(firing: Firing) -> FiringView:
    """Return a firing: a due time and its outcome."""
    return FiringView(**{name: getattr(firing, name) for name in FiringView.model_fields})


def firing_list(firings: Sequence[Firing], limit: int) -> FiringList:
    """Return a page of firings."""
    following = firings[-1].due if len(firings) == limit else None
    return FiringList(firings=[firing_view(firing) for firing in firings], next=following)


def delivery_view(delivery: Delivery) -> DeliveryView:
    """Return the delivery of a notification."""
    return DeliveryView(**{name: getattr(delivery, name) for name in _OF_DELIVERY})
