"""`atm schedule`: manage schedules over a server's Control API."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.option_values import Commands
from atm.cli.options import OutputOptions
from atm.cli.output import Output
from atm.cli.schedule_fields import channel_of, moment_of, seconds_of, trigger_of, validated
from atm.cli.server_client import DEFAULT_SERVER, on_server, server_option
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.client import ControlClient
    from atm.models.schedule import ScheduleView
    from atm.plan.document import SpecDocument

MOST = 200
app = Commands()


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


Server = Annotated[str, server_option("Server that holds the schedules.")]
Named = Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the schedule.")]
Cron = Annotated[
    str | None,
    typer.Option(
        "--cron", metavar="FIELDS", help="Run at these times: minute hour day month weekday, as in a crontab."
    ),
]
Every = Annotated[str | None, typer.Option("--every", metavar="SPAN", help="Run at this interval: 15m, 6h, 1d.")]
At = Annotated[str | None, typer.Option("--at", metavar="TIME", help="Run once at this time: 2026-12-01T02:30.")]
ZoneOption = Annotated[str, typer.Option("--zone", metavar="ZONE", help="Time zone of --cron and --at.")]
Start = Annotated[str | None, typer.Option("--start", metavar="TIME", help="First possible due time.")]
End = Annotated[str | None, typer.Option("--end", metavar="TIME", help="Last possible due time.")]


@app.callback()
def _schedule() -> None:
    """Manage schedules: tests that a server runs by cron, interval or date, with notifications."""


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the schedule.")],
    spec: Annotated[
        str | None, typer.Argument(metavar="[SPEC]", help="A spec file, a URL to GET, or - for stdin.")
    ] = None,
    test: Annotated[
        str | None, typer.Option("--test", metavar="TEST", help="Run a test stored on the server instead.")
    ] = None,
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: ZoneOption = "UTC",
    start: Start = None,
    end: End = None,
    max_runs: Annotated[
        int | None, typer.Option("--max-runs", metavar="N", help="End the schedule after N runs.")
    ] = None,
    overlap: Annotated[
        _Overlap, typer.Option("--overlap", help="If its last run has not ended: skip, queue or allow.")
    ] = _Overlap.SKIP,
    misfire: Annotated[
        _Misfire, typer.Option("--misfire", help="After missed due times: run_once or skip.")
    ] = _Misfire.RUN_ONCE,
    grace: Annotated[
        str, typer.Option("--grace", metavar="SPAN", help="Firings later than this count as missed.")
    ] = "60s",
    jitter: Annotated[
        str, typer.Option("--jitter", metavar="SPAN", help="Delay each start randomly by up to this.")
    ] = "0s",
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Tag of the schedule and its runs; repeatable.")
    ] = None,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="Description of the schedule.")
    ] = "",
    notify: Annotated[
        list[str] | None, typer.Option("--notify", metavar="URL", help="Webhook or Apprise URL to notify; repeatable.")
    ] = None,
    on: Annotated[
        list[_On] | None, typer.Option("--on", help="Event to notify of: failure, recovery or always; repeatable.")
    ] = None,
    secret: Annotated[
        str | None,
        typer.Option("--secret", envvar="ATM_WEBHOOK_SECRET", metavar="KEY", help="Key that signs webhooks."),
    ] = None,
    paused: Annotated[bool, typer.Option("--paused", help="Create it paused.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a schedule of the same name; its history stays.")
    ] = False,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Create a schedule for a spec or for a test stored on the server.

    Give one of --cron, --every and --at. On days when the clocks change, a daily cron time still fires once and `*/15`
    still fires every 15 minutes.
    """
    document = _document(name, spec)
    events = [event.value for event in on or (_On.FAILURE, _On.RECOVERY)]
    channels = [channel_of(url, secret, events) for url in notify or ()]
    fields = {
        "name": name,
        "description": description,
        "trigger": trigger_of(cron, every, at, zone),
        "spec": document and _plain(document),
        "test": test,
        "enabled": not paused,
        "max_runs": max_runs,
        "tags": tag or [],
        "overlap": overlap.value,
        "misfire": misfire.value,
        "misfire_grace_seconds": seconds_of(grace, "--grace"),
        "jitter_seconds": seconds_of(jitter, "--jitter"),
        "start_date": moment_of(start, "--start"),
        "end_date": moment_of(end, "--end"),
        "notify": channels,
    }

    async def add_schedule(client: ControlClient) -> ScheduleView:
        request = _request(fields)
        if replace:
            from atm.errors import NotFoundError

            try:
                return await client.schedules.replace(name, request)
            except NotFoundError:
                pass  # It does not exist yet.
        return await client.schedules.create(request)

    try:
        schedule = on_server(server, add_schedule)
    except SpecError as error:
        raise _with_lines(error, document) from error
    return _show(schedule, output)


@app.command("list")
def list_schedules(
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """List the schedules by name, with the outcome of the last firing and the next due time."""
    from atm.cli.schedules import schedule_lines

    response = on_server(server, lambda client: client.schedules.all())
    if output.json:
        output.document(response.model_dump(mode="json"))
    elif not response.schedules:
        hint = "`atm schedule add nightly shop.yaml --cron '30 2 * * *'`"
        output.out.lines([output.out.paper.line("no schedules yet: ").hint(hint)])
    else:
        output.out.lines(schedule_lines(response.schedules, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


@app.command("show")
def show(
    name: Named,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Show a schedule in full."""
    return _show(on_server(server, lambda client: client.schedules.get(name)), output)


@app.command("pause")
def pause(
    name: Named,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Pause a schedule. A run in progress continues."""
    return _show(on_server(server, lambda client: client.schedules.pause(name)), output)


@app.command("resume")
def resume(
    name: Named,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Resume a schedule from now. Due times that passed while it was paused are not caught up."""
    return _show(on_server(server, lambda client: client.schedules.resume(name)), output)


@app.command("rm")
def rm(
    name: Named,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Delete a schedule with its firings and deliveries. Its runs stay."""
    on_server(server, lambda client: client.schedules.delete(name))
    if output.json:
        output.document({"deleted": name})
    else:
        output.out.lines([output.out.paper.line(f"deleted schedule {name}")])
    return ExitCode.PASSED


@app.command("firings")
def firings(
    name: Named,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", help=f"Show N entries, at most {MOST}.")] = 20,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """List the firings of a schedule and their outcomes, newest first."""
    from atm.cli.schedules import firing_lines

    _check_limit(limit)
    response = on_server(server, lambda client: client.schedules.firings(name, limit=limit))
    if output.json:
        output.document(response.model_dump(mode="json"))
    elif not response.firings:
        output.out.lines([output.out.paper.line("no firings yet")])
    else:
        output.out.lines(firing_lines(response.firings, output.out.paper))
    return ExitCode.PASSED


@app.command("deliveries")
def deliveries(
    name: Named,
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", help=f"Show N entries, at most {MOST}.")] = 20,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """List the notifications of a schedule and their delivery status, newest first."""
    from atm.cli.schedules import delivery_lines

    _check_limit(limit)
    response = on_server(server, lambda client: client.schedules.deliveries(name, limit=limit))
    if output.json:
        output.document(response.model_dump(mode="json"))
    elif not response.deliveries:
        output.out.lines([output.out.paper.line("no notifications yet")])
    else:
        output.out.lines(delivery_lines(response.deliveries, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


@app.command("preview")
def preview_times(
    cron: Cron = None,
    every: Every = None,
    at: At = None,
    zone: ZoneOption = "UTC",
    start: Start = None,
    end: End = None,
    count: Annotated[int, typer.Option("-n", "--count", metavar="N", help="Print N due times, at most 50.")] = 5,
    server: Server = DEFAULT_SERVER,
    *,
    output: OutputOptions,
) -> int:
    """Print when a schedule would be due, without creating it."""
    from atm.cli.schedules import ahead, moment
    from atm.models.schedule import PreviewRequest

    fields = {
        "trigger": trigger_of(cron, every, at, zone),
        "start_date": moment_of(start, "--start"),
        "end_date": moment_of(end, "--end"),
        "count": count,
    }
    preview = on_server(server, lambda client: client.schedules.preview(validated(PreviewRequest, fields)))
    paper, now = output.out.paper, datetime.now(UTC)
    if output.json:
        output.document(preview.model_dump(mode="json"))
    else:
        lines = [paper.line(f" {preview.describes}")]
        lines += [paper.line(f" {moment(due)}").right(ahead(due, now), 40) for due in preview.upcoming]
        output.out.lines(lines if preview.upcoming else [*lines, paper.line(" never")])
    return ExitCode.PASSED


def _show(schedule: ScheduleView, output: Output) -> int:
    from atm.cli.schedules import one_lines

    if output.json:
        output.document(schedule.model_dump(mode="json"))
    else:
        output.out.lines(one_lines(schedule, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


def _document(name: str, source: str | None) -> SpecDocument | None:
    """Read the spec, with the line of each field. Raises SpecError where it cannot be read."""
    from atm.cli.specs import is_url, read_source
    from atm.plan.document import SpecDocument

    if source is None:
        return None
    return SpecDocument({"name": name, "url": source}) if is_url(source) else read_source(source)


def _plain(document: SpecDocument) -> dict[str, Any]:
    from atm.cli.remote_run import plain_spec

    return plain_spec(document)


def _with_lines(error: SpecError, document: SpecDocument | None) -> SpecError:
    """Add the line of the file to each problem that the server found in the spec."""
    from atm.cli.remote_run import with_place

    if document is None:
        return error
    return SpecError(
        [with_place(problem, document) if problem.path.startswith("spec") else problem for problem in error.problems]
    )


def _request(fields: dict[str, Any]) -> Any:
    from atm.models.schedule import ScheduleRequest

    return validated(ScheduleRequest, fields)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MOST:
        raise SpecError(Problem(f"--limit must be 1 to {MOST}, not {limit}", "bad_value", path="--limit"))
