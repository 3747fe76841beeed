"""`atm rm`: delete runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import OutputOptions, ServerOption
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.cli.history import History


def command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Run ids or unique prefixes of them, or `last`.")],
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Delete runs with all their intervals and samples.

    Cancel a run in progress first. If one of several runs does not exist, none is deleted.
    """
    from atm.cli.history import with_history

    deleted = with_history(server, lambda history: _delete(history, runs))
    if output.json:
        output.document({"deleted": deleted})
    else:
        output.out.lines(output.out.paper.line(f"deleted {run_id}") for run_id in deleted)
    return ExitCode.PASSED


async def _delete(history: History, references: list[str]) -> list[str]:
    from atm.cli.history.base import resolve_run

    run_ids = list(dict.fromkeys([await resolve_run(history, reference) for reference in references]))
    for run_id in run_ids:
        await history.delete(run_id)
    return run_ids
