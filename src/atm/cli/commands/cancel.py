"""`atm cancel`: ask a run to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from atm.cli.options import ColorOption, DebugOption, JsonOption, RunArgument, ServerOption
from atm.cli.output import Color, Output
from atm.cli.text import short_id
from atm.models.exit_code import ExitCode
from atm.models.outcome import RunStatus

if TYPE_CHECKING:
    from atm.cli.history import History


def command(
    run: RunArgument,
    graceful: Annotated[
        bool, typer.Option("--graceful", help="Let what is in flight finish, and count the run as completed.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
    color: ColorOption = Color.AUTO,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Ask a run to end.

    One that waits ends at once; what a running one has measured stays. A run that has ended stays as it is.
    """
    from atm.cli.history import asked

    run_id, before, status = asked(server, lambda history: _cancelled(history, run, graceful))
    output = Output.of(color, json=json)
    if json:
        output.document({"id": run_id, "status": status.value})
        return ExitCode.PASSED
    shown = short_id(run_id)
    if status is RunStatus.RUNNING:
        said = f"run {shown} was asked to {'stop' if graceful else 'end'}: `atm watch {shown}`"
    elif before is status:
        said = f"run {shown} had ended already: {status}"
    else:
        said = f"run {shown} is {status}"
    output.out.lines([output.out.paper.line().hint(said)])
    return ExitCode.PASSED


async def _cancelled(history: History, written: str, graceful: bool) -> tuple[str, RunStatus, RunStatus]:
    from atm.cli.history.base import resolved

    run_id = await resolved(history, written)
    before = (await history.run(run_id)).status
    return run_id, before, await history.cancel(run_id, graceful=graceful)
