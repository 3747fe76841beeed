"""Options shared by several commands."""

from __future__ import annotations

from typing import Annotated

import typer

from atm.cli.output import Color

VARIABLE_HELP = "Set a variable of the spec; repeatable."
OPEN_CLUSTER_HELP = "Use a Ray cluster on another machine although it demands no token."

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document, also for errors.")]
ColorOption = Annotated[
    Color, typer.Option("--color", help="When to use colour; auto honours NO_COLOR and FORCE_COLOR.")
]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")]
NoHistoryOption = Annotated[
    bool, typer.Option("--no-history", envvar="ATM_NO_HISTORY", help="Do not store this run in the history.")
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
    typer.Option("--var", metavar="NAME=VALUE", help=VARIABLE_HELP),
]
