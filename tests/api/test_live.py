"""Watchers receive events soon, in order, without loss, and at the cost of one reader."""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.config import Settings
from atm.metrics.collector import Collector
from atm.metrics.live_status import LiveStatus
from atm.models.outcome import RunStatus, StopReason
from atm.runs import events
from atm.runs.watcher import BUFFERED_EVENTS, Watcher
from atm.storage import Batch, StorageInterface, open_storage
from atm.storage.records import Finish, Lease, RunEvent
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.examples import PROFILE
from tests.runs.installation import spec
from tests.storage.builders import at, interval, new_run

WATCHERS = 20
SECONDS_BEFORE_THE_END = 3
SOON_SECONDS = 0.5
"""What a quiet machine takes, in `make prove`."""


def test_every_second_reaches_every_watcher_soon(server: ApiServer, client: httpx.Client, target: TargetServer) -> None:
    run_id = client.post("/runs", json={"spec": spec(target, requests_per_second=50, duration=3600)}).json()["id"]
    seen = [0] * WATCHERS

    async def watch(http: httpx.AsyncClient, watcher: int) -> list[float]:
        late = []
        async with http.stream("GET", f"/runs/{run_id}/events") as response:
            async for line in response.aiter_lines():
                if line.startswith("data: ") and (update := json.loads(line[6:]))["kind"] == "interval":
                    late.append(time.time() - datetime.fromisoformat(update["at"]).timestamp())
                    seen[watcher] += 1
                    # The run ends only after every watcher has received seconds of it.
                    if min(seen) == SECONDS_BEFORE_THE_END:
                        await http.post(f"/runs/{run_id}/cancel")
        return late

    async def scenario() -> list[list[float]]:
        async with httpx.AsyncClient(
            base_url=f"{server.url}/api/v1", trust_env=False, verify=False, timeout=240
        ) as http:
            return await asyncio.gather(*(watch(http, number) for number in range(WATCHERS)))

    late = asyncio.run(scenario())
    assert {len(each) for each in late} == {len(late[0])}
    assert len(late[0]) >= SECONDS_BEFORE_THE_END
    if PROFILE == "prove":
        assert max(max(each) for each in late) < SOON_SECONDS


def test_who_is_cut_off_again_and_again_misses_nothing(client: httpx.Client, target: TargetServer) -> None:
    run_id = client.post("/runs", json={"spec": spec(target, requests_per_second=50, duration=3)}).json()["id"]
    generator = random.Random(3)
    numbers: list[int] = []
    finished = False
    while not finished:
        headers = {"Last-Event-ID": str(numbers[-1])} if numbers else {}
        most = generator.randint(1, 4)
        with client.stream("GET", f"/runs/{run_id}/events", headers=headers, timeout=60) as response:
            for line in response.iter_lines():
                finished = finished or line == "event: finished"
                if line.startswith("id: "):
                    numbers.append(int(line[4:]))
                    most -= 1
                if line.startswith("data: ") and most <= 0:
                    break
    assert numbers == list(range(1, len(numbers) + 1))
    assert ended(client, run_id)["status"] == "completed"


class History:
    """A run that is written second by second, as its recorder does."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self._collector = Collector(["first", "second"])
        self.lease = Lease("watched", "token")
        self.seconds = 0

    async def begin(self) -> None:
        await self._storage.runs.create(new_run("watched"))
        assert await self._storage.leases.claim("here", "token", 1) is not None
        await self._storage.leases.started(self.lease, at(1), "asyncio")

    async def second(self) -> None:
        measured = interval(self.seconds)
        self._collector.add(measured)
        update = events.interval(LiveStatus(self._collector.snapshot()), self.seconds + 1, at(self.seconds))
        stored = RunEvent(update.sequence, update.kind, update.at, events.to_data(update))
        await self._storage.series.append(self.lease, Batch(self.seconds, (measured,), (stored,)))
        self.seconds += 1

    async def end(self) -> None:
        how = Finish(RunStatus.FAILED, at(9), None, "enough", StopReason.FAILED)
        await self._storage.leases.finish(self.lease, how)


class CountingSeries:
    """A storage's series, with how often its events were read."""

    def __init__(self, series: Any) -> None:
        self._series = series
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._series, name)

    async def events(self, *arguments: Any) -> Any:
        self.reads += 1
        return await self._series.events(*arguments)


class CountingStorage:
    """A storage that counts."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self.series = CountingSeries(storage.series)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@pytest.mark.parametrize("behind", [0, BUFFERED_EVENTS + 50])
def test_many_watchers_cost_one_reader_and_lose_nothing(tmp_path: Path, behind: int) -> None:
    async def scenario() -> None:
        opened = await open_storage(Settings(data_dir=tmp_path))
        history = History(opened)
        await history.begin()
        for _ in range(behind):
            await history.second()
        counting = CountingStorage(opened)
        watcher = Watcher(counting)
        began = time.monotonic()

        async def watch(after: int) -> list[int]:
            return [update.sequence async for update in watcher.watch("watched", after) if update.sequence is not None]

        watching = [asyncio.create_task(watch(number % 5)) for number in range(WATCHERS)]
        for _ in range(5):
            await history.second()
            await asyncio.sleep(0.05)
        assert watcher.readers == 1
        await history.end()
        found = await asyncio.gather(*watching)
        seconds = time.monotonic() - began
        for number, sequences in enumerate(found):
            assert sequences == list(range(number % 5 + 1, behind + 7))
        # What is old is read once by each; what is new, once for all of them, a few times a second.
        old = WATCHERS * (1 + behind // 300) if behind else WATCHERS
        assert counting.series.reads <= old + 6 * (seconds + 1)
        assert watcher.readers == 0
        await watcher.close()
        await opened.close()

    asyncio.run(scenario())
