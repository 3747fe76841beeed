"""The figures of a run in progress, while its recorder writes."""

from __future__ import annotations

import pytest

from atm.runs.live_figures import LiveFigures
from atm.storage import Batch, StorageInterface
from atm.storage.records import Lease
from tests.storage.builders import interval, new_run

pytestmark = pytest.mark.anyio


async def test_a_second_that_is_stored_before_the_start_was_seen_is_left_for_the_next_question(
    storage: StorageInterface,
) -> None:
    spec = {"name": "shop", "base_url": "http://127.0.0.1:9", "scenarios": {"a": {"steps": [{"GET": "/"}]}}}
    run = (await storage.runs.create(new_run(spec=spec))).run
    assert await storage.leases.claim("host:1", "token", 100) is not None
    await storage.series.append(Lease(run.id, "token"), Batch(first_interval=0, intervals=(interval(0),)))
    metrics, endpoints = await LiveFigures(storage).of(run)
    assert (metrics.total_requests, endpoints) == (0, [])
