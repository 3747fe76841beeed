"""`atm export`: a run as one file."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from atm.cli.commands.show import RunArgument
from atm.cli.options import ColorOption, DebugOption, JsonOption
from atm.cli.output import Color, Output
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode


def command(
    run: RunArgument,
    file: Annotated[str | None, typer.Option("-o", "--output", metavar="FILE", help="Default: atm-RUN.atm")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Write a run of this machine's history to one file, with its seconds and samples and without credentials.

    `atm import` reads it, on this machine or another one.
    """
    output = Output.of(color, json=json)
    if file is not None:
        _check_free(Path(file), force)
    path = asyncio.run(_export(run, file, force))
    if json:
        output.document({"file": str(path), "bytes": path.stat().st_size})
    else:
        output.out.lines([output.out.paper.line(f" wrote {path}")])
    return ExitCode.PASSED


def _check_free(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise SpecError(Problem(f"{path} is there already", "file_exists", path="--output", hint="--force overwrites"))


async def _export(start: str, file: str | None, force: bool) -> Path:
    from atm.cli.door import find_run
    from atm.cli.local import LocalDoor
    from atm.config import load_settings
    from atm.storage import open_storage
    from atm.storage.bundle import export_run

    settings = load_settings()
    storage = await open_storage(settings)
    try:
        run_id = await find_run(LocalDoor(storage, settings), start)
        path = Path(file or f"atm-{run_id}.atm")
        await asyncio.to_thread(_check_free, path, force)
        unfinished = path.with_name(f".{path.name}.part")
        try:
            with unfinished.open("wb") as opened:
                await export_run(storage, run_id, opened)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    finally:
        await storage.close()
    return path
