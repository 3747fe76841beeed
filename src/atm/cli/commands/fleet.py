"""`atm fleet`: check the nodes of a fleet before a test runs on them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from atm.cli.fleet_table import check_lines
from atm.cli.option_values import Commands
from atm.cli.options import AllowOpenClusterOption, OutputOptions
from atm.models.exit_code import ExitCode

if TYPE_CHECKING:
    from atm.fleet.check import FleetCheck
    from atm.fleet.ray_transport import RayTransport

app = Commands()


@app.callback()
def _fleet() -> None:
    """Check the nodes of a fleet before a test runs on them."""


@app.command("check")
def check(
    on: Annotated[str, typer.Option("--on", metavar="ADDRESS", help="ray://HOST:PORT of a Ray cluster, or ray:local.")],
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", min=1, help="Check N nodes; by default all with cores.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", metavar="SPEC|URL", help="Connect each node to the targets of a test; repeatable."),
    ] = None,
    allow_open_cluster: AllowOpenClusterOption = False,
    *,
    output: OutputOptions,
) -> int:
    """Start a worker on each node of a fleet and compare it with this machine, without load.

    Shows versions, cores, file descriptors, how exactly each node's clock can be read, and whether it reaches the
    target. Exit code 2 if a version differs, 3 if a node does not reach a target.
    """
    from atm.fleet.ray_transport import RayTransport
    from atm.models.ray_address import parse_ray_address

    transport = RayTransport(parse_ray_address(on, "--on"), allow_open=allow_open_cluster)
    result = asyncio.run(_check(transport, workers, _targets(target or ())))
    if output.json:
        output.document(_document(result))
    else:
        output.out.lines(check_lines(result, output.out.paper))
    if result.problems:
        if not output.json:
            output.problems(result.problems)
        return ExitCode.USAGE
    return ExitCode.UNREACHABLE if result.unreached else ExitCode.PASSED


async def _check(transport: RayTransport, workers: int | None, targets: list[tuple[str, int]]) -> FleetCheck:
    from atm.fleet.check import check_fleet
    from atm.fleet.ray_session import installed_ray

    try:
        links = await transport.open(workers or await transport.count_nodes())
        result = await check_fleet(links, targets)
        return replace(result, ray_version=installed_ray(), ray_versions=transport.ray_versions())
    finally:
        await transport.close()


def _targets(sources: list[str] | tuple[()]) -> list[tuple[str, int]]:
    """Return host and port of everything that the tests connect to."""
    from atm.cli.specs import compile_source
    from atm.plan.overrides import Overrides

    targets: dict[tuple[str, int], None] = {}
    for source in sources:
        plan = compile_source(source, Overrides()).plan
        proxy = plan.connections.proxy
        for origin in (proxy.origin,) if proxy else plan.origins:
            targets[(origin.connect_host or origin.host, origin.connect_port or origin.port)] = None
    return list(targets)


def _document(result: FleetCheck) -> dict[str, Any]:
    nodes = [
        {
            "name": node.name,
            **asdict(node.description),
            "ray": result.ray_versions.get(node.name, ""),
            "clock_offset_ns": node.clock.offset_ns,
            "clock_error_ns": node.clock.error_ns,
            "targets": {target: asdict(reach) for target, reach in node.reaches.items()},
        }
        for node in result.nodes
    ]
    problems = [asdict(problem) for problem in result.problems]
    return {"here": {**asdict(result.here), "ray": result.ray_version}, "nodes": nodes, "problems": problems}
