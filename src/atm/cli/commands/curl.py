"""`atm curl`: curl commands as a spec."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from atm.cli.output import Output
from atm.errors import Problem, SpecError
from atm.models.exit_code import ExitCode

CONTEXT = {"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": ["--help"]}
"""Every option belongs to curl but `--help`."""
LONGEST = 200_000


def command(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="CURL_ARGUMENT", help="What stands behind `curl`; without any, stdin is read."),
    ] = None,
) -> int:
    """Turn curl commands into a spec.

    Put `atm` in front of a curl command: `atm curl -X POST https://api.example.com/orders -d '{}' > orders.yaml`.
    Or pass a text with one or more commands on stdin, as browsers copy it: `atm curl < copied.txt`. The spec is
    printed as YAML.
    """
    from atm.importers.curl import import_arguments, import_curl

    output = Output.of()
    if arguments:
        imported = import_arguments(arguments)
    elif sys.stdin.isatty():
        hint = "`atm curl https://api.example.com/`, or `atm curl < copied.txt`"
        raise SpecError(Problem("there is no curl command", "no_command", path="command", hint=hint))
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
    """The spec as people write it: fields in their order, texts of several lines as blocks."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """A dumper of its own, so that the style of texts is set for this command only."""

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        block = "\n" in value and "\r" not in value and "\t" not in value
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)

    Dumper.add_representer(str, text)
    return yaml.dump(spec, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
