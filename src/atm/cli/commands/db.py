"""`atm db`: the storage itself."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.models.exit_code import ExitCode


class Action(StrEnum):
    """What is to be done."""

    STATUS = "status"
    UPGRADE = "upgrade"
    PRUNE = "prune"


def command(
    action: Annotated[Action, typer.Argument(metavar="ACTION", help="status, upgrade or prune.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="prune: only say what would be removed.")] = False,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Say what the storage is, bring it up to date, or remove what the retention settings do not keep.

    A PostgreSQL database is upgraded by `atm db upgrade` only; SQLite and JSON files upgrade themselves. What `prune`
    removes is set by ATM_RETENTION_RUNS, _COUNT, _SECONDS and _SAMPLES.
    """
    output = Output.of(color, json=json)
    document = asyncio.run(_ACTIONS[action](dry_run))
    if json:
        output.document(document)
    else:
        output.out.lines(
            output.out.paper.line(f" {name.replace('_', ' ')}: {_text(value)}") for name, value in document.items()
        )
    return ExitCode.PASSED


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {name}" for name, count in value.items())
    return f"{len(value)}" if isinstance(value, list | tuple) else str(value)


async def _status(_dry_run: bool) -> dict[str, Any]:
    from atm.config import load_settings
    from atm.storage import open_storage

    storage = await open_storage(load_settings())
    try:
        status = asdict(await storage.upkeep.status())
    finally:
        await storage.close()
    return {**status, "runs": {name.value: count for name, count in status["runs"].items()}}


async def _upgrade(_dry_run: bool) -> dict[str, Any]:
    from atm.config import load_settings
    from atm.storage import upgrade_storage

    return {"revision": await upgrade_storage(load_settings())}


async def _prune(dry_run: bool) -> dict[str, Any]:
    from datetime import UTC, datetime

    from atm.config import load_settings
    from atm.storage import open_storage
    from atm.storage.records import RetentionPolicy

    settings = load_settings()
    policy = RetentionPolicy(
        runs_for=settings.retention_runs,
        runs_at_most=settings.retention_count,
        seconds_for=settings.retention_seconds,
        samples_for=settings.retention_samples,
    )
    storage = await open_storage(settings)
    try:
        report = await storage.upkeep.prune(policy, datetime.now(UTC), dry_run=dry_run)
    finally:
        await storage.close()
    return {name: list(ids) for name, ids in asdict(report).items()}


_ACTIONS = {Action.STATUS: _status, Action.UPGRADE: _upgrade, Action.PRUNE: _prune}
