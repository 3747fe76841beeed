"""GraphQL joins its queries: the number of SQL statements does not depend on the length of a list."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from atm.config import Settings
from atm.models.outcome import RunStatus
from atm.runs.live_figures import LiveFigures
from atm.runs.service import RunService
from atm.runs.trials import Trials
from atm.runs.watcher import Watcher
from atm.schedules.service import ScheduleService
from atm.storage import StorageInterface
from atm.storage.records import CancelRequest
from atm.storage.seal import Sealer
from atm.storage.sql.storage import SqlStorage
from atm.storage.test_configs import TestConfig
from tests.contract.test_storage_schedules import fired, schedule
from tests.storage.builders import at, new_run

if TYPE_CHECKING:
    from atm.api.graphql.context import Context

pytestmark = pytest.mark.anyio

QUERY = """{
    runs(first: 50) { totalCount edges { node {
        id notes writtenSpec metrics { errorRate } endpointMetrics { name } result { run { seed } } } } }
    tests { name lastRun { id notes } recent(first: 5) { id failureReasons } }
    schedules { name lastRun { id } recent { due run { id notes } } }
}"""


def _context(storage: StorageInterface, settings: Settings) -> Context:
    # Not at the top: building the schema takes two seconds in each process that collects the tests.
    from starlette.requests import HTTPConnection

    from atm.api.auth import LOCAL
    from atm.api.graphql.context import Context
    from atm.bootstrap import ControlPlane

    sealer = Sealer(settings)
    runs = RunService(storage, settings, sealer)
    schedules = ScheduleService(storage, sealer, runs)
    trials, figures = Trials(settings.data_dir), LiveFigures(storage)
    plane = ControlPlane(settings, storage, sealer, runs, Watcher(storage), schedules, trials, figures)
    app = SimpleNamespace(state=SimpleNamespace(plane=plane))
    return Context(HTTPConnection({"type": "http", "app": app, "headers": [], "state": {"principal": LOCAL}}))


async def _add(storage: StorageInterface, name: str) -> None:
    """Add a test, a schedule with a firing, and three ended runs, all with this name."""
    await storage.tests.add(TestConfig(name, name, {"name": name, "url": "http://127.0.0.1/"}, at(0), at(0)))
    for _ in range(3):
        created = await storage.runs.create(new_run(name=name))
        status = await storage.leases.request_cancel(created.run.id, CancelRequest.NOW, at(40))
        assert status is RunStatus.CANCELLED
    await storage.schedules.add(schedule(name))
    firing = await fired(storage, name)
    assert firing.run_id is not None
    await storage.leases.request_cancel(firing.run_id, CancelRequest.NOW, at(40))


async def _statements(storage: StorageInterface, context: Context) -> tuple[int, Any]:
    """The number of statements of the query, and its data."""
    from atm.api.graphql.schema import SCHEMA

    statements = []

    def count(*arguments: Any) -> None:
        # Without BEGIN and the like, which differ between databases.
        if "SELECT" in arguments[2].upper():
            statements.append(arguments[2])

    engine = storage._database.engine.sync_engine if isinstance(storage, SqlStorage) else None
    if engine is not None:
        event.listen(engine, "before_cursor_execute", count)
    answer = await SCHEMA.execute(QUERY, context_value=context)
    if engine is not None:
        event.remove(engine, "before_cursor_execute", count)
    assert answer.errors is None
    return len(statements), answer.data


async def test_longer_lists_take_no_more_statements(storage: StorageInterface, settings: Settings) -> None:
    context = _context(storage, settings)
    await _add(storage, "first")
    few, _ = await _statements(storage, context)
    for name in ("second", "third", "fourth"):
        await _add(storage, name)
    many, data = await _statements(storage, context)
    # How many loads are joined depends on the moment; one for each of the 16 runs would be more.
    assert max(few, many) <= 16
    assert data["runs"]["totalCount"] == 16
    assert len(data["runs"]["edges"]) == 16
    assert [len(test["recent"]) for test in data["tests"]] == [3, 3, 3, 3]
    assert [entry["recent"][0]["run"]["id"] for entry in data["schedules"]] == [
        entry["lastRun"]["id"] for entry in data["schedules"]
    ]
