"""`atm import`: a run from a file that `atm export` wrote."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, ServerOption
from atm.cli.output import Color, Output
from atm.cli.text import short_id
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `atm export` wrote; - for stdin.")],
    new_id: Annotated[
        bool, typer.Option("--new-id", help="Under a new id, where a run with its own is there already.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Put a run that was exported elsewhere into the history.

    It is checked as a whole, and stored whole or not at all.
    """
    from atm.cli.history import asked
    from atm.engine.executor import new_run_id

    wanted = new_run_id() if new_id else None
    with _opened(file) as source:
        place = "stdin" if file == "-" else file
        view = asked(server, lambda history: history.import_from(source, place, wanted))
    output = Output.of(color, json=json)
    if json:
        output.document(view.model_dump(mode="json"))
    else:
        shown = short_id(view.id)
        line = output.out.paper.line(f"imported {view.name} as {shown}: ").hint(f"`atm show {shown}`")
        output.out.lines([line])
    return ExitCode.PASSED


def _opened(file: str) -> AbstractContextManager[BinaryIO]:
    if file == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(file).open("rb")
    except OSError as error:
        what = f"cannot read {file}: {error.strerror or error}"
        raise SpecError(Problem(what, "unreadable_file", path="FILE")) from error
