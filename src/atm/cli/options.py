"""Options shared by several commands."""

from __future__ import annotations

from typing import Annotated

import typer

from atm.cli.output import Color, Output
from atm.parameter_groups import ParameterGroup

OPEN_CLUSTER_HELP = "Use a Ray cluster on another machine although it demands no token."

_ColorOption = Annotated[
    Color, typer.Option("--color", help="When to use colour; auto honours NO_COLOR and FORCE_COLOR.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")]
"""`main` reads this flag from the arguments, so that commands ignore it."""


def _output(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, also for errors.")] = False,
    color: _ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001  # `main` reads it
) -> Output:
    return Output.of(color, json=json)


def _text_output(color: _ColorOption = Color.AUTO, debug: DebugOption = False) -> Output:  # noqa: ARG001  # the same
    return Output.of(color)


OutputOptions = Annotated[Output, ParameterGroup(_output)]
"""Where a command prints, by --json, --color and --debug."""
TextOutputOptions = Annotated[Output, ParameterGroup(_text_output)]
"""Where a command prints that has no --json."""
NoHistoryOption = Annotated[
    bool, typer.Option("--no-history", envvar="ATM_NO_HISTORY", help="Do not store this run in the history.")
]
FilesOption = Annotated[
    list[str] | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write FILE.json, .csv, .html, .md or .pdf; repeatable."),
]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="ATM_API_URL", metavar="URL", help="Use this server instead of the local history."),
]
AllowOpenClusterOption = Annotated[
    bool,
    typer.Option("--allow-open-cluster", help=OPEN_CLUSTER_HELP),
]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Run id, a unique prefix of it, or `last`.")]
VariableOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the spec; repeatable."),
]
