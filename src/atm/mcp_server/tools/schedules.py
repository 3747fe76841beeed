"""Tools that create, list, pause, resume and delete schedules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field, ValidationError

from atm.client import ControlClient
from atm.errors import Problem, SpecError
from atm.mcp_server import arguments as a
from atm.mcp_server import summaries
from atm.mcp_server.answers import Deleted, FiringEntry, ScheduleEntry, SchedulesAnswer
from atm.mcp_server.gate import TAG
from atm.mcp_server.services import ToolServices
from atm.mcp_server.tool import READS, StrictTool, answer, tool
from atm.mcp_server.untrusted_text import cleaned, cleaned_tree, quoted, without_credentials
from atm.models.duration import parse_duration
from atm.models.schedule import (
    FiringView,
    Misfire,
    Overlap,
    PreviewRequest,
    ScheduleRequest,
    ScheduleView,
    Trigger,
)

MAKES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=True)
DELETES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
LOOKED_AHEAD = 50
"""Number of due times from which the firings per hour are computed."""
SHOWN_FIRINGS = 5
_NEEDS_SERVER = (
    "it fires only while a server runs, and this one ends with the session: keep `atm serve` running on the same data "
    "directory"
)
Named = Annotated[str, Field(min_length=1, max_length=256, description="Name or id of the schedule.")]
Zone = Annotated[str, Field(min_length=1, max_length=100, description="IANA time zone.")]


class ScheduleTools:
    """The tools for schedules."""

    def __init__(self, services: ToolServices) -> None:
        self._services = services

    async def create_schedule(
        self,
        context: Context[Any, Any],
        name: Annotated[str, Field(min_length=1, max_length=256, description="Unique name of the schedule.")],
        test: Annotated[
            str | None,
            Field(min_length=1, max_length=256, description="Name of a stored test, run in its current form."),
        ] = None,
        spec: a.Spec = None,
        cron: Annotated[
            str | None,
            Field(
                max_length=200,
                description="As in a crontab: minute hour day month day-of-week.",
                examples=["30 2 * * *", "*/15 * * * mon-fri"],
            ),
        ] = None,
        every: Annotated[str | float | None, Field(description="Or an interval: seconds, or `15m`, `1d`.")] = None,
        at: Annotated[
            str | None,
            Field(
                max_length=40, description="Or once at this time.", examples=["2030-12-01T02:30", "2030-12-01T02:30Z"]
            ),
        ] = None,
        timezone: Zone = "UTC",
        description: Annotated[str, Field(max_length=2000, description="For people.")] = "",
        max_runs: Annotated[int | None, Field(ge=1, le=1_000_000, description="End after this many runs.")] = None,
        end_date: Annotated[datetime | None, Field(description="No due time after this, with an offset or Z.")] = None,
        overlap: Annotated[
            Overlap, Field(description="If its last run is in progress: skip, queue, or allow two.")
        ] = Overlap.SKIP,
        misfire: Annotated[
            Misfire, Field(description="Due times missed while no server ran: run once for all, or skip.")
        ] = Misfire.RUN_ONCE,
        jitter_seconds: Annotated[int, Field(ge=0, le=86_400, description="Random delay of up to this.")] = 0,
        tags: a.Tags = [],  # noqa: B006  (never changed; a schema's default)
        enabled: Annotated[bool, Field(description="false: create it paused.")] = True,
    ) -> Annotated[CallToolResult, ScheduleEntry]:
        """Schedule a test: give test (the name of a stored one) or spec, and cron, every or at. Each due time fires
        once, also when clocks change. Counts against the hourly limits of this server."""
        control = await self._services.control()
        trigger = _trigger(cron, every, at, timezone)
        upcoming = await _upcoming(control, trigger, end_date)
        if (test is None) == (spec is None):
            what = "give either test (the name of a stored one) or spec" + (", not both" if test is not None else "")
            raise SpecError(Problem(what, "conflict", path="test", hint="list_tests has the names"))
        tested = (await control.test(test)).spec if test is not None else a.spec_of(spec, {})
        action = f"schedule the load test {{test}}, {_braced(_when(cron, every, at, timezone))}"
        bounded = await self._services.gate.allow(context, control, tested, action=action, upcoming=upcoming, test=test)
        request = _request(
            name=name,
            description=description,
            trigger=trigger,
            spec=None if test is not None else bounded,
            test=test,
            enabled=enabled,
            max_runs=max_runs,
            end_date=end_date,
            overlap=overlap,
            misfire=misfire,
            jitter_seconds=jitter_seconds,
            tags=list(dict.fromkeys([*tags, TAG])),
        )
        return self._answer(await control.schedules.create(request), "created")

    async def list_schedules(self) -> Annotated[CallToolResult, SchedulesAnswer]:
        """List all schedules by name, with the next due time and the outcome of the last firing."""
        control = await self._services.control()
        views = (await control.schedules.all()).schedules
        lines = [f"{len(views)} schedules", *(f"- {_line(view)}" for view in views)] if views else ["no schedules yet"]
        return answer("\n".join(lines), SchedulesAnswer(schedules=[_entry(view, ()) for view in views]))

    async def get_schedule(self, schedule: Named) -> Annotated[CallToolResult, ScheduleEntry]:
        """Get a schedule: what it runs and when, its next due times and last firings."""
        return self._answer(await (await self._services.control()).schedules.get(schedule), "")

    async def pause_schedule(self, schedule: Named) -> Annotated[CallToolResult, ScheduleEntry]:
        """Pause a schedule until it is resumed. A run in progress is not cancelled."""
        return self._answer(await (await self._services.control()).schedules.pause(schedule), "paused")

    async def resume_schedule(
        self, context: Context[Any, Any], schedule: Named
    ) -> Annotated[CallToolResult, ScheduleEntry]:
        """Resume a paused schedule from now on. Counts against the hourly limits of this server."""
        control = await self._services.control()
        view = await control.schedules.get(schedule)
        if not view.enabled:
            spec = view.spec if view.test is None else (await control.test(view.test)).spec
            upcoming = await _upcoming(control, view.trigger, view.end_date)
            named, when = _braced(summaries.name(view.name)), _braced(view.describes)
            action = f"resume the schedule {named} ({when}), which runs {{test}}"
            await self._services.gate.allow(
                context, control, spec or {}, action=action, upcoming=upcoming, replaces=view.id, test=view.test
            )
        return self._answer(await control.schedules.resume(view.id), "resumed")

    async def delete_schedule(self, schedule: Named) -> Annotated[CallToolResult, Deleted]:
        """Delete a schedule and its firings; the runs that it started stay. Use pause_schedule to keep it."""
        control = await self._services.control()
        view = await control.schedules.get(schedule)
        await control.schedules.delete(view.id)
        text = f"deleted schedule {summaries.name(view.name)}; runs that it started stay: {view.run_count}"
        return answer(text, Deleted(id=view.id))

    def _answer(self, view: ScheduleView, done: str) -> CallToolResult:
        notes = [_NEEDS_SERVER] if self._services.backend.is_child and view.enabled else []
        lines = [f"{done}: {_line(view)}" if done else _line(view)]
        if view.upcoming and view.enabled:
            lines.append(f"next: {', '.join(f'{due.astimezone(UTC):%Y-%m-%d %H:%M:%S}' for due in view.upcoming)} UTC")
        lines += [f"- {_firing(firing)}" for firing in view.recent[:SHOWN_FIRINGS]]
        return answer("\n".join([*lines, *(f"note: {note}" for note in notes)]), _entry(view, notes))


def _trigger(cron: str | None, every: str | float | None, at: str | None, zone: str) -> Mapping[str, Any]:
    given = [label for label, value in (("cron", cron), ("every", every), ("at", at)) if value is not None]
    if len(given) != 1:
        what = "give exactly one of cron, every and at" + (f", not {' and '.join(given)}" if given else "")
        raise SpecError(Problem(what, "missing_argument", path="cron", hint='cron="30 2 * * *", every="15m"'))
    if cron is not None:
        return {"type": "cron", "expression": cron, "timezone": zone}
    if at is not None:
        return {"type": "date", "run_date": at, "timezone": zone}
    try:
        seconds = parse_duration(every if every is not None else 0)
    except ValueError as error:
        raise SpecError(Problem(str(error), "bad_argument", path="every", hint='every="15m"')) from error
    return {"type": "interval", "seconds": round(seconds)}


def _request(**fields: Any) -> ScheduleRequest:
    try:
        return ScheduleRequest.model_validate(fields)
    except ValidationError as error:
        raise SpecError([_problem(detail) for detail in error.errors()]) from error


async def _upcoming(
    control: ControlClient, trigger: Mapping[str, Any] | Trigger, end_date: datetime | None
) -> list[datetime]:
    """Return the next due times, at least one. Raises SpecError if it would never be due."""
    try:
        request = PreviewRequest.model_validate({"trigger": trigger, "end_date": end_date, "count": LOOKED_AHEAD})
    except ValidationError as error:
        raise SpecError([_problem(detail) for detail in error.errors()]) from error
    upcoming = (await control.schedules.preview(request)).upcoming
    if not upcoming:
        hint = "give a future time, before end_date"
        raise SpecError(Problem("the schedule would never be due", "never_due", path="at", hint=hint))
    return upcoming


def _problem(detail: Mapping[str, Any]) -> Problem:
    where = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Problem(message[:1].lower() + message[1:], "bad_argument", path=where)


def _when(cron: str | None, every: str | float | None, at: str | None, zone: str) -> str:
    return f"at {cron} {zone}" if cron else f"every {every}" if every is not None else f"once, at {at} {zone}"


def _braced(text: str) -> str:
    """Escape text for use in a format string."""
    return text.replace("{", "{{").replace("}", "}}")


def _line(view: ScheduleView) -> str:
    state = "" if view.enabled else ", PAUSED"
    due = f", next due {view.next_due.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if view.next_due else ""
    ended = ", ended" if view.enabled and view.next_due is None else ""
    what = f"test {summaries.name(view.test)}" if view.test else "its own spec"
    last = f"; last: {_firing(view.recent[0])}" if view.recent else ""
    return f"{summaries.name(view.name)} ({view.id}) runs {what} {quoted(view.describes, 120)}{state}{due}{ended}{last}"


def _firing(firing: FiringView) -> str:
    run = f", run {firing.run_id}" if firing.run_id else ""
    error = f": {quoted(without_credentials(firing.error), 200)}" if firing.error else ""
    return f"{firing.due.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC {firing.outcome}{run}{error}"


def _entry(view: ScheduleView, notes: Any) -> ScheduleEntry:
    last = view.recent[0] if view.recent else None
    return ScheduleEntry(
        id=view.id,
        name=cleaned(view.name, 256),
        enabled=view.enabled,
        when=cleaned(view.describes, 300),
        next_due=view.next_due,
        upcoming=view.upcoming,
        test=None if view.test is None else cleaned(view.test, 256),
        spec=None if view.spec is None else cleaned_tree(view.spec),
        run_count=view.run_count,
        max_runs=view.max_runs,
        overlap=view.overlap,
        misfire=view.misfire,
        tags=[cleaned(tag, 128) for tag in view.tags],
        last_outcome=last.outcome if last else None,
        last_run_id=last.run_id if last else None,
        firings=[
            FiringEntry(
                due=firing.due,
                outcome=firing.outcome,
                run_id=firing.run_id,
                error=None if firing.error is None else without_credentials(firing.error, 300),
            )
            for firing in view.recent[:SHOWN_FIRINGS]
        ],
        notes=list(notes),
    )


def tools(services: ToolServices) -> list[StrictTool]:
    """Return the tools of this module."""
    group = ScheduleTools(services)
    example = 'name="nightly", test="checkout", cron="30 2 * * *", timezone="Europe/Berlin"'
    named = 'schedule="nightly"'
    return [
        tool(group.create_schedule, title="Create a schedule", annotations=MAKES, example=example),
        tool(group.list_schedules, title="List schedules", annotations=READS),
        tool(group.get_schedule, title="Get a schedule", annotations=READS, example=named),
        tool(group.pause_schedule, title="Pause a schedule", annotations=CHANGES, example=named),
        tool(group.resume_schedule, title="Resume a schedule", annotations=CHANGES, example=named),
        tool(group.delete_schedule, title="Delete a schedule", annotations=DELETES, example=named),
    ]
