"""`atm list`: the runs of the history, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import OutputOptions, ServerOption
from atm.cli.text import Line, Paper, Style
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode
from atm.models.outcome import Measurement, RunOutcome, RunStatus

if TYPE_CHECKING:
    from atm.cli.run_list import ListedRun

MOST = 200


def command(
    limit: Annotated[int, typer.Option("-n", "--limit", metavar="N", help=f"Show N runs, at most {MOST}.")] = 20,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Only runs with exactly this name.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Only runs with this tag.")] = None,
    status: Annotated[RunStatus | None, typer.Option("--status", help="Only runs with this status.")] = None,
    outcome: Annotated[RunOutcome | None, typer.Option("--outcome", help="Only runs with this outcome.")] = None,
    passed: Annotated[
        bool | None, typer.Option("--passed/--failed", help="Only runs that passed, or that failed.")
    ] = None,
    measurement: Annotated[
        Measurement | None, typer.Option("--measurement", help="Only runs with this measurement verdict.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only runs since then: 2h, 7d, 2026-05-01.")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Only runs with this text in name or URL.")
    ] = None,
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """List the runs of the history, newest first.

    The sign is the outcome: ✓ passed, ! passed with a suspect measurement, or invalid, ✗ failed or error, ■ stopped or
    cancelled. All filters apply together.
    """
    from atm.cli.history import Filters, with_history

    now = datetime.now(UTC)
    if not 1 <= limit <= MOST:
        what = f"--limit must be 1 to {MOST}, not {limit}"
        raise SpecError(Problem(what, "bad_value", path="--limit", hint="`--since` and `--name` narrow the list"))
    filters = Filters(
        limit=limit,
        name=name,
        tag=tag,
        status=status.value if status else None,
        passed=passed,
        outcome=outcome,
        measurement=measurement,
        since=moment(since, now, "--since") if since else None,
        text=text,
    )
    narrowed = filters != Filters(limit=limit)
    if not output.json and not narrowed:
        from atm.cli.history.sqlite_file import read

        newest = read(server, lambda reader: reader.newest(limit))
        if newest is not None and newest[0]:
            output.out.lines(_listed(*newest, output.out.paper, now))
            return ExitCode.PASSED
    page = with_history(server, lambda history: history.page(filters))
    paper = output.out.paper
    if output.json:
        output.document(page.model_dump(mode="json"))
    elif not page.runs:
        hint = "try fewer filters" if narrowed else "`atm demo` creates one"
        output.out.lines([paper.line("no run matches: " if narrowed else "no runs yet: ").hint(hint)])
    else:
        output.out.lines(_listed(page.runs, page.total, paper, now))
    return ExitCode.PASSED


def _listed(runs: Sequence[ListedRun], total: int | None, paper: Paper, now: datetime) -> list[Line]:
    from atm.cli.run_list import run_lines

    lines = run_lines(runs, paper, now)
    if total is not None and total > len(runs):
        lines.append(paper.line(f"   {total - len(runs):,} more", Style.DIM))
    return lines


def moment(text: str, now: datetime, option: str) -> datetime:
    """Parse a point in time: `7d` ago, or an ISO 8601 date or time, local without a zone. Raises SpecError."""
    import re
    from datetime import timedelta

    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text.strip()):
        return now - timedelta(**{units[ago[2]]: int(ago[1])})
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        what = f"{option}: {text!r} is neither a time span nor a time"
        raise SpecError(Problem(what, "bad_value", path=option, hint="For example 2h, 7d or 2026-05-01")) from None
    return at.astimezone() if at.tzinfo is None else at
