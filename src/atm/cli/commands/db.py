"""`atm db`: the storage of this machine: its schema, its size, what is pruned."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.cli.parsing import PlainCommand, PlainGroup
from atm.cli.storage import change_storage, on_storage
from atm.cli.text import Style
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    pass

app = typer.Typer(cls=PlainGroup, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def _db() -> None:
    """Look after the storage of this machine: upgrade, status, prune."""


@app.command("upgrade", cls=PlainCommand)
def upgrade(json: JsonOption = False, color: ColorOption = Color.AUTO, debug: DebugOption = False) -> int:  # noqa: ARG001
    """Bring the storage to what this version reads.

    The embedded database upgrades itself when it is opened; a PostgreSQL server is upgraded by this command only. It
    is all or nothing, and safe to repeat.
    """
    from atm.config import load_settings
    from atm.storage import upgrade_storage

    revision = asyncio.run(upgrade_storage(load_settings()))
    output = Output.of(color, json=json)
    if json:
        output.document({"revision": revision})
    else:
        output.out.lines([output.out.paper.line(f"the storage has revision {revision}")])
    return ExitCode.PASSED


@app.command("status", cls=PlainCommand)
def status(json: JsonOption = False, color: ColorOption = Color.AUTO, debug: DebugOption = False) -> int:  # noqa: ARG001
    """Say which storage this is, and what is in it."""
    from atm.models.figures import count, size

    found = on_storage(lambda storage: storage.upkeep.status())
    output = Output.of(color, json=json)
    if json:
        document = {"kind": found.kind, "location": found.location, "schema_version": found.schema_version}
        output.document({**document, "size_bytes": found.size_bytes, "runs": dict(found.runs)})
        return ExitCode.PASSED
    paper = output.out.paper
    runs = ", ".join(f"{count(number)} {name}" for name, number in found.runs.items() if number) or "none yet"
    facts = [
        ("storage", found.kind),
        ("place", found.location),
        ("revision", found.schema_version),
        ("size", size(found.size_bytes)),
        ("runs", runs),
    ]
    output.out.lines(paper.line(f" {label}", Style.DIM).to(11).add(fact) for label, fact in facts)
    return ExitCode.PASSED


@app.command("prune", cls=PlainCommand)
def prune(
    runs: Annotated[
        str | None, typer.Option("--runs", metavar="SPAN", help="Delete runs that ended longer ago: 90d.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", help="Of more runs than this delete the oldest.")
    ] = None,
    seconds: Annotated[
        str | None, typer.Option("--seconds", metavar="SPAN", help="Of older runs keep 10 s and more, not each second.")
    ] = None,
    samples: Annotated[
        str | None, typer.Option("--samples", metavar="SPAN", help="Of older runs delete the kept requests.")
    ] = None,
    firings: Annotated[
        str | None, typer.Option("--firings", metavar="SPAN", help="Of schedules delete what was due longer ago.")
    ] = None,
    audit: Annotated[
        str | None, typer.Option("--audit", metavar="SPAN", help="Delete older entries of the audit log; a day stays.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be deleted, and delete nothing.")] = False,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Delete what is not to be kept any longer.

    Without options by the settings ATM_RETENTION_RUNS, _COUNT, _SECONDS, _SAMPLES, _FIRINGS and _AUDIT; an option
    stands in for its setting. Runs that go on are never touched, and the newest firings of each schedule stay.
    """
    from atm.config import load_settings
    from atm.storage.upkeep import RetentionPolicy

    settings = load_settings()
    if keep is not None and keep < 1:
        raise SpecError(Problem(f"--keep must be 1 or more, not {keep}", "bad_value", path="--keep"))
    policy = RetentionPolicy(
        runs_for=span(runs, "--runs") or settings.retention_runs,
        runs_at_most=keep or settings.retention_count,
        seconds_for=span(seconds, "--seconds") or settings.retention_seconds,
        samples_for=span(samples, "--samples") or settings.retention_samples,
        firings_for=span(firings, "--firings") or settings.retention_firings,
        audit_for=span(audit, "--audit") or settings.retention_audit,
    )
    if policy == RetentionPolicy():
        what = "nothing says what is not to be kept any longer"
        raise SpecError(
            Problem(what, "no_policy", path="atm db prune", hint="For example `--runs 90d`, or `--keep 1000`")
        )
    if dry_run:
        report = on_storage(lambda storage: storage.upkeep.prune(policy, datetime.now(UTC), dry_run=True))
    else:
        report = change_storage(
            lambda storage: storage.upkeep.prune(policy, datetime.now(UTC)),
            "storage.prune",
            lambda made: ("", f"{len(made.runs)} runs, {made.firings} firings, {made.audit} audit entries"),
        )
    output = Output.of(color, json=json)
    if json:
        found = {"runs": list(report.runs), "seconds": list(report.seconds), "samples": list(report.samples)}
        output.document({"dry_run": dry_run, **found, "firings": report.firings, "audit": report.audit})
        return ExitCode.PASSED
    paper = output.out.paper
    would = "would be " if dry_run else ""
    facts = (
        (len(report.runs), "run", "deleted"),
        (len(report.seconds), "run", "thinned to 10 s"),
        (len(report.samples), "run", "rid of kept requests"),
        (report.firings, "firing", "deleted"),
        (report.audit, "audit entry", "deleted"),
    )
    output.out.lines(
        paper.line(f" {number:>6,}").add(f" {noun}{'' if number == 1 else 's'} {would}{what}")
        for number, noun, what in facts
    )
    return ExitCode.PASSED


def span(text: str | None, option: str) -> timedelta | None:
    """`90d`, `12h`, `30m`, `45s`; None for None. Raises SpecError."""
    from atm.config import read_span

    if text is None:
        return None
    try:
        return read_span(text)
    except ValueError:
        what = f"{option} {text!r} is no span"
        raise SpecError(Problem(what, "bad_value", path=option, hint="For example 90d, 12h or 30m")) from None
