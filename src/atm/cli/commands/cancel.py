"""`atm cancel`: cancel or stop a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import OutputOptions, RunArgument, ServerOption
from atm.cli.text import short_id
from atm.models.exit_code import ExitCode
from atm.models.outcome import RunStatus

if TYPE_CHECKING:
    from atm.cli.history import History
    from atm.models.control.runs import RunView


def command(
    run: RunArgument,
    graceful: Annotated[
        bool, typer.Option("--graceful", help="Stop instead: let requests in flight finish first.")
    ] = False,
    server: ServerOption = None,
    *,
    output: OutputOptions,
) -> int:
    """Cancel a run, or stop it with --graceful.

    A queued run ends at once; a running one keeps what it has measured. A run that has ended is not changed.
    """
    from atm.cli.history import with_history

    run_id, before, status = with_history(server, lambda history: _cancel(history, run, graceful))
    if output.json:
        output.document({"id": run_id, "status": status.value})
        return ExitCode.PASSED
    shown = short_id(run_id)
    if status is RunStatus.RUNNING:
        message = f"{'stopping' if graceful else 'cancelling'} run {shown}: `atm watch {shown}`"
    elif before.status is status:
        message = f"run {shown} had already ended: {before.outcome}"
    else:
        message = f"run {shown} is {status}"
    output.out.lines([output.out.paper.line().hint(message)])
    return ExitCode.PASSED


async def _cancel(history: History, reference: str, graceful: bool) -> tuple[str, RunView, RunStatus]:
    from atm.cli.history.base import resolve_run

    run_id = await resolve_run(history, reference)
    before = await history.run(run_id)
    return run_id, before, await history.cancel(run_id, graceful=graceful)
