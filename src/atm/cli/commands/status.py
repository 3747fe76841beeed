"""`atm status`: print the state of a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from atm.cli.options import OutputOptions, RunArgument, ServerOption
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History
    from atm.models.control.runs import RunView


def command(
    run: RunArgument,
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Print the state of a run and how it ended.

    `atm watch` follows a run in progress; `atm show` prints the report of a run that has ended.
    """
    from atm.cli.history import with_history
    from atm.cli.history.sqlite_file import find, read
    from atm.cli.run_list import status_lines

    if output.json:
        output.document(with_history(server, lambda history: _view(history, run)).model_dump(mode="json"))
    else:
        stored = read(server, lambda reader: find(reader, run))
        details = stored or with_history(server, lambda history: _view(history, run))
        output.out.lines(status_lines(details, output.out.paper, datetime.now(UTC)))
    return ExitCode.PASSED


async def _view(history: History, reference: str) -> RunView:
    from atm.cli.history.base import resolve_run

    return await history.run(await resolve_run(history, reference))
