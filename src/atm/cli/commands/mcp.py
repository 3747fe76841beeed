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
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="Where to listen, with --http.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65_535, help="On which port.")] = 8001,
    server: Annotated[
        str | None,
        typer.Option("--server", metavar="URL", help="Ask this server; or set ATM_API_URL. Default: one of its own."),
    ] = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Agents may look, and change nothing; or set ATM_MCP_READ_ONLY.")
    ] = False,
    debug: DebugOption = False,  # noqa: ARG001
) -> int:
    """Serve load tests as tools for LLM agents (Model Context Protocol).

    An agent's program starts this by itself, over standard input and output. Without a server to ask, it starts one of
    its own, which ends with it. Agents load this machine only, and not much, until ATM_MCP_ALLOWED_TARGETS and
    ATM_MCP_MAX_RATE say otherwise.
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
