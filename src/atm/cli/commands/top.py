"""`atm top`: watch runs on a full screen."""

from __future__ import annotations

from atm.cli.options import ServerOption, TextOutputOptions
from atm.cli.output import has_whole_terminal
from atm.errors import Problem, SpecError


def command(
    server: ServerOption = None,
    *,
    output: TextOutputOptions,
) -> int:
    """Watch runs on a full screen: list, charts, cancel, stop, rerun.

    Shows the runs of a server, or of this machine's history. The keys are at the bottom of the screen: Enter opens a
    run, / filters, o changes the order, q leaves. Leaving stops no run.
    """
    if not has_whole_terminal():
        what = "`atm top` needs a terminal for its input and its output"
        hint = "`atm list` prints the runs, `atm watch RUN` follows one"
        raise SpecError(Problem(what, "no_terminal", hint=hint))
    import asyncio

    from atm.cli.monitor.app import show_monitor

    return asyncio.run(show_monitor(server, output))
