"""Options that several commands share, each defined once."""

from __future__ import annotations

from typing import Annotated

import typer

from atm.cli.output import Color

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, errors too.")]
ColorOption = Annotated[Color, typer.Option("--color", help="When to colour; NO_COLOR and FORCE_COLOR hold for auto.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the stack trace of an error.")]
NoHistoryOption = Annotated[
    bool, typer.Option("--no-history", envvar="ATM_NO_HISTORY", help="Do not keep this run in the history.")
]
ServerOption = Annotated[
    str | None,
    typer.Option("--server", envvar="ATM_API_URL", metavar="URL", help="Ask this server, not the history here."),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The beginning of its id as far as it is unique, or `last`.")
]
VariableOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="Set a variable of the spec; may be given several times."),
]
