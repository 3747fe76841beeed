"""Who runs what where pytest-xdist runs the tests in several processes.

The tests that look at the clock run in one process, one after another; most of their time they sleep. Tests of one file
that share a server run in one process too, and so do those of one file that take a few milliseconds each: to deal them
one by one costs more than to run them. All others go to whichever process has nothing to do. The few that take most of
a minute each begin first, each in another process: at the end all others would wait for them.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_LOOK_AT_THE_CLOCK = (
    *(f"tests/contract/test_{name}" for name in ("counts", "ends", "generator", "open_model", "outcomes", "truth")),
    "tests/contract/test_random_plans",
    "tests/engine/",
    "tests/testing/",
)


_SHARE_A_SERVER = (
    *(f"tests/{place}/" for place in ("agent", "api", "client", "mcp_server", "security")),
    "tests/faults/test_over_http",
    "tests/cli/monitor/test_screens",
    "tests/cli/test_history",
    "tests/cli/test_push",
    "tests/code/test_hooks_elsewhere",
    "tests/code/test_server",
    "tests/docs/test_server_pages",
    # No server, but what `make build` makes.
    "tests/tools/test_build",
)


_ONLY_COMPUTE = (
    *(f"tests/{place}/" for place in ("importers", "metrics", "models", "plan", "reports", "tables")),
    "tests/engine/asyncio_engine/scenario/",
)


_SHARE_A_DATABASE = (
    *(f"tests/contract/test_storage_{name}" for name in ("batches", "files", "own_metrics", "scenarios")),
    "tests/contract/test_graphql_statements",
)


_OWN_DATABASE = "tests/faults/test_kills"
"""Kills its PostgreSQL server."""


_SHARE_A_CLUSTER = ("tests/fleet/test_ray", "tests/fleet/test_transports")


_LONG = (
    *_SHARE_A_CLUSTER,
    "tests/faults/test_kills",
    "tests/tools/test_build",
    "tests/cli/monitor/test_screens",
    *(
        f"tests/security/test_{name}"
        for name in ("stuck_processes", "one_request", "seal_rotation", "fuzz_server", "working_directory", "audit")
    ),
    *(f"tests/api/test_{name}" for name in ("fuzz", "first_design", "server", "live", "workers")),
)
"""Files of few tests that take long: the others are dealt by their number of tests."""


class OneAfterAnother(LoadScopeScheduling):  # type: ignore[misc]  # xdist comes without types
    """Keeps together what has the same scope, the longest and then the largest first."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        self._long: list[str] | None = None

    def _assign_work_unit(self, node: Any) -> None:
        if self._long is None:
            self._long = [scope for scope in reversed(self.workqueue) if scope.startswith(_LONG)]
        if self._long and (scope := self._long.pop()) in self.workqueue:
            self.workqueue.move_to_end(scope, last=False)
        super()._assign_work_unit(node)

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith((*_SHARE_A_SERVER, *_ONLY_COMPUTE)):
            return nodeid.partition("::")[0]
        if nodeid.startswith(_OWN_DATABASE):
            return nodeid
        if nodeid.startswith(_SHARE_A_CLUSTER):
            return "tests/fleet/test_ray"
        if nodeid.startswith(_SHARE_A_DATABASE) or "postgresql" in nodeid.partition("[")[2]:
            return "database"
        return "clock" if nodeid.startswith(_LOOK_AT_THE_CLOCK) else nodeid
