"""`atm import`: a run from a file into the history."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `atm export` wrote.")],
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Put a run that `atm export` wrote into this machine's history."""
    output = Output.of(color, json=json)
    run_id = asyncio.run(_import(file))
    if json:
        output.document({"run": run_id})
    else:
        output.out.lines([output.out.paper.line(f" imported {run_id}: ").hint(f"`atm show {run_id[:6]}`")])
    return ExitCode.PASSED


async def _import(file: str) -> str:
    from atm.config import load_settings
    from atm.storage import open_storage
    from atm.storage.bundle import import_run

    storage = await open_storage(load_settings())
    try:
        with Path(file).open("rb") as opened:  # noqa: ASYNC230 (one file, and nothing else goes on here)
            imported = await import_run(storage, opened, place=file)
    except OSError as error:
        raise SpecError(Problem(f"cannot read {file}: {error.strerror}", "unreadable_file", path="FILE")) from error
    finally:
        await storage.close()
    return imported.id
