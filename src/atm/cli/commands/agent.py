"""`atm agent`: schedules without a server."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from atm.cli.options import DebugOption
from atm.models.exit_code import ExitCode


def command(
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="DIR", help="Where history and keys are; or set ATM_DATA_DIR.")
    ] = None,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Fire the schedules, notify, and carry out runs, without serving the API.

    `atm serve` does all that itself unless ATM_AGENT is off. Any number of both may share one storage: each due time is
    fired once. Ctrl-C ends it; runs go on in processes of their own.
    """
    if data_dir is not None:
        os.environ["ATM_DATA_DIR"] = data_dir
    import asyncio

    from atm.agent.main import run_agent
    from atm.config import load_settings
    from atm.logs import set_up

    set_up()
    asyncio.run(run_agent(load_settings()))
    return ExitCode.PASSED
