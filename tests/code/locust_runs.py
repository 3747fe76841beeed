"""Run a locustfile with the program, and read the counts from its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from atm.testing import TargetServer
from tests.cli.program import atm
from tests.code.locust_counts import FILES, Counts

_METHODS = ("GET ", "POST ", "PUT ", "PATCH ", "DELETE ", "HEAD ", "OPTIONS ")


def run(
    folder: Path, file: str | Path, target: TargetServer, *arguments: str, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a file of `locustfiles`, or another one, and return the result."""
    command = ("run", str(FILES / file), "--host", target.url, "--json", "--no-fail", "--no-history", *arguments)
    said = atm(folder, *command, more=environment)
    result: dict[str, Any] = json.loads(said.out)
    assert "error" not in result, said.out
    return result


def counts_of(result: Mapping[str, Any]) -> Counts:
    """Return requests and failures by `METHOD name`, over all user classes."""
    counts: Counts = {}
    for endpoint in result["endpoint_metrics"]:
        name = endpoint["name"].partition("/")[2]
        if not name.startswith(_METHODS):
            name = f"{endpoint['method']} {name}"
        if endpoint["total_requests"]:
            count = counts.setdefault(name, [0, 0])
            count[0] += endpoint["total_requests"]
            count[1] += endpoint["failed_requests"]
    return counts


def redirects_and_redials(result: Mapping[str, Any]) -> int:
    """Return what the target has received beyond one request each."""
    hops, again = result["metrics"]["redirect_hops"], result["metrics"]["redialled"]
    return int(hops + again)
