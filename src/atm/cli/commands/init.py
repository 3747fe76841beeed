"""`atm init`: write a commented starter spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atm.cli.options import OutputOptions
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode


def command(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="File to write; - for stdout.")] = "test.yaml",
    scenario: Annotated[bool, typer.Option("--scenario", help="Write a journey of several steps.")] = False,
    *,
    output: OutputOptions,
) -> int:
    """Write a commented starter spec.

    It runs as it is against `atm target`. An existing file is not overwritten.
    """
    from atm.plan.starter import starter_text

    if file == "-":
        output.out.write(starter_text(scenario=scenario))
        return ExitCode.PASSED
    path = Path(file)
    try:
        with path.open("x", encoding="utf-8", newline="\n") as target:
            target.write(starter_text(scenario=scenario))
    except FileExistsError:
        hint = f"`atm init {path.stem}-2{path.suffix or '.yaml'}`, or remove it first"
        raise SpecError(Problem(f"{file} already exists", "file_exists", path="FILE", hint=hint)) from None
    except OSError as error:
        what = f"cannot write {file}: {error.strerror or error}"
        raise SpecError(Problem(what, "unwritable", path="FILE")) from None
    if output.json:
        output.document({"written": file})
    else:
        paper = output.out.paper
        output.out.lines(
            [paper.line(f"wrote {file}"), paper.line("next: ").hint(f"`atm target`, then `atm run {file}`")]
        )
    return ExitCode.PASSED
