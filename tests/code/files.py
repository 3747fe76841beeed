"""Python files of tests, written and run."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import atm
from atm.models.run import RunResult
from atm.testing import TargetServer

HEAD = "import asyncio\nimport atm\n\n"


def written(folder: Path, code: str, name: str = "shop.py") -> Path:
    """Write a Python file that imports asyncio and atm."""
    path = folder / name
    path.write_text(HEAD + dedent(code))
    return path


def ran(folder: Path, target: TargetServer, code: str, **settings: Any) -> RunResult:
    """Run a file against the target, with fields of the spec."""
    given = "".join(f", {name}={value!r}" for name, value in settings.items())
    path = written(folder, f"atm.test(base_url={target.url!r}{given})\n" + dedent(code))
    return atm.run_sync(str(path))


def requests_of(result: RunResult) -> dict[str, int]:
    """Return the number of requests by endpoint."""
    return {entry.name: entry.total_requests for entry in result.endpoint_metrics}
