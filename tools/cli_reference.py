"""docs/reference/cli.md: every command with its arguments and options, taken from the program itself."""

from __future__ import annotations

import typer

from atm.cli.main import COMMANDS, EPILOG, load

_HEAD = """\
# Command line

Every command of `atm`, as `atm COMMAND --help` has it. Written by `make format` from the program itself.

Wherever something goes wrong, a command says `error: what [code]`, then `at:` and `hint:`; with `--json` the same as
one document on stdout. Colour follows `--color`, then `NO_COLOR`, then `FORCE_COLOR`, then whether a terminal is there.
"""


def cli_reference() -> str:
    """The whole page."""
    listed = "".join(f"| [`atm {entry.name}`](#atm-{entry.name}) | {entry.summary} |\n" for entry in COMMANDS)
    table = f"| command | what it does |\n|---|---|\n{listed}"
    sections = "".join(_section(entry.name) for entry in COMMANDS)
    numbers = "[exit-codes.md](exit-codes.md) says more."
    return f"{_HEAD}\n{table}\n{EPILOG} {numbers}\n{sections}\nNext: [exit codes](exit-codes.md)\n"


def _section(name: str) -> str:
    command = load(name)
    context = typer.Context(command, info_name=f"atm {name}", **command.context_settings)
    usage = " ".join(command.collect_usage_pieces(context))
    text = "\n\n".join(" ".join(part.split()) for part in str(command.help).split("\n\n"))
    rows = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    table = "".join(f"| `{_cell(option)}` | {_cell(what)} |\n" for option, what in rows)
    head = f"\n## atm {name}\n\n```text\natm {name} {usage}\n```\n"
    return f"{head}\n{text}\n\n| option | what it does |\n|---|---|\n{table}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()
