"""The command line's entry point: the table of commands, lazy lookup, and error handling.

`COMMANDS` is a table so that `atm --help` and `atm run` import no other command's module.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from atm.cli.error_code import code_of
from atm.cli.option_values import Commands, PlainGroup
from atm.cli.output import Color, Output
from atm.dataclass import dataclass
from atm.errors import AtmError, OutputError, Problem
from atm.models.exit_code import ExitCode

EPILOG = (
    "Exit codes: 0 passed, 1 error, 2 usage or spec, 3 unreachable, 4 measurement invalid, 6 output not written, "
    "99 thresholds failed, 130 interrupted."
)
HELP_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A command of `atm` and its line in the help; its module is in `atm.cli.commands`."""

    name: str
    summary: str


COMMANDS = (
    CommandEntry("run", "Run a load test from a spec file or straight from a URL."),
    CommandEntry("try", "Send one request to each endpoint of a spec and show it in full."),
    CommandEntry("validate", "Check a spec and report every problem in it."),
    CommandEntry("init", "Write a commented starter spec."),
    CommandEntry("curl", "Convert curl commands into a spec."),
    CommandEntry("schema", "Print the JSON Schema of the spec, for editors."),
    CommandEntry("demo", "Run the quickstart test against the bundled target server."),
    CommandEntry("target", "Run the bundled target server to practise on."),
    CommandEntry("serve", "Serve the Control API and the dashboard, and execute runs."),
    CommandEntry(
        "schedule", "Manage schedules: tests that a server runs by cron, interval or date, with notifications."
    ),
    CommandEntry("tests", "Store tests on a server, with the files that they name."),
    CommandEntry("batch", "Run the tests stored on a server as one batch; list, show and cancel batches."),
    CommandEntry("agent", "Run schedules, notifications and queued runs without serving the API."),
    CommandEntry("list", "List the runs of the history, newest first."),
    CommandEntry("show", "Print the report of a stored run."),
    CommandEntry("status", "Print the state of a run and how it ended."),
    CommandEntry("watch", "Follow a run until it ends, then print its report."),
    CommandEntry("top", "Watch runs on a full screen: list, charts, cancel, stop, rerun."),
    CommandEntry("cancel", "Cancel a run, or stop it with --graceful."),
    CommandEntry("rm", "Delete runs with all their intervals and samples."),
    CommandEntry("export", "Export a run to one file: spec, environment, result, intervals and samples."),
    CommandEntry("import", "Import an exported run into the history."),
    CommandEntry("db", "Manage the storage of this machine: upgrade, status, prune."),
    CommandEntry("keys", "Create, list and revoke API keys of a server."),
    CommandEntry("audit", "List entries of the audit log, newest first."),
    CommandEntry("fleet", "Check the nodes of a fleet before a test runs on them."),
    CommandEntry("mcp", "Serve load tests as tools for LLM agents (Model Context Protocol)."),
    CommandEntry("doctor", "Check the engine, the limits and the load of this machine."),
)


_MODULES = {"try": "try_", "import": "import_"}
"""Modules of commands whose names are Python keywords."""


def load(name: str) -> Any:
    """Import and build one command. Raises KeyError for a name that is not in `COMMANDS`."""
    entry = {entry.name: entry for entry in COMMANDS}[name]
    module = importlib.import_module(f"atm.cli.commands.{_MODULES.get(name, name)}")
    if hasattr(module, "app"):
        return typer.main.get_command(module.app)
    commands = Commands()
    settings = getattr(module, "CONTEXT", HELP_SETTINGS)
    commands.command(name, short_help=entry.summary, context_settings=settings)(module.command)
    return typer.main.get_command(commands)


class LazyGroup(PlainGroup):
    """Typer's group over `COMMANDS`: lists them from the table, imports only the one that runs."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return [entry.name for entry in COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        return load(cmd_name) if any(entry.name == cmd_name for entry in COMMANDS) else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, entry.summary) for entry in COMMANDS])


def _print_version(value: bool) -> None:
    if value:
        from atm.version import VERSION

        typer.echo(f"atm {VERSION}")
        raise typer.Exit


app = typer.Typer(cls=LazyGroup, name="atm", rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback(invoke_without_command=True, context_settings=HELP_SETTINGS, epilog=EPILOG)
def _atm(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Load test an API, and know whether you can believe the result.

    Start with `atm demo`, or with your own: `atm run http://127.0.0.1:8000/health --rate 50 --duration 10s`.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str]) -> int:
    """Run the command line with `arguments` (without the program's name) and return the exit code.

    Prints every error in the form of `docs/reference/errors.md`; with `--json` as a document on stdout. Shows a stack
    trace only with `--debug`.
    """
    flags = _flags(arguments)
    debug = "--debug" in flags
    try:
        command = typer.main.get_command(app)
        return int(command.main(list(arguments), prog_name="atm", standalone_mode=False) or 0)
    except TyperException as error:
        problem, code = _usage_problem(error, arguments), ExitCode.USAGE
    except AtmError as error:
        if debug:
            raise
        # If writing to standard output failed, report it on standard error.
        _output([] if isinstance(error, OutputError) else flags).problems(error.problems)
        return code_of(error)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # the outermost handler: report, do not raise
        if debug:
            raise
        problem, code = _unexpected(error), ExitCode.UNEXPECTED_ERROR
    _output(flags).problems([problem])
    return code


def _flags(arguments: Sequence[str]) -> list[str]:
    arguments = list(arguments)
    if arguments[:1] == ["curl"]:
        return []  # All options after it are curl's.
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _output(flags: Sequence[str]) -> Output:
    """Read the output options from the raw arguments, which may be unparsable."""
    color = Color.AUTO
    for position, flag in enumerate(flags):
        value = flag.partition("=")[2] if flag.startswith("--color=") else ""
        if flag == "--color" and position + 1 < len(flags):
            value = flags[position + 1]
        if value in tuple(Color):
            color = Color(value)
    return Output.of(color, json="--json" in flags)


def _usage_problem(error: TyperException, arguments: Sequence[str]) -> Problem:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "atm"
    message = getattr(error, "format_message", lambda: str(error))().strip().rstrip(".")
    # Click's message: the option in quotes, then the problem.
    message = re.sub(r"^Invalid value for (?:'[^']*' / )*'([^']+)': ", r"\1: ", message)
    message = re.sub(r" \(Possible options: .*\)$", "", message)
    hint = f"See `{path} --help`"
    possible = getattr(error, "possibilities", None)
    if possible:
        from difflib import get_close_matches

        nearest = get_close_matches(getattr(error, "option_name", ""), possible, n=1, cutoff=0.0)
        hint = f"Did you mean `{nearest[0]}`? {hint}"
    if context is not None and isinstance(context.command, LazyGroup):
        from difflib import get_close_matches

        named = next((argument for argument in arguments if not argument.startswith("-")), "")
        close = get_close_matches(named, [entry.name for entry in COMMANDS], n=1)
        if close:
            hint = f"Did you mean `atm {close[0]}`? {hint}"
        elif "://" in named or named.endswith((".yaml", ".yml", ".json")):
            hint = f"Did you mean `atm run {named}`?"
    return Problem(message[:1].lower() + message[1:], "usage", path=path, hint=hint)


def _unexpected(error: Exception) -> Problem:
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return Problem(
        f"unexpected {type(error).__name__}: {error}".rstrip(": "),
        "internal",
        place=place,
        hint="This is a bug in atm. Run the command with `--debug` for a stack trace",
    )
