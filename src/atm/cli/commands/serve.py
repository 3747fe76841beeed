"""`atm serve`: the Control API, and what carries runs out behind it."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from atm.cli.options import DebugOption
from atm.models.exit_code import ExitCode


def command(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="On which port.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="How many processes answer.")] = 1,
    data_dir: Annotated[
        str | None, typer.Option("--data-dir", metavar="DIR", help="Where history and keys are; or set ATM_DATA_DIR.")
    ] = None,
    for_parent: Annotated[
        bool,
        typer.Option(
            "--for-parent",
            help="For programs: end when standard input does, say in JSON where it listens (port 0: any).",
        ),
    ] = False,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Serve the Control API, and carry out the runs that it accepts.

    Without a key it answers only processes of your account on this machine: `atm keys create NAME` makes one.
    Settings come from the environment; Ctrl-C ends the server, and runs go on in processes of their own.
    """
    if data_dir is not None:
        os.environ["ATM_DATA_DIR"] = data_dir
    from atm.api.server import serve

    serve(host, port, workers, for_parent=for_parent)
    return ExitCode.PASSED
