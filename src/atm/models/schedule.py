"""Schedules: triggers, firings and notifications, as the Control API represents them.

Triggers are those of the first design: `cron`, `interval` and `date`. `atm.schedules` computes their due times; this
module only defines their fields.
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
    model_config = ConfigDict(extra="forbid", defer_build=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", defer_build=True)


class CronTrigger(_Strict):
    """Due at the times that match every field, in a time zone.

    Either the fields, or `expression` with the five of a crontab (minute, hour, day, month, day of week; Sunday is 0
    or 7). In separate fields, days of the week are numbered from Monday, 0, as in the first design: names are safer. A
    missing field means every value, or the lowest value if a finer field is missing too.
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
            raise ValueError("give either the fields (minute, hour, …) or an expression such as `30 2 * * *`")
        return self


class IntervalTrigger(_Strict):
    """At a fixed interval of elapsed time from the start date (without one: from the creation of the schedule)."""

    type: Literal["interval"] = "interval"
    seconds: Count = 0
    minutes: Count = 0
    hours: Count = 0
    days: Count = 0

    @model_validator(mode="after")
    def _some_time(self) -> Self:
        if not 1 <= self.total_seconds <= MOST_SECONDS:
            raise ValueError("an interval must be 1 second to 366 days")
        return self

    @property
    def total_seconds(self) -> int:
        return self.seconds + 60 * self.minutes + 3600 * self.hours + 86_400 * self.days


class DateTrigger(_Strict):
    """Due once. A `run_date` without an offset is a local time in `timezone`."""

    type: Literal["date"] = "date"
    run_date: ShownTime
    timezone: Zone = "UTC"


Trigger = Annotated[CronTrigger | IntervalTrigger | DateTrigger, Field(discriminator="type")]


class Overlap(StrEnum):
    """What to do at a due time while a run of the same schedule is in progress."""

    SKIP = "skip"
    """Start no run; the firing is recorded as skipped."""
    QUEUE = "queue"
    """Start the run when the other has ended; at most 100 wait."""
    ALLOW = "allow"
    """Start another run at the same time."""


class Misfire(StrEnum):
    """What to do with due times missed because no agent was running within the grace time."""

    RUN_ONCE = "run_once"
    """Start one run for all of them."""
    SKIP = "skip"
    """Start no run; the firing has the number of missed due times."""


class NotifyOn(StrEnum):
    """The outcomes of a run that trigger a notification."""

    FAILURE = "failure"
    """It could not start, could not measure, or failed a threshold."""
    RECOVERY = "recovery"
    """It passed after the previous one had failed."""
    ALWAYS = "always"
    """It ended, with any outcome."""


class Webhook(_Strict):
    """A POST with a JSON document, signed if there is a secret."""

    type: Literal["webhook"] = "webhook"
    url: Annotated[str, StringConstraints(min_length=8, max_length=2000, pattern="^https?://|^[*]{3}$")]
    secret: Annotated[str, StringConstraints(min_length=8, max_length=500)] | Literal["***"] | None = None
    """HMAC-SHA-256 key of the signature."""
    on: Annotated[list[NotifyOn], Field(min_length=1, max_length=3)] = [NotifyOn.FAILURE, NotifyOn.RECOVERY]


LOCAL_SERVICES = frozenset({"syslog", "dbus", "glib", "gnome", "kde", "qt", "macosx", "windows"})
"""Apprise services that notify the local machine only, where no user would see them."""


class AppriseTarget(_Strict):
    """A message through any Apprise service (mail, Slack, Telegram, …) except local ones."""

    type: Literal["apprise"] = "apprise"
    url: Annotated[str, StringConstraints(min_length=4, max_length=2000, pattern="^[a-z][a-z0-9+.-]*://|^[*]{3}$")]
    on: Annotated[list[NotifyOn], Field(min_length=1, max_length=3)] = [NotifyOn.FAILURE, NotifyOn.RECOVERY]

    @model_validator(mode="after")
    def _far_away(self) -> Self:
        scheme = self.url.partition("://")[0]
        if scheme in LOCAL_SERVICES:
            raise ValueError(f"{scheme}:// notifies only the server's own machine")
        return self


Notification = Annotated[Webhook | AppriseTarget, Field(discriminator="type")]


class ScheduleRequest(_Strict):
    """POST /schedules, PUT /schedules/{id}."""

    name: Name
    description: Notes = ""
    trigger: Trigger
    spec: Spec | None = None
    """The spec to run; give either this, …"""
    test: Name | None = None
    """… or the name or id of a stored test, which is read at the due time."""
    test_name: Name | None = None
    """The same as `test`."""
    enabled: bool = True
    max_runs: Annotated[int, Field(ge=1, le=MOST_RUNS)] | None = None
    """Number of runs after which the schedule ends."""
    tags: Tags = []
    """Tags of the schedule and of its runs."""
    overlap: Overlap = Overlap.SKIP
    misfire: Misfire = Misfire.RUN_ONCE
    misfire_grace_seconds: Annotated[int, Field(ge=1, le=MOST_SECONDS)] = 60
    """Firings later than this count as missed."""
    jitter_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    """Random delay of each start, up to this long."""
    start_date: Moment | None = None
    end_date: Moment | None = None
    """Due times are limited to the range from `start_date` to `end_date`, inclusive."""
    notify: Annotated[list[Notification], Field(max_length=20)] = []

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.test is None:
            # A response can be sent back as a request: there, `test_name` is the spec's name.
            of_spec = self.spec is not None and self.test_name == self.spec.get("name")
            self.test = None if of_spec else self.test_name
        elif self.test_name not in (None, self.test):
            raise ValueError("test and test_name are the same field: give one of them")
        if (self.spec is None) == (self.test is None):
            raise ValueError("give either spec (a test spec) or test (the name of a stored test)")
        if self.start_date and self.end_date and self.end_date < self.start_date:
            raise ValueError("end_date is before start_date")
        return self


class FiringOutcome(StrEnum):
    """The outcome of a due time."""

    QUEUED = "queued"
    """It waits for the previous run."""
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
    """No run was due: the previous one had not ended, or the test is disabled."""
    MISSED = "missed"
    """No agent was running in time, and the schedule does not catch up."""
    ERROR = "error"
    """The run could not be created or carried out."""


class FiringView(_Answer):
    """A due time of a schedule and its outcome."""

    schedule_id: str
    due: datetime
    fired_at: datetime
    """When an agent processed it."""
    claimed_by: str
    """Host and process of that agent."""
    outcome: FiringOutcome
    run_id: str | None
    error: str | None
    missed: int
    """Number of missed due times that this firing replaces; 1000 means 1000 or more."""


class FiringList(_Answer):
    """GET /schedules/{id}/firings, newest first."""

    firings: list[FiringView]
    next: datetime | None
    """Send as `before` for the next page; null on the last one."""


class DeliveryStatus(StrEnum):
    """The delivery status of a notification."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Every attempt failed; there will be no further one."""


class DeliveryView(_Answer):
    """A notification about a firing."""

    id: str
    schedule_id: str
    due: datetime
    event: Literal["failure", "recovery", "success", "cancelled"]
    channel: str
    """Its destination, secrets masked."""
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None
    delivered_at: datetime | None
    error: str | None
    """Error of the last attempt."""


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
    """Description of the trigger."""
    paused: bool
    """The negation of `enabled`."""
    spec: dict[str, Any] | None
    test: str | None
    test_name: str
    """The name or id of the stored test, or the name in `spec`."""
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
    """The next five due times, ignoring a pause."""
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
    """The due times of a trigger."""

    describes: str
    upcoming: list[datetime]


class WebhookDocument(_Answer):
    """The document sent to a webhook; the signature covers its bytes."""

    event: Literal["failure", "recovery", "success", "cancelled"]
    delivery: str
    """The same for every attempt, so receivers can ignore repetitions."""
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
