"""`atm curl`: convert curl commands into a spec."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from atm.cli.output import Output
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["--help"]}
"""All options except `--help` belong to curl."""
LONGEST = 200_000


def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="CURL_ARGUMENT",
            help="The arguments of curl, or a whole command in quotes; without any, or with -, stdin is read.",
        ),
    ] = None,
) -> int:
    """Convert curl commands into a spec.

    Put `atm` in front of a curl command: `atm curl -X POST https://api.example.com/orders -d '{}' > orders.yaml`.
    Or pass one or more commands on stdin, as browsers copy them: `atm curl < copied.txt`. Prints the spec as YAML.
    """
    from atm.importers.curl import import_arguments, import_curl

    output = Output.of()
    arguments = [] if arguments == ["-"] else arguments or []
    if len(arguments) == 1 and arguments[0].split(maxsplit=1)[:1] == ["curl"]:
        # The whole command in quotes; no URL begins like this.
        imported = import_curl(arguments[0])
    elif arguments:
        imported = import_arguments(arguments)
    elif sys.stdin.isatty():
        hint = "`atm curl https://api.example.com/`, or `atm curl < copied.txt`"
        raise SpecError(Problem("no curl command given", "no_command", path="command", hint=hint))
    else:
        imported = import_curl(_standard_input())
    output.out.write(_yaml(imported.spec))
    for note in imported.notes:
        output.note(Problem(note, "curl"))
    return ExitCode.PASSED


def _standard_input() -> str:
    text = sys.stdin.read(LONGEST + 1)
    if len(text) > LONGEST:
        raise SpecError(Problem(f"the text has more than {LONGEST:,} characters", "too_long", path="command"))
    return text


def _yaml(spec: dict[str, Any]) -> str:
    """Return the spec as YAML: fields in their order, multi-line strings as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """A subclass, because `add_representer` changes the class."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        block = "\n" in value and "\r" not in value and "\t" not in value
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)

    Dumper.add_representer(str, text)
    return yaml.dump(spec, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
