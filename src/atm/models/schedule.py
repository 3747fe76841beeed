"""Schedules: when a test runs by itself, and everything that the Control API says about that.

Triggers are those of the first design: `cron`, `interval` and `date`. What they mean to the clock is worked out in
`atm.schedules`; here is only what can be written.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from atm.models.control.base import Moment, Name, Notes, ShownTime, Spec, Tags
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome, RunStatus

MOST_SECONDS = 366 * 86_400
MOST_RUNS = 1_000_000_000


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


CronField = Annotated[str, BeforeValidator(_text), StringConstraints(min_length=1, max_length=200)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Count = Annotated[int, Field(ge=0, le=MOST_SECONDS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")


class CronTrigger(_Strict):
    """At the times that match every field, on the clocks of a time zone.

    Either the fields, or `expression` with the five of a crontab (minute, hour, day, month, day of week; Sunday is 0
    or 7). In fields of their own days of the week count from Monday, 0, as in the first design: names are safer. A
    field that is not written is every value, or the lowest when a finer field is not written either.
    """

    type: Literal["cron"] = "cron"
    minute: CronField | None = None
    hour: CronField | None = None
    day: CronField | None = None
    month: CronField | None = None
    day_of_week: CronField | None = None
    expression: CronField | None = None
    timezone: Zone = "UTC"

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        fields = (self.minute, self.hour, self.day, self.month, self.day_of_week)
        if (self.expression is None) == all(field is None for field in fields):
            raise ValueError("write either the fields (minute, hour, …) or an expression such as `30 2 * * *`")
        return self


class IntervalTrigger(_Strict):
    """Every so often, counted in elapsed time from the start date (without one: from when the schedule was made)."""

    type: Literal["interval"] = "interval"
    seconds: Count = 0
    minutes: Count = 0
    hours: Count = 0
    days: Count = 0

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if not 1 <= self.total_seconds <= MOST_SECONDS:
            raise ValueError("an interval is 1 second to 366 days")
        return self

    @property
    def total_seconds(self) -> int:
        return self.seconds + 60 * self.minutes + 3600 * self.hours + 86_400 * self.days


class DateTrigger(_Strict):
    """Once. A `run_date` without an offset is on the clocks of `timezone`."""

    type: Literal["date"] = "date"
    run_date: ShownTime
    timezone: Zone = "UTC"


Trigger = Annotated[CronTrigger | IntervalTrigger | DateTrigger, Field(discriminator="type")]


class Overlap(StrEnum):
    """What happens at a due time while a run of the same schedule has not ended."""

    SKIP = "skip"
    """Nothing; the firing says so."""
    QUEUE = "queue"
    """It waits, and starts when the other has ended; at most 100 wait."""
    ALLOW = "allow"
    """Another run, as if there were none."""


class Misfire(StrEnum):
    """What happens to due times that nobody noticed within the grace time, because every agent was down."""

    RUN_ONCE = "run_once"
    """One run for all of them together."""
    SKIP = "skip"
    """None; the firing says how many were missed."""


class NotifyOn(StrEnum):
    """After which runs to notify."""

    FAILURE = "failure"
    """It could not start, could not measure, or missed a threshold."""
    RECOVERY = "recovery"
    """It passed, and the one before it had failed."""
    ALWAYS = "always"
    """It ended, whatever came of it."""


class Webhook(_Strict):
    """A POST with a JSON document, signed where there is a secret."""

    type: Literal["webhook"] = "webhook"
    url: Annotated[str, StringConstraints(min_length=8, max_length=2000, pattern="^https?://|^[*]{3}$")]
    secret: Annotated[str, StringConstraints(min_length=8, max_length=500)] | Literal["***"] | None = None
    """HMAC-SHA-256 key of the signature."""
    on: Annotated[list[NotifyOn], Field(min_length=1, max_length=3)] = [NotifyOn.FAILURE, NotifyOn.RECOVERY]


LOCAL_SERVICES = frozenset({"syslog", "dbus", "glib", "gnome", "kde", "qt", "macosx", "windows"})
"""What Apprise has for the machine that it runs on: nobody sees it there, and the server's log is the server's."""


class AppriseTarget(_Strict):
    """A message by whatever service an Apprise URL names (mail, Slack, Telegram, …), but for those of one machine."""

    type: Literal["apprise"] = "apprise"
    url: Annotated[str, StringConstraints(min_length=4, max_length=2000, pattern="^[a-z][a-z0-9+.-]*://|^[*]{3}$")]
    on: Annotated[list[NotifyOn], Field(min_length=1, max_length=3)] = [NotifyOn.FAILURE, NotifyOn.RECOVERY]

    @model_validator(mode="after")
    def _far_away(self) -> Self:
        scheme = self.url.partition("://")[0]
        if scheme in LOCAL_SERVICES:
            raise ValueError(f"{scheme}:// speaks to the machine that the server runs on, and to nobody else")
        return self


Notification = Annotated[Webhook | AppriseTarget, Field(discriminator="type")]


class ScheduleRequest(_Strict):
    """POST /schedules, PUT /schedules/{id}."""

    name: Name
    description: Notes = ""
    trigger: Trigger
    spec: Spec | None = None
    """What to run: either this, …"""
    test: Name | None = None
    """… or the name or id of a kept test, as it is when it is due."""
    test_name: Name | None = None
    """The same as `test`."""
    enabled: bool = True
    max_runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] | None = None
    """After so many runs it has ended."""
    tags: Tags = []
    """Of the schedule, and of its runs."""
    overlap: Overlap = Overlap.SKIP
    misfire: Misfire = Misfire.RUN_ONCE
    misfire_grace_seconds: Annotated[int, Field(ge=1, le=MOST_SECONDS)] = 60
    """A due time noticed later than this was missed."""
    jitter_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Starts up to so much later than due, differently each time."""
    start_date: Moment | None = None
    end_date: Moment | None = None
    """Due times lie at or after the one, and at or before the other."""
    notify: Annotated[list[Notification], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.test is None:
            # What is answered can be sent back: there `test_name` is that of the spec.
            of_spec = self.spec is not None and self.test_name == self.spec.get("name")
            self.test = None if of_spec else self.test_name
        elif self.test_name not in (None, self.test):
            raise ValueError("test and test_name are the same field: write one of them")
        if (self.spec is None) == (self.test is None):
            raise ValueError("write either spec (a test spec) or test (the name of a kept test)")
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise ValueError("end_date lies before start_date")
        return self


class FiringOutcome(StrEnum):
    """What became of a due time."""

    QUEUED = "queued"
    """It waits for the run before it."""
    STARTED = "started"
    """Its run is pending or running."""
    PASSED = "passed"
    FAILED = "failed"
    """A threshold of the run failed, or its target never answered."""
    INVALID = "invalid"
    """The measurement of the run is invalid."""
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    """No run was wanted: the one before it had not ended, or its test is disabled."""
    MISSED = "missed"
    """Nobody was there in time, and the schedule does not catch up."""
    ERROR = "error"
    """No run could be made of it, or its run could not be carried out."""


class FiringView(_Answer):
    """A due time of a schedule, and what became of it."""

    schedule_id: str
    due: datetime
    fired_at: datetime
    """When somebody dealt with it."""
    claimed_by: str
    """Host and process of the agent that did."""
    outcome: FiringOutcome
    run_id: str | None
    error: str | None
    missed: int
    """Due times before this one that went by unnoticed and are dealt with in it; 1000 stands for as many or more."""


class FiringList(_Answer):
    """GET /schedules/{id}/firings, newest first."""

    firings: list[FiringView]
    next: datetime | None
    """Send as `before` for the next page; null on the last one."""


class DeliveryStatus(StrEnum):
    """How far a notification has come."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Every attempt failed; there will be no other."""


class DeliveryView(_Answer):
    """A notification about a firing."""

    id: str
    schedule_id: str
    due: datetime
    event: Literal["failure", "recovery", "success", "cancelled"]
    channel: str
    """Where to, secrets masked."""
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    error: str | None
    """Of the last attempt."""


class DeliveryList(_Answer):
    """GET /schedules/{id}/deliveries, newest first."""

    deliveries: list[DeliveryView]


class ScheduleView(_Answer):
    """A schedule; credentials are shown as `***`."""

    id: str
    name: str
    description: str
    enabled: bool
    trigger: Trigger
    trigger_type: str
    describes: str
    """The trigger in words."""
    paused: bool
    """`enabled`, the other way round."""
    spec: dict[str, Any] | None
    test: str | None
    test_name: str
    """What it runs: the kept test's name or id, or the name in `spec`."""
    max_runs: int | None
    run_count: int
    tags: list[str]
    overlap: Overlap
    misfire: Misfire
    misfire_grace_seconds: int
    jitter_seconds: int
    start_date: datetime | None
    end_date: datetime | None
    notify: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime
    next_due: datetime | None
    """Null when it is paused or has ended."""
    upcoming: list[datetime]
    """The next five due times, were it not paused."""
    recent: list[FiringView]
    """The last 20 firings, newest first."""
    last_run: RunSummaryView | None
    """The newest run among them."""


class ScheduleList(_Answer):
    """GET /schedules, by name."""

    schedules: list[ScheduleView]
    total: int


class PreviewRequest(_Strict):
    """POST /schedules/preview."""

    trigger: Trigger
    start_date: Moment | None = None
    end_date: Moment | None = None
    count: Annotated[int, Field(ge=1, le=50)] = 5


class PreviewAnswer(_Answer):
    """When a trigger would be due."""

    describes: str
    upcoming: list[datetime]


class WebhookDocument(_Answer):
    """What a webhook is sent; the signature covers the bytes of it."""

    event: Literal["failure", "recovery", "success", "cancelled"]
    delivery: str
    """The same for every attempt: whoever has seen it before may ignore it."""
    schedule: str
    schedule_id: str
    due: datetime
    outcome: FiringOutcome
    error: str | None
    run_id: str | None
    run_name: str | None
    run_status: RunStatus | None
    url: str | None
    passed: bool | None
    run_outcome: RunOutcome | None = None
    measurement: str | None
    failure_reasons: list[str]
    latency_p95_ms: float | None
    requests_per_second: float | None
    error_rate: float | None
