"""`atm schedule`: tests that a server runs by itself. Everything goes through its Control API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.parsing import PlainCommand, PlainGroup
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.client import ControlClient
    from atm.models.schedule import ScheduleView
    from atm.plan.document import SpecDocument

DEFAULT_SERVER = "http://127.0.0.1:8000"
MOST = 200
app = typer.Typer(cls=PlainGroup, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
_Answer = TypeVar("_Answer")


class _Overlap(StrEnum):
    SKIP = "skip"
    QUEUE = "queue"
    ALLOW = "allow"


class _Misfire(StrEnum):
    RUN_ONCE = "run_once"
    SKIP = "skip"


class _On(StrEnum):
    FAILURE = "failure"
    RECOVERY = "recovery"
    ALWAYS = "always"


Server = Annotated[str, typer.Option("--server", envvar="ATM_API_URL", metavar="URL", help="The server to ask.")]
Named = Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id.")]
Cron = Annotated[
    str | None, typer.Option("--cron", metavar="FIELDS", help="minute hour day month weekday, as in a crontab.")
]
Every = Annotated[str | None, typer.Option("--every", metavar="SPAN", help="Every so often: 15m, 6h, 1d.")]
At = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Once: 2026-12-01T02:30.")]
ZoneOption = Annotated[str, typer.Option("--zone", metavar="ZONE", help="Whose clocks --cron and --at mean.")]
Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="Not due before this.")]
End = Annotated[str | None, typer.Option("--end", metavar="TIME", help="Not due after this.")]


@app.callback()
def _schedule() -> None:
    """Let a server run tests by itself: cron, every so often, once; and be told."""


@app.command("add", cls=PlainCommand)
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    spec: Annotated[
        str | None, typer.Argument(metavar="[SPEC]", help="A file, a URL to GET, or - for standard input.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="TEST", help="Instead: a test that the server keeps.")
    ] = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: ZoneOption = "UTC",
    start: Start = None,
    end: End = None,
    max_runs: Annotated[int | None, typer.Option("--max-runs", metavar="N", help="End after so many runs.")] = None,
    overlap: Annotated[
        _Overlap, typer.Option("--overlap", help="While its last run has not ended: skip, queue, allow.")
    ] = _Overlap.SKIP,
    misfire: Annotated[
        _Misfire, typer.Option("--misfire", help="What was missed while nothing ran: run_once, skip.")
    ] = _Misfire.RUN_ONCE,
    grace: Annotated[str, typer.Option("--grace", metavar="SPAN", help="Noticed later than this is missed.")] = "60s",
    jitter: Annotated[str, typer.Option("--jitter", metavar="SPAN", help="Start up to so much later.")] = "0s",
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="For it and its runs.")] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    notify: Annotated[
        list[str] | None, typer.Option("--notify", metavar="URL", help="A webhook, or a URL of Apprise.")
    ] = None,
    on: Annotated[list[_On] | None, typer.Option("--on", help="When to notify: failure, recovery, always.")] = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", envvar="ATM_WEBHOOK_SECRET", metavar="KEY", help="What webhooks are signed with."),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Make it, and let it wait.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the one of this name; its history stays.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Make a schedule of a spec, or of a test that the server keeps.

    It is due at --cron, --every or --at. When clocks are put forward or back it is still due once, and every quarter of
    an hour every quarter of an hour.
    """
    document = _document(name, spec)
    channels = [_channel(url, secret, on or [_On.FAILURE, _On.RECOVERY]) for url in notify or ()]
    asked = {
        "name": name,
        "description": description,
        "trigger": _trigger(cron, every, at, zone),
        "spec": document and _plain(document),
        "test": test,
        "enabled": not paused,
        "max_runs": max_runs,
        "tags": tag or [],
        "overlap": overlap.value,
        "misfire": misfire.value,
        "misfire_grace_seconds": _seconds(grace, "--grace"),
        "jitter_seconds": _seconds(jitter, "--jitter"),
        "start_date": _moment(start, "--start"),
        "end_date": _moment(end, "--end"),
        "notify": channels,
    }

    async def question(client: ControlClient) -> ScheduleView:
        request = _request(asked)
        if replace:
            from atm.errors import NotFoundError

            try:
                return await client.schedules.replace(name, request)
            except NotFoundError:
                pass  # there is none yet
        return await client.schedules.create(request)

    try:
        made = _asked(server, question)
    except SpecError as error:
        raise _with_lines(error, document) from error
    return _shown(made, Output.of(color, json=json))


@app.command("list", cls=PlainCommand)
def list_schedules(
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List the schedules by name: what became of the last due time, and when the next one comes."""
    from atm.cli.schedules import schedule_lines

    found = _asked(server, lambda client: client.schedules.all())
    output = Output.of(color, json=json)
    if json:
        output.document(found.model_dump(mode="json"))
    elif not found.schedules:
        hint = "`atm schedule add nightly shop.yaml --cron '30 2 * * *'`"
        output.out.lines([output.out.paper.line("there is no schedule yet: ").hint(hint)])
    else:
        output.out.lines(schedule_lines(found.schedules, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


@app.command("show", cls=PlainCommand)
def show(
    name: Named,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Show everything about a schedule."""
    return _shown(_asked(server, lambda client: client.schedules.get(name)), Output.of(color, json=json))


@app.command("pause", cls=PlainCommand)
def pause(
    name: Named,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Pause a schedule; a run that has started goes on."""
    return _shown(_asked(server, lambda client: client.schedules.pause(name)), Output.of(color, json=json))


@app.command("resume", cls=PlainCommand)
def resume(
    name: Named,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Let a schedule go on from now; what it was due at meanwhile is not made up for."""
    return _shown(_asked(server, lambda client: client.schedules.resume(name)), Output.of(color, json=json))


@app.command("rm", cls=PlainCommand)
def rm(
    name: Named,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Delete a schedule with its firings and deliveries; its runs stay."""
    _asked(server, lambda client: client.schedules.delete(name))
    output = Output.of(color, json=json)
    if json:
        output.document({"deleted": name})
    else:
        output.out.lines([output.out.paper.line(f"deleted the schedule {name}")])
    return ExitCode.PASSED


@app.command("firings", cls=PlainCommand)
def firings(
    name: Named,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", help=f"Show so many, at most {MOST}.")] = 20,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List what became of its due times, newest first."""
    from atm.cli.schedules import firing_lines

    _check_limit(limit)
    found = _asked(server, lambda client: client.schedules.firings(name, limit=limit))
    output = Output.of(color, json=json)
    if json:
        output.document(found.model_dump(mode="json"))
    elif not found.firings:
        output.out.lines([output.out.paper.line("nothing was due yet")])
    else:
        output.out.lines(firing_lines(found.firings, output.out.paper))
    return ExitCode.PASSED


@app.command("deliveries", cls=PlainCommand)
def deliveries(
    name: Named,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", help=f"Show so many, at most {MOST}.")] = 20,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """List its notifications and whether they arrived, newest first."""
    from atm.cli.schedules import delivery_lines

    _check_limit(limit)
    found = _asked(server, lambda client: client.schedules.deliveries(name, limit=limit))
    output = Output.of(color, json=json)
    if json:
        output.document(found.model_dump(mode="json"))
    elif not found.deliveries:
        output.out.lines([output.out.paper.line("nobody was notified yet")])
    else:
        output.out.lines(delivery_lines(found.deliveries, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


@app.command("preview", cls=PlainCommand)
def preview(
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: ZoneOption = "UTC",
    start: Start = None,
    end: End = None,
    count: Annotated[int, typer.Option("-n", "--count", metavar="N", help="Say so many, at most 50.")] = 5,
    server: Server = DEFAULT_SERVER,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Say when a schedule would be due, without making one."""
    from atm.cli.schedules import ahead, moment
    from atm.models.schedule import PreviewRequest

    asked = {
        "trigger": _trigger(cron, every, at, zone),
        "start_date": _moment(start, "--start"),
        "end_date": _moment(end, "--end"),
        "count": count,
    }
    answer = _asked(server, lambda client: client.schedules.preview(_read(PreviewRequest, asked)))
    output = Output.of(color, json=json)
    paper, now = output.out.paper, datetime.now(UTC)
    if json:
        output.document(answer.model_dump(mode="json"))
    else:
        lines = [paper.line(f" {answer.describes}")]
        lines += [paper.line(f" {moment(each)}").right(ahead(each, now), 40) for each in answer.upcoming]
        output.out.lines(lines if answer.upcoming else [*lines, paper.line(" never")])
    return ExitCode.PASSED


def _shown(schedule: ScheduleView, output: Output) -> int:
    from atm.cli.schedules import one_lines

    if output.json:
        output.document(schedule.model_dump(mode="json"))
    else:
        output.out.lines(one_lines(schedule, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


def _asked(server: str, question: Callable[[ControlClient], Awaitable[_Answer]]) -> _Answer:
    """Ask the server one thing. Raises what `ControlClient` raises."""
    import asyncio

    from atm.client import ControlClient
    from atm.config import load_settings

    key = load_settings().key_for(server)

    async def ask() -> _Answer:
        async with ControlClient(server, key) as client:
            return await question(client)

    return asyncio.run(ask())


def _trigger(cron: str | None, every: str | None, at: str | None, zone: str) -> dict[str, Any]:
    """The trigger that is meant. Raises SpecError."""
    given = [each for each in (cron, every, at) if each is not None]
    if len(given) != 1:
        what = "a schedule is due at one of --cron, --every and --at"
        hint = "`--cron '30 2 * * *' --zone Europe/Berlin`, `--every 6h`, `--at 2026-12-01T02:30`"
        raise SpecError(Problem(what, "usage", hint=hint))
    if cron is not None:
        return {"type": "cron", "expression": cron, "timezone": zone}
    if every is not None:
        return {"type": "interval", "seconds": _seconds(every, "--every")}
    assert at is not None
    return {"type": "date", "run_date": _time(at, "--at").isoformat(), "timezone": zone}


def _seconds(text: str, option: str) -> int:
    from atm.models.duration import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise SpecError(Problem(f"{option}: {error}", "bad_value", path=option)) from error
    if seconds != int(seconds):
        raise SpecError(Problem(f"{option}: {text} is no whole number of seconds", "bad_value", path=option))
    return int(seconds)


def _time(text: str, option: str) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "For example 2026-12-01T02:30 or 2026-12-01T02:30Z"
        raise SpecError(Problem(f"{option} {text!r} is no time", "bad_value", path=option, hint=hint)) from None


def _moment(text: str | None, option: str) -> str | None:
    """A time of ISO 8601, here where it names no zone."""
    if text is None:
        return None
    at = _time(text, option)
    return (at.astimezone() if at.tzinfo is None else at).isoformat()


def _channel(url: str, secret: str | None, on: list[_On]) -> dict[str, Any]:
    wanted = [each.value for each in on]
    if url.lower().startswith(("http://", "https://")):
        return {"type": "webhook", "url": url, "secret": secret, "on": wanted}
    return {"type": "apprise", "url": url, "on": wanted}


def _document(name: str, source: str | None) -> SpecDocument | None:
    """The spec as it was written, with the places of its fields. Raises SpecError where it cannot be read."""
    from atm.cli.specs import is_url, read_source
    from atm.plan.document import SpecDocument

    if source is None:
        return None
    return SpecDocument({"name": name, "url": source}) if is_url(source) else read_source(source)


def _plain(document: SpecDocument) -> dict[str, Any]:
    from atm.cli.remote_run import plain_spec

    return plain_spec(document)


def _with_lines(error: SpecError, document: SpecDocument | None) -> SpecError:
    """What the server found in the spec, with the lines of the file; what it found in the options as it is."""
    from atm.cli.remote_run import placed

    if document is None:
        return error
    return SpecError([placed(each, document) if each.path.startswith("spec") else each for each in error.problems])


def _request(asked: dict[str, Any]) -> Any:
    from atm.models.schedule import ScheduleRequest

    return _read(ScheduleRequest, asked)


def _read(kind: Any, asked: dict[str, Any]) -> Any:
    """Read it here, so that what makes no sense is told in the words of the options. Raises SpecError."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(asked)
    except ValidationError as error:
        problems = []
        for each in error.errors():
            what = str(each["msg"]).removeprefix("Value error, ")
            problems.append(Problem(what[:1].lower() + what[1:], "bad_value", path=".".join(map(str, each["loc"]))))
        raise SpecError(problems) from error


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST:
        raise SpecError(Problem(f"--limit must be 1 to {MOST}, not {limit}", "bad_value", path="--limit"))
