"""`atm serve`: serve the Control API and the dashboard, and execute runs."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from atm.cli.options import DebugOption
from atm.models.exit_code import ExitCode


def command(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Number of worker processes.")] = 1,
    data_dir: Annotated[
        str | None,
        typer.Option("--data-dir", metavar="DIR", help="Directory of history and keys; or set ATM_DATA_DIR."),
    ] = None,
    tls_cert: Annotated[
        str | None,
        typer.Option(
            "--tls-cert",
            metavar="FILE",
            help="Speak HTTPS with this certificate (PEM, with its chain); read again when renewed.",
        ),
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's key (PEM).")
    ] = None,
    for_parent: Annotated[
        bool,
        typer.Option(
            "--for-parent",
            help="For programs: exit when stdin closes, print the address as JSON (port 0: any free one).",
        ),
    ] = False,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Serve the Control API and the dashboard, and execute runs.

    Until a key exists, only processes of your account on this machine have access: `atm keys create NAME` creates one.
    Settings come from the environment. Ctrl-C ends the server; runs continue in separate processes.
    """
    named = {"ATM_DATA_DIR": data_dir, "ATM_TLS_CERT": tls_cert, "ATM_TLS_KEY": tls_key}
    os.environ.update({name: value for name, value in named.items() if value is not None})
    from atm.api.server import serve

    serve(host, port, workers, for_parent=for_parent)
    return ExitCode.PASSED
