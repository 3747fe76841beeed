"""`atm target`: run the bundled target server in the foreground."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from atm.cli.options import OutputOptions
from atm.cli.text import Line, Paper, Style, cells
from atm.errors import AtmError, SpecError, TargetServerError
from atm.models import figures
from atm.models.exit_code import ExitCode


def command(
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on: 127.0.0.1, ::1, or localhost for both.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", "-p", help="Port to listen on; 0 for any free one.")] = 8765,
    *,
    output: OutputOptions,
) -> int:
    """Run the bundled target server to practise on.

    It listens on this machine only, prints its URL and routes, and records every request. Ctrl-C ends it and prints the
    counts. With --json it prints one document with its URL once it listens.
    """
    from atm.testing.target_server.foreground import serve
    from atm.testing.target_server.route_table import GROUPS

    paper = output.out.paper

    def ready(url: str) -> None:
        if output.json:
            output.document({"url": url, "routes": [route.pattern for _, routes in GROUPS for route in routes]})
            return
        lines = [
            paper.line(" atm  target", Style.BOLD).add("  ").add(url, Style.TYPE).add("  Ctrl-C ends it", Style.DIM)
        ]
        for title, routes in GROUPS:
            lines += [paper.line(), paper.line(f" {title}", Style.BOLD)]
            for route in routes:
                lines += _route(paper, route.pattern, route.summary)
        lines += [paper.line(), paper.line(" Try ").hint(f"`atm run {url}/users --rate 50 --duration 10s`")]
        output.out.lines(lines)

    try:
        stats = serve(host, port, lambda addresses: ready(addresses.url))
    except TargetServerError as error:
        raise _of_flags(error, port) from None
    if not output.json:
        answered = (
            f" stopped after {figures.counted(stats.received, 'request')}, {figures.count(stats.completed)} answered"
        )
        output.out.lines([paper.line(answered)])
    return ExitCode.PASSED


def _of_flags(error: TargetServerError, port: int) -> AtmError:
    """Return the error with the option that caused it as its path."""
    (problem,) = error.problems
    if problem.code in _USAGE:
        return SpecError(replace(problem, path=_USAGE[problem.code]))
    if problem.code == "port_in_use":
        other = port + 1 if port < 65535 else 8000
        hint = f"`atm target --port {other}`, or `--port 0` for a free one"
        return TargetServerError(replace(problem, path="--port", hint=hint))
    return TargetServerError(replace(problem, path="--port" if problem.code == "port_not_allowed" else ""))


_USAGE = {"not_loopback": "--host", "bad_port": "--port"}
_SUMMARY_START = 24


def _route(paper: Paper, pattern: str, summary: str) -> list[Line]:
    first, *rest = paper.wrapped(summary, _SUMMARY_START)
    line = paper.line("   ").add(pattern)
    if cells(pattern) > _SUMMARY_START - 5:
        return [line, first, *rest]
    return [line.to(_SUMMARY_START).add(first.plain.strip()), *rest]
