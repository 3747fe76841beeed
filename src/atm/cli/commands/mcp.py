"""`atm mcp`: load tests as tools for LLM agents."""

from __future__ import annotations

from typing import Annotated

import typer

from atm.cli.options import DebugOption
from atm.models.exit_code import ExitCode


def command(
    http: Annotated[
        bool, typer.Option("--http", help="Serve streamable HTTP at /mcp instead of standard input and output.")
    ] = False,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Address to listen on, with --http.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65_535, help="Port to listen on, with --http.")
    ] = 8001,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Use this server; or set ATM_API_URL. Default: start one."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Offer read-only tools only; or set ATM_MCP_READ_ONLY.")
    ] = False,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Serve load tests as tools for LLM agents (Model Context Protocol).

    An agent's host program starts this command and talks to it over standard input and output. Without --server it
    starts an API server that ends with it. By default agents may test only this machine, at a low rate; see
    ATM_MCP_ALLOWED_TARGETS and ATM_MCP_MAX_RATE.
    """
    from atm.config import load_settings

    given = {"api_url": server, "mcp_read_only": read_only or None}
    settings = load_settings().model_copy(update={name: value for name, value in given.items() if value is not None})
    from atm.mcp_server.transports import serve_http, serve_stdio

    if http:
        serve_http(settings, host, port)
    else:
        serve_stdio(settings)
    return ExitCode.PASSED
