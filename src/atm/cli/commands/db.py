"""`atm db`: upgrade, inspect and prune the storage of this machine."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from atm.cli.option_values import Commands
from atm.cli.options import OutputOptions
from atm.cli.storage import change_storage, on_storage
from atm.cli.text import Style
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

app = Commands()


@app.callback()
def _db() -> None:
    """Manage the storage of this machine: upgrade, status, prune."""


@app.command("upgrade")
def upgrade(output: OutputOptions) -> int:
    """Upgrade the schema of the storage to this version.

    The embedded database is upgraded when it is opened; a PostgreSQL server only by this command. The upgrade is atomic
    and safe to repeat.
    """
    from atm.config import load_settings
    from atm.storage import upgrade_storage

    revision = asyncio.run(upgrade_storage(load_settings()))
    if output.json:
        output.document({"revision": revision})
    else:
        output.out.lines([output.out.paper.line(f"the storage has revision {revision}")])
    return ExitCode.PASSED


@app.command("status")
def status(output: OutputOptions) -> int:
    """Print kind, location, size and contents of the storage."""
    from atm.models.figures import count, size

    current = on_storage(lambda storage: storage.upkeep.status())
    if output.json:
        document = {"kind": current.kind, "location": current.location, "schema_version": current.schema_version}
        output.document({**document, "size_bytes": current.size_bytes, "runs": dict(current.runs)})
        return ExitCode.PASSED
    paper = output.out.paper
    counts = [f"{count(number)} {_STATES.get(name, name)}" for name, number in current.runs.items() if number]
    facts = [
        ("storage", current.kind),
        ("place", current.location),
        ("revision", current.schema_version),
        ("size", size(current.size_bytes)),
        ("runs", ", ".join(counts) or "none yet"),
    ]
    output.out.lines(paper.line(f" {label}", Style.DIM).to(11).add(fact) for label, fact in facts)
    return ExitCode.PASSED


_STATES = {"pending": "queued", "failed": "ended in an error"}
"""Statuses whose words differ from the outcomes that people read: a failed run is one that failed a threshold."""


@app.command("prune")
def prune(
    runs: Annotated[
        str | None, typer.Option("--runs", metavar="SPAN", help="Delete runs that ended longer ago than this: 90d.")
    ] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", help="Delete the oldest runs beyond this number.")
    ] = None,
    seconds: Annotated[
        str | None,
        typer.Option("--seconds", metavar="SPAN", help="Thin the timeline of older runs from 1 s to 10 s intervals."),
    ] = None,
    samples: Annotated[
        str | None, typer.Option("--samples", metavar="SPAN", help="Delete the sampled requests of older runs.")
    ] = None,
    firings: Annotated[
        str | None,
        typer.Option("--firings", metavar="SPAN", help="Delete firings of schedules that were due longer ago."),
    ] = None,
    audit: Annotated[
        str | None,
        typer.Option(
            "--audit", metavar="SPAN", help="Delete older entries of the audit log; the last day always stays."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be deleted without deleting it.")
    ] = False,
    *,
    output: OutputOptions,
) -> int:
    """Delete data beyond the retention limits.

    The limits are the settings ATM_RETENTION_RUNS, _COUNT, _SECONDS, _SAMPLES, _FIRINGS and _AUDIT; an option overrides
    its setting. Runs in progress and the newest firings of each schedule are never deleted.
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
        what = "no retention limit is set"
        raise SpecError(
            Problem(what, "no_policy", path="atm db prune", hint="For example `--runs 90d`, or `--keep 1000`")
        )
    if dry_run:
        report = on_storage(lambda storage: storage.upkeep.prune(policy, datetime.now(UTC), dry_run=True))
    else:
        report = change_storage(
            lambda storage: storage.upkeep.prune(policy, datetime.now(UTC)),
            "storage.prune",
            lambda pruned: ("", f"{len(pruned.runs)} runs, {pruned.firings} firings, {pruned.audit} audit entries"),
        )
    if output.json:
        runs_by_change = {"runs": list(report.runs), "seconds": list(report.seconds), "samples": list(report.samples)}
        output.document({"dry_run": dry_run, **runs_by_change, "firings": report.firings, "audit": report.audit})
        return ExitCode.PASSED
    paper = output.out.paper
    would = "would be " if dry_run else ""
    facts = (
        (len(report.runs), "run", "deleted"),
        (len(report.seconds), "run", "thinned to 10 s"),
        (len(report.samples), "run", "stripped of sampled requests"),
        (report.firings, "firing", "deleted"),
        (report.audit, "audit entry", "deleted"),
    )
    output.out.lines(
        paper.line(f" {number:>6,}").add(f" {noun}{'' if number == 1 else 's'} {would}{what}")
        for number, noun, what in facts
    )
    return ExitCode.PASSED


def span(text: str | None, option: str) -> timedelta | None:
    """Parse `90d`, `12h`, `30m` or `45s`; None for None. Raises SpecError."""
    from atm.config import read_span

    if text is None:
        return None
    try:
        return read_span(text)
    except ValueError:
        what = f"{option}: {text!r} is not a time span"
        raise SpecError(Problem(what, "bad_value", path=option, hint="For example 90d, 12h or 30m")) from None
