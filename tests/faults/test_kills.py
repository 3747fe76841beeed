"""Runs whose processes, server or database are killed at random moments: every run ends truthful, nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from atm.config import Settings, StorageType
from atm.models.outcome import RunStatus
from atm.storage import open_storage
from atm.storage.factory import upgrade_storage
from atm.testing import TargetServer
from tests.contract.postgresql import PostgresqlServer
from tests.examples import PROFILE
from tests.faults.kill import AT_ONCE, DUE, OF_THE_RUN, RATE, Installation, Kill, State, Victim
from tests.runs.installation import processes_of
from tools.postgresql import MISSING, binaries

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

AIMED = tuple(state for state in State if state is not State.ENDED)
RUNS = 50 if PROFILE == "prove" else len(AIMED)
NOTICED_SECONDS = 2.5
"""An incomplete second, the time to notice a missing recorder, and the time to close."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def target() -> Iterator[TargetServer]:
    with TargetServer(capture=RUNS * DUE * 10) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[PostgresqlServer | None]:
    """A database server of its own, as it is killed."""
    if request.param == "sqlite":
        yield None
        return
    if binaries() is None:
        pytest.skip(MISSING)
    server = PostgresqlServer()
    server.sql("CREATE DATABASE atm")
    yield server
    server.stop()


@pytest.fixture
async def installation(
    tmp_path: Path, target: TargetServer, database: PostgresqlServer | None
) -> AsyncIterator[Installation]:
    url = SecretStr(database.url("atm")) if database else None
    settings = Settings(data_dir=tmp_path / "data", database_url=url, storage_type=StorageType.SQLITE)
    settings.data_dir.mkdir()
    await upgrade_storage(settings)
    storage = await open_storage(settings)
    installed = Installation(settings, storage, target, database)
    await installed.ready()
    yield installed
    await asyncio.to_thread(installed.close)
    await storage.close()


async def test_every_run_ends_truthful_whatever_is_killed_and_when(
    installation: Installation, database: PostgresqlServer | None, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = random.Random(7)
    # Each of few runs has another victim; PostgreSQL begins with those that come last without it.
    victims = list(reversed(Victim)) if database else [victim for victim in Victim if victim is not Victim.DATABASE]
    runs: list[str] = []
    killers: list[asyncio.Task[None]] = []
    aims, hit = _aims(), Counter[str]()
    while aims:
        # The first ones are claimed at once, the others wait for them; their clients keep sending.
        for aim in aims:
            number = len(runs)
            run_id = await installation.submit(number)
            runs.append(run_id)
            possible = [each for each in victims if aim is not State.PENDING or each not in OF_THE_RUN]
            victim = possible[number % len(possible)]
            chance = random.Random(generator.random())
            killers.append(asyncio.create_task(installation.kill(run_id, number, aim, victim, chance)))
        for run_id in runs:
            await installation.ended(run_id)
        await asyncio.gather(*killers)
        hit = Counter(str(each.state) for each in installation.kills)
        # A busy machine may look for a short state only after it is over: then another run is killed.
        aims = [state for state in AIMED if not hit[str(state)]]
    ended = [await installation.run(run_id) for run_id in runs]
    received = installation.received()
    kills = sorted(installation.kills, key=lambda each: each.number)
    with capsys.disabled():
        statuses = Counter(run.status.value for run in ended)
        print(f"\nfaults: {len(kills)} kills: {_told(hit)}; runs: {_told(statuses)}")
    for run, kill in zip(ended, kills, strict=True):
        said = f"{kill.victim} killed while {kill.state}: {run.status}, {run.summary.error_message}"
        await _check(installation, kill, received.get(kill.number, 0), said)
    assert await installation.storage.leases.states() == ()
    # A recorder that has stored the end still has to leave.
    async with asyncio.timeout(300):
        while any(processes_of(run_id) for run_id in runs):  # noqa: ASYNC110 (they set no event of ours)
            await asyncio.sleep(0.1)
    assert sorted(path.name for path in (installation.settings.data_dir / "spool").glob("*.jsonl")) == []


def _aims() -> list[State]:
    """The same number of each state; those that are soon over are for runs that are still to come to them."""
    later = [state for state in AIMED if state not in (State.PENDING, State.CLAIMING)]
    aims: list[State] = [later[number % len(later)] for number in range(AT_ONCE)]
    while len(aims) < RUNS:
        aims.append(min(AIMED, key=aims.count))
    return aims


async def _check(installation: Installation, kill: Kill, received: int, said: str) -> None:
    storage = installation.storage
    run = await storage.runs.get(kill.run_id)
    seconds = await storage.series.intervals(kill.run_id)
    assert [each.second for each in seconds] == list(range(len(seconds))), said
    assert len(seconds) >= kill.acknowledged, said
    assert (await storage.series.written(kill.run_id)).last_event >= kill.last_event, said
    parts = [part for each in seconds for part in each.endpoints]
    started, completed = sum(part.started for part in parts), sum(part.completed for part in parts)
    result = await storage.runs.result(kill.run_id)
    if run.status is RunStatus.COMPLETED:
        assert run.summary.error_message is None, said
        assert result is not None, said
        assert result.metrics.total_requests == completed == started == received == DUE, said
        return
    assert run.status is RunStatus.FAILED, said
    assert run.summary.error_message, said
    assert run.summary.passed is None, said
    # Nothing is in the history that was not sent; and what was sent and is not in it, was sent after the last second.
    assert completed <= started <= received, said
    assert received - started <= RATE * NOTICED_SECONDS, said
    if result is not None:
        assert result.metrics.total_requests == started, said


def _told(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
