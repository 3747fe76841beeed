"""Have tests run by themselves: make, look at, pause, resume and delete schedules."""

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
from atm.mcp_server.tool import READS, OurTool, answer, tool
from atm.mcp_server.untrusted import cleaned, cleaned_tree, quoted, without_credentials
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
"""Due times from which it is told how often an hour a schedule fires."""
SHOWN_FIRINGS = 5
_ENDS_WITH_US = (
    "it fires only while a server runs, and this one ends with the session: leave `atm serve` running on the same data "
    "directory, and it fires there"
)
Named = Annotated[str, Field(min_length=1, max_length=256, description="Name or id of the schedule.")]
Zone = Annotated[str, Field(min_length=1, max_length=100, description="Whose clocks: an IANA time zone.")]


class ScheduleTools:
    """The tools about schedules."""

    def __init__(self, services: ToolServices) -> None:
        self._desk = services

    async def create_schedule(
        self,
        context: Context[Any, Any],
        name: Annotated[str, Field(min_length=1, max_length=256, description="How the schedule is called; unique.")],
        test: Annotated[
            str | None, Field(min_length=1, max_length=256, description="Name of a kept test, run as it is when due.")
        ] = None,
        spec: a.Spec = None,
        cron: Annotated[
            str | None,
            Field(
                max_length=200,
                description="When, as in a crontab: minute hour day month day-of-week.",
                examples=["30 2 * * *", "*/15 * * * mon-fri"],
            ),
        ] = None,
        every: Annotated[
            str | float | None, Field(description="Or so often, in elapsed time: seconds, or `15m`, `1d`.")
        ] = None,
        at: Annotated[
            str | None,
            Field(
                max_length=40, description="Or once, at this time.", examples=["2030-12-01T02:30", "2030-12-01T02:30Z"]
            ),
        ] = None,
        timezone: Zone = "UTC",
        description: Annotated[str, Field(max_length=2000, description="For people.")] = "",
        max_runs: Annotated[int | None, Field(ge=1, le=1_000_000, description="It ends after so many runs.")] = None,
        end_date: Annotated[datetime | None, Field(description="No due time after this, with an offset or Z.")] = None,
        overlap: Annotated[
            Overlap, Field(description="At a due time while its last run goes on: skip it, queue it, or allow two.")
        ] = Overlap.SKIP,
        misfire: Annotated[
            Misfire, Field(description="Due times that went by while no server ran: run once for them all, or skip.")
        ] = Misfire.RUN_ONCE,
        jitter_seconds: Annotated[int, Field(ge=0, le=86_400, description="Starts up to so much later.")] = 0,
        tags: a.Tags = [],  # noqa: B006  (never changed; a schema's default)
        enabled: Annotated[bool, Field(description="false: make it paused.")] = True,
    ) -> Annotated[CallToolResult, ScheduleEntry]:
        """Have a test run by itself: give test (the name of a kept one) or spec, and cron, every or at. Each due time
        is fired once; in nights in which clocks change too. Counts against the limits of this server by the hour."""
        control = await self._desk.control()
        trigger = _trigger(cron, every, at, timezone)
        upcoming = await _upcoming(control, trigger, end_date)
        if (test is None) == (spec is None):
            what = "give either test (the name of a kept one) or spec" + (", not both" if test is not None else "")
            raise SpecError(Problem(what, "conflict", path="test", hint="list_tests has the names"))
        what_runs = (await control.test(test)).spec if test is not None else a.spec_of(spec, {})
        wish = f"have the load test {{test}} run by itself, {_braced(_when(cron, every, at, timezone))}"
        bounded = await self._desk.gate.allow(context, control, what_runs, wish=wish, upcoming=upcoming)
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
        return self._told(await control.schedules.create(request), "made")

    async def list_schedules(self) -> Annotated[CallToolResult, SchedulesAnswer]:
        """All schedules, by name, whoever made them: when each is due next, and what became of the last time."""
        control = await self._desk.control()
        found = (await control.schedules.all()).schedules
        lines = [f"{len(found)} schedules", *(f"- {_line(each)}" for each in found)] if found else ["no schedules yet"]
        return answer("\n".join(lines), SchedulesAnswer(schedules=[_entry(each, ()) for each in found]))

    async def get_schedule(self, schedule: Named) -> Annotated[CallToolResult, ScheduleEntry]:
        """One schedule: what it runs and when, its next due times, and what became of the last ones."""
        return self._told(await (await self._desk.control()).schedules.get(schedule), "")

    async def pause_schedule(self, schedule: Named) -> Annotated[CallToolResult, ScheduleEntry]:
        """Fire a schedule no more, until it is resumed. A run of it that goes on is not cancelled."""
        return self._told(await (await self._desk.control()).schedules.pause(schedule), "paused")

    async def resume_schedule(
        self, context: Context[Any, Any], schedule: Named
    ) -> Annotated[CallToolResult, ScheduleEntry]:
        """Fire a paused schedule again, from now on. Counts against the limits of this server by the hour."""
        control = await self._desk.control()
        found = await control.schedules.get(schedule)
        if not found.enabled:
            spec = found.spec if found.test is None else (await control.test(found.test)).spec
            upcoming = await _upcoming(control, found.trigger, found.end_date)
            named, when = _braced(summaries.name(found.name)), _braced(found.describes)
            wish = f"resume the schedule {named} ({when}), which runs {{test}}"
            await self._desk.gate.allow(context, control, spec or {}, wish=wish, upcoming=upcoming, replaces=found.id)
        return self._told(await control.schedules.resume(found.id), "resumed")

    async def delete_schedule(self, schedule: Named) -> Annotated[CallToolResult, Deleted]:
        """Delete a schedule and the record of its firings; the runs that it started stay. pause_schedule keeps it."""
        control = await self._desk.control()
        found = await control.schedules.get(schedule)
        await control.schedules.delete(found.id)
        text = f"the schedule {summaries.name(found.name)} is deleted; its {found.run_count} runs stay"
        return answer(text, Deleted(id=found.id))

    def _told(self, view: ScheduleView, done: str) -> CallToolResult:
        notes = [_ENDS_WITH_US] if self._desk.backend.is_ours and view.enabled else []
        lines = [f"{done}: {_line(view)}" if done else _line(view)]
        if view.upcoming and view.enabled:
            lines.append(
                f"next: {', '.join(f'{each.astimezone(UTC):%Y-%m-%d %H:%M:%S}' for each in view.upcoming)} UTC"
            )
        lines += [f"- {_firing(each)}" for each in view.recent[:SHOWN_FIRINGS]]
        return answer("\n".join([*lines, *(f"note: {each}" for each in notes)]), _entry(view, notes))


def _trigger(cron: str | None, every: str | float | None, at: str | None, zone: str) -> Mapping[str, Any]:
    given = [label for label, value in (("cron", cron), ("every", every), ("at", at)) if value is not None]
    if len(given) != 1:
        what = "say when in one way: cron, every or at" + (f", not {' and '.join(given)}" if given else "")
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
        raise SpecError([_problem(each) for each in error.errors()]) from error


async def _upcoming(
    control: ControlClient, trigger: Mapping[str, Any] | Trigger, end_date: datetime | None
) -> list[datetime]:
    """The due times that are known ahead; at least one. Raises SpecError where it would never be due."""
    try:
        request = PreviewRequest.model_validate({"trigger": trigger, "end_date": end_date, "count": LOOKED_AHEAD})
    except ValidationError as error:
        raise SpecError([_problem(each) for each in error.errors()]) from error
    found = (await control.schedules.preview(request)).upcoming
    if not found:
        hint = "give a time that lies ahead, and before end_date"
        raise SpecError(Problem("it would never be due", "never_due", path="at", hint=hint))
    return found


def _problem(each: Mapping[str, Any]) -> Problem:
    where = ".".join(str(part) for part in each["loc"])
    message = str(each["msg"]).removeprefix("Value error, ")
    return Problem(message[:1].lower() + message[1:], "bad_argument", path=where)


def _when(cron: str | None, every: str | float | None, at: str | None, zone: str) -> str:
    return f"at {cron} {zone}" if cron else f"every {every}" if every is not None else f"once, at {at} {zone}"


def _braced(text: str) -> str:
    """Text of others inside a format string."""
    return text.replace("{", "{{").replace("}", "}}")


def _line(view: ScheduleView) -> str:
    state = "" if view.enabled else ", PAUSED"
    due = f", next due {view.next_due.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if view.next_due else ""
    ended = ", ended" if view.enabled and view.next_due is None else ""
    what = f"the test {summaries.name(view.test)}" if view.test else "a spec of its own"
    last = f"; last: {_firing(view.recent[0])}" if view.recent else ""
    return f"{summaries.name(view.name)} ({view.id}) runs {what} {quoted(view.describes, 120)}{state}{due}{ended}{last}"


def _firing(each: FiringView) -> str:
    run = f", run {each.run_id}" if each.run_id else ""
    error = f": {quoted(without_credentials(each.error), 200)}" if each.error else ""
    return f"{each.due.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC {each.outcome}{run}{error}"


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
        tags=[cleaned(each, 128) for each in view.tags],
        last_outcome=last.outcome if last else None,
        last_run_id=last.run_id if last else None,
        firings=[
            FiringEntry(
                due=each.due,
                outcome=each.outcome,
                run_id=each.run_id,
                error=None if each.error is None else without_credentials(each.error, 300),
            )
            for each in view.recent[:SHOWN_FIRINGS]
        ],
        notes=list(notes),
    )


def tools(services: ToolServices) -> list[OurTool]:
    """The tools of this module."""
    made = ScheduleTools(services)
    example = 'name="nightly", test="checkout", cron="30 2 * * *", timezone="Europe/Berlin"'
    named = 'schedule="nightly"'
    return [
        tool(made.create_schedule, title="Have a test run by itself", annotations=MAKES, example=example),
        tool(made.list_schedules, title="The schedules", annotations=READS),
        tool(made.get_schedule, title="One schedule", annotations=READS, example=named),
        tool(made.pause_schedule, title="Pause a schedule", annotations=CHANGES, example=named),
        tool(made.resume_schedule, title="Resume a schedule", annotations=CHANGES, example=named),
        tool(made.delete_schedule, title="Delete a schedule", annotations=DELETES, example=named),
    ]
