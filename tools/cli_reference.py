"""Render docs/reference/cli.md: every command with its arguments and options, from the program itself."""

from __future__ import annotations

from typing import Any

import typer
import typer.core

from atm.cli.main import COMMANDS, EPILOG, load

_HEAD = """\
# Command line

Every command of `atm`, as `atm COMMAND --help` has it. Written by `make format` from the program itself.

Wherever something goes wrong, a command says `error: what [code]`, then `at:` and `hint:`; with `--json` the same as
one document on stdout. Colour follows `--color`, then `NO_COLOR`, then `FORCE_COLOR`, then whether a terminal is there.
"""


def cli_reference() -> str:
    """Return the complete page."""
    listed = "".join(f"| [`atm {entry.name}`](#atm-{entry.name}) | {entry.summary} |\n" for entry in COMMANDS)
    table = f"| command | what it does |\n|---|---|\n{listed}"
    sections = "".join(_section(entry.name) for entry in COMMANDS)
    numbers = "[exit-codes.md](exit-codes.md) says more."
    return f"{_HEAD}\n{table}\n{EPILOG} {numbers}\n{sections}\nNext: [exit codes](exit-codes.md)\n"


def _section(name: str) -> str:
    command = load(name)
    if not isinstance(command, typer.core.TyperGroup):
        return _command(f"atm {name}", command)
    text = " ".join(str(command.help).split())
    listed = "".join(f"| `atm {name} {verb}` | {_first_line(each)} |\n" for verb, each in command.commands.items())
    head = f"\n## atm {name}\n\n{text}\n\n| command | what it does |\n|---|---|\n{listed}"
    return head + "".join(_command(f"atm {name} {verb}", each, "###") for verb, each in command.commands.items())


def _first_line(command: Any) -> str:
    return " ".join(str(command.help).split("\n\n")[0].split())


def _command(name: str, command: Any, mark: str = "##") -> str:
    context = typer.Context(command, info_name=name, **command.context_settings)
    usage = " ".join(command.collect_usage_pieces(context))
    text = "\n\n".join(" ".join(part.split()) for part in str(command.help).split("\n\n"))
    rows = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    table = "".join(f"| `{_cell(option)}` | {_cell(what)} |\n" for option, what in rows)
    head = f"\n{mark} {name}\n\n```text\n{name} {usage}\n```\n"
    return f"{head}\n{text}\n\n| option | what it does |\n|---|---|\n{table}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()
