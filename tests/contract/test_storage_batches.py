"""Batches of runs, for every storage."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atm.storage import StorageInterface
from atm.storage.records import Order, RunBatch, RunQuery, StoredBatch
from tests.storage.builders import at, new_run

pytestmark = pytest.mark.anyio


async def test_batches_are_listed_newest_first_with_their_number_of_runs(storage: StorageInterface) -> None:
    assert (await storage.runs.batches()).batches == ()
    await storage.runs.create(new_run())
    for place, batch in enumerate((RunBatch("older", 2), RunBatch("newer"), RunBatch("older", 2))):
        run = replace(new_run(), batch=batch, created_at=at(0) + timedelta(seconds=place))
        await storage.runs.create(run)
    page = await storage.runs.batches()
    older = StoredBatch(RunBatch("older", 2), at(0), 2)
    newer = StoredBatch(RunBatch("newer"), at(0) + timedelta(seconds=1), 1)
    assert (page.batches, page.total) == ((newer, older), 2)
    assert (await storage.runs.batches(1, 1)).batches == (older,)
    assert await storage.runs.batch("older") == older
    assert await storage.runs.batch("other") is None


async def test_runs_are_filtered_by_batch_in_the_order_of_their_creation(storage: StorageInterface) -> None:
    ids = []
    for place in range(4):
        batch = RunBatch("one") if place % 2 else None
        run = replace(new_run(), batch=batch, created_at=at(0) + timedelta(seconds=place))
        await storage.runs.create(run)
        ids.append(run.id)
    page = await storage.runs.page(RunQuery(batch="one", order=Order.OLDEST))
    assert [run.id for run in page.runs] == [ids[1], ids[3]]
    assert page.total == 2
    await storage.runs.delete(ids[1])
    await storage.runs.delete(ids[3])
    assert await storage.runs.batch("one") is None
