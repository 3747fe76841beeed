"""`atm agent`: schedules without a server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from atm.cli.options import DebugOption
from atm.models.exit_code import ExitCode


def command(
    data_dir: Annotated[
        str | None,
        typer.Option("--data-dir", metavar="DIR", help="Directory of history and keys; or set ATM_DATA_DIR."),
    ] = None,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Run schedules, notifications and queued runs without serving the API.

    `atm serve` does the same unless ATM_AGENT is off. Any number of agents and servers may share one storage: each due
    time fires once. Ctrl-C ends the agent; runs continue in separate processes.
    """
    if data_dir is not None:
        os.environ["ATM_DATA_DIR"] = data_dir
    import asyncio

    from atm.agent.main import run_agent
    from atm.config import load_settings
    from atm.logs import set_up

    settings = load_settings()
    set_up(secrets=settings.secret_values())
    asyncio.run(run_agent(settings))
    return ExitCode.PASSED
