"""The application of `atm top`: colours of the terminal, signals, and the first screen."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.theme import BUILTIN_THEMES

from atm.cli.history import Filters, History, open_history
from atm.cli.monitor.list_screen import RunListScreen
from atm.cli.output import Output
from atm.cli.signals import ending_signals
from atm.cli.text import Paper
from atm.models.exit_code import ExitCode

_ANSI = BUILTIN_THEMES["ansi-dark"]
TERMINAL = replace(
    _ANSI,
    name="terminal",
    primary="ansi_default",
    accent="ansi_cyan",
    variables={
        **_ANSI.variables,
        "ansi-background": "ansi_default",
        "ansi-foreground": "ansi_default",
        "border": "ansi_default",
        "border-blurred": "ansi_default",
        "footer-key-foreground": "ansi_cyan",
        "footer-description-foreground": "ansi_default",
        "footer-background": "ansi_default",
        "footer-item-background": "ansi_default",
        "input-cursor-background": "ansi_default",
        "input-cursor-foreground": "ansi_default",
        "input-cursor-text-style": "reverse",
        "scrollbar": "ansi_default",
        "scrollbar-hover": "ansi_default",
        "scrollbar-active": "ansi_default",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
        "scrollbar-corner-color": "ansi_default",
    },
)
"""Only colours of the terminal, for light and dark backgrounds."""


class MonitorApp(App[None]):
    """Shows the runs of one history."""

    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    #head, #titles, #empty { height: auto; text-wrap: nowrap; }
    #charts { height: auto; text-wrap: nowrap; margin-top: 1; }
    #body { height: 1fr; scrollbar-size-vertical: 1; margin-top: 1; }
    #figures { text-wrap: nowrap; }
    #runs { height: 1fr; max-height: 100%; scrollbar-size-vertical: 1; text-wrap: nowrap; }
    #runs > .option-list--option-highlighted, #runs:focus > .option-list--option-highlighted {
        color: ansi_default; background: ansi_default; text-style: reverse;
    }
    #runs > .option-list--option-hover { background: ansi_default; }
    #empty { height: 1fr; }
    Confirmation { align: center middle; background: ansi_default; }
    #question { width: 62; max-width: 100%; height: auto; border: round ansi_default; padding: 0 2; }
    Toast { background: ansi_default; border: round ansi_default; padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c,ctrl+q", "interrupt", show=False, priority=True)]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, history: History, paper: Paper) -> None:
        super().__init__(ansi_color=True)
        self.register_theme(TERMINAL)
        self.theme = TERMINAL.name
        self._history = history
        self._paper = paper

    def on_mount(self) -> None:
        loop = asyncio.get_running_loop()
        for number in ending_signals():
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self.action_interrupt)
        self.push_screen(RunListScreen(self._history, self._paper))

    def _fatal_error(self) -> None:
        """Close after an unexpected error; Textual would print the local variables, which may hold an API key."""
        self._close_messages_no_wait()

    def action_leave(self) -> None:
        self.exit(return_code=ExitCode.PASSED)

    def action_interrupt(self) -> None:
        self.exit(return_code=ExitCode.INTERRUPTED)


async def show_monitor(server: str | None, output: Output) -> int:
    """Show the monitor until the user leaves it and return the exit code.

    Raises the errors of `open_history`, and those of reading it for the first time.
    """
    # Textual reads NO_COLOR only; the output has also looked at --color, FORCE_COLOR and TERM.
    os.environ.pop("NO_COLOR", None)
    if not output.err.color:
        os.environ["NO_COLOR"] = "1"
    # A warning on stderr would be written across the screen.
    logging.getLogger("atm").addHandler(logging.NullHandler())
    async with open_history(server) as history:
        await history.page(Filters(limit=1))
        app = MonitorApp(history, output.err.paper)
        await app.run_async()
        if app._exception is not None:
            raise app._exception
        return app.return_code or ExitCode.PASSED
