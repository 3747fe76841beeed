"""Attacks by names: what is called like another thing's id does not stand in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from atm.config import Settings
from atm.storage import lookup, open_storage
from atm.storage.test_configs import TestConfig
from tests.api.server import ApiServer

pytestmark = pytest.mark.timeout(300)

URL = "http://127.0.0.1:9/"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("names") / "data").ready()
    yield started
    started.stop()


def test_nothing_can_be_called_like_an_id(server: ApiServer) -> None:
    later = {"type": "date", "run_date": f"{datetime.now(UTC).year + 1}-01-01T00:00:00Z"}
    with server.client() as client:
        mine = client.post("/tests", json={"spec": {"name": "mine", "url": URL}}).json()["id"]
        asked = {"name": "mine", "test": "mine", "trigger": later}
        schedule = client.post("/schedules", json=asked).json()["id"]
        for name in (mine, schedule, "0123456789ab", "01234567-89ab-4def-8123-456789abcdef"):
            spec = {"name": name, "url": URL}
            answers = [
                client.post("/tests", json={"spec": spec}),
                client.put("/tests/mine", json={"spec": spec}),
                client.post("/schedules", json={**asked, "name": name}),
                client.put("/schedules/mine", json={**asked, "name": name}),
            ]
            assert [answer.status_code for answer in answers] == [422] * 4
            assert {answer.json()["code"] for answer in answers} == {"name_like_id"}
            assert client.post("/keys", json={"name": name, "role": "viewer"}).status_code == 422
        # Runs may be called so; no test is made of them.
        client.post("/runs", json={"spec": {"name": mine, "url": URL, "total_requests": 1}})
        assert client.post("/tests/sync").json()["created"] == []
        assert client.get(f"/tests/{mine}").json()["name"] == "mine"
        assert client.get(f"/schedules/{schedule}").json()["name"] == "mine"


@pytest.mark.parametrize("storage_type", ["sqlite", "json"])
def test_a_name_that_an_older_version_took_hides_nothing(
    storage_type: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def go() -> str:
        settings = Settings(data_dir=tmp_path_factory.mktemp("old"), storage_type=storage_type)
        storage = await open_storage(settings)
        now = datetime.now(UTC)
        try:
            await storage.tests.add(TestConfig("aaaaaaaaaaaa", "mine", {"url": URL}, now, now))
            await storage.tests.add(TestConfig("bbbbbbbbbbbb", "aaaaaaaaaaaa", {"url": URL}, now, now))
            found = await lookup.find(storage.tests, "aaaaaaaaaaaa")
            assert found is not None
            return found.name
        finally:
            await storage.close()

    assert asyncio.run(go()) == "mine"
