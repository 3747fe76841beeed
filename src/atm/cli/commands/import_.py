"""`atm import`: read a run from a file that `atm export` wrote."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from atm.cli.options import OutputOptions, ServerOption
from atm.cli.text import short_id
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file from `atm export`; - for stdin.")],
    new_id: Annotated[
        bool, typer.Option("--new-id", help="Store it under a new id, for when its own is already taken.")
    ] = False,
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Import an exported run into the history.

    The file is validated first, then stored atomically.
    """
    from atm.cli.history import with_history
    from atm.engine.executor import new_run_id

    run_id = new_run_id() if new_id else None
    with _open(file) as source:
        place = "stdin" if file == "-" else file
        view = with_history(server, lambda history: history.import_from(source, place, run_id))
    if output.json:
        output.document(view.model_dump(mode="json"))
    else:
        shown = short_id(view.id)
        line = output.out.paper.line(f"imported {view.name} as {shown}: ").hint(f"`atm show {shown}`")
        output.out.lines([line])
    return ExitCode.PASSED


def _open(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        what = f"cannot read {file}: {error.strerror or error}"
        raise SpecError(Problem(what, "unreadable_file", path="FILE")) from error
