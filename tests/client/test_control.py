"""The client against a real server."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from atm.client import ControlClient
from atm.client.connection import base_of
from atm.errors import ApiRefusedError, BundleError, ConflictError, NotFoundError, ServerUnreachableError, SpecError
from atm.models.events import AnyRunEvent, FinishedEvent, IntervalEvent, ProgressEvent, StartedEvent
from atm.models.outcome import RunStatus
from atm.testing import TargetServer
from atm.version import VERSION
from tests.api.server import ApiServer
from tests.client.relay import Relay

pytestmark = pytest.mark.anyio


@pytest.fixture
async def control(server: ApiServer) -> AsyncIterator[ControlClient]:
    async with ControlClient(server.url) as client:
        yield client


def spec(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {"name": "client", "url": f"{target.url}/users", "total_requests": 5, **fields}


async def ended(control: ControlClient, run_id: str) -> list[AnyRunEvent]:
    async with asyncio.timeout(240):
        return [event async for event in control.watch(run_id)]


async def test_a_run_from_its_start_to_its_bundle(control: ControlClient, target: TargetServer) -> None:
    accepted = await control.create_run(spec(target, name="whole"), tags=["b", "a"], notes="why")
    events = await ended(control, accepted.id)
    assert isinstance(events[-1], FinishedEvent)
    view = await control.run(accepted.id)
    assert (view.status, view.tags, view.notes) == (RunStatus.COMPLETED, ["a", "b"], "why")
    result = await control.result(accepted.id)
    assert result.metrics.total_requests == 5
    window = await control.intervals(accepted.id, resolution=0, merge=True)
    assert sum(point.started for point in window.points) == 5
    samples = await control.samples(accepted.id)
    found = await control.request(accepted.id, samples[0].request_number)
    assert (found.url, found.latency_ms) == (samples[0].url, samples[0].response_ms)
    assert {each.reason for each in await control.samples(accepted.id, reason="first")} == {"first"}
    assert [run.id for run in (await control.runs(name="whole")).runs] == [accepted.id]
    assert [run.id for run in (await control.runs(begins=accepted.id[:5])).runs] == [accepted.id]
    assert (await control.annotate(accepted.id, notes="")).notes == ""
    bundle = b"".join([piece async for piece in control.export_run(accepted.id)])
    copy = await control.import_run(bundle, new_id="a-copy")
    assert (copy.id, copy.source, copy.metrics) == ("a-copy", "import", view.metrics)
    compared = await control.compare(accepted.id, "a-copy")
    assert all(each.a == each.b for each in compared.differences)
    await control.delete("a-copy")
    with pytest.raises(NotFoundError, match="a-copy"):
        await control.run("a-copy")


async def test_no_event_is_lost_or_told_twice_when_connections_break(
    server: ApiServer, control: ControlClient, target: TargetServer
) -> None:
    accepted = await control.create_run(spec(target, requests_per_second=20, duration="5s", total_requests=None))
    async with Relay(server.port) as relay, ControlClient(relay.url) as client:
        seen: list[int] = []
        kinds: set[type[AnyRunEvent]] = set()
        async with asyncio.timeout(240):
            async for event in client.watch(accepted.id):
                kinds.add(type(event))
                if not isinstance(event, ProgressEvent):
                    seen.append(event.sequence)
                if isinstance(event, StartedEvent | IntervalEvent) and relay.connections < 4:
                    relay.cut()
    assert relay.connections >= 3
    assert seen == list(range(1, len(seen) + 1))
    assert {StartedEvent, IntervalEvent, FinishedEvent} <= kinds


async def test_every_page_of_runs_is_read_once(control: ControlClient, target: TargetServer) -> None:
    made = [(await control.create_run(spec(target, name="paged", total_requests=1))).id for _ in range(3)]
    found = [run.id async for run in control.all_runs(name="paged")]
    assert found == made[::-1]
    # Those that wait end at once, without a process of their own.
    for run_id in made[::-1]:
        await control.cancel(run_id)
    for run_id in made:
        await ended(control, run_id)


async def test_the_same_request_makes_one_run(control: ControlClient, target: TargetServer) -> None:
    first = await control.create_run(spec(target), idempotency_key="deploy-7")
    again = await control.create_run(spec(target), idempotency_key="deploy-7")
    assert first.id == again.id
    with pytest.raises(ConflictError):
        await control.create_run(spec(target, total_requests=6), idempotency_key="deploy-7")
    assert (await control.cancel(first.id)).id == first.id
    await ended(control, first.id)
    rerun = await control.rerun(first.id, tags=["again"])
    await ended(control, rerun.id)
    assert (await control.run(rerun.id)).tags == ["again"]


async def test_every_problem_of_a_spec_comes_back(control: ControlClient) -> None:
    wrong = {"name": "x", "url": "http://127.0.0.1:9/{{unset}}", "concurency": 3}
    with pytest.raises(SpecError) as caught:
        await control.create_run(wrong)
    assert {problem.code for problem in caught.value.problems} == {"unknown_field", "unknown_variable"}
    assert all(problem.hint for problem in caught.value.problems)
    answer = await control.validate(wrong)
    assert (answer.valid, len(answer.errors)) == (False, 2)
    assert (await control.import_curl("curl https://api.example.com/ -X PUT")).spec["method"] == "PUT"


async def test_tests_are_kept_changed_run_and_deleted(control: ControlClient, target: TargetServer) -> None:
    made = await control.create_test(spec(target, name="kept / odd name?"), description="one")
    assert (await control.test(made.id)).name == "kept / odd name?"
    changed = await control.replace_test(made.id, spec(target, name="kept"), enabled=False)
    assert (changed.enabled, changed.name) == (False, "kept")
    assert (await control.enable_test("kept")).enabled
    run = await control.run_test("kept")
    await ended(control, run.id)
    assert [test.runs for test in (await control.tests()).tests if test.name == "kept"] == [1]
    await control.delete_test("kept")
    with pytest.raises(NotFoundError):
        await control.test("kept")


async def test_the_server_says_what_it_is(control: ControlClient) -> None:
    assert (await control.health()).status == "ok"
    assert (await control.session()).role == "admin"
    assert (await control.storage_status()).kind == "sqlite"
    overview = await control.storage_overview(days=2)
    assert overview.status.schema_version == overview.schema_latest
    assert len(overview.days) == 2
    server = await control.server()
    assert server.version == VERSION
    assert "asyncio" in [engine.name for engine in server.engines if engine.installed]
    assert server.limits.max_concurrent_runs == 1
    with pytest.raises(SpecError, match="days"):
        await control.storage_overview(days=0)


async def test_changes_of_the_list_are_told(control: ControlClient, target: TargetServer) -> None:
    async with asyncio.timeout(240):
        accepted = await control.create_run(spec(target, name="watched"))
        async for change in control.changes():
            if change.id == accepted.id and change.run is not None and change.run.status is RunStatus.COMPLETED:
                break


async def test_what_is_no_bundle_is_refused(control: ControlClient) -> None:
    with pytest.raises(SpecError, match="not the bundle of a run"):
        await control.import_run(io.BytesIO(b"nothing").read())
    assert not issubclass(SpecError, BundleError)


async def test_a_server_that_is_down_says_how_to_start_one() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        async with ControlClient(f"http://127.0.0.1:{port}") as client:
            with pytest.raises(ServerUnreachableError, match="connection refused") as caught:
                await client.health()
    assert "`atm serve`" in caught.value.problems[0].hint


async def test_something_else_than_a_server_of_ours_is_named(target: TargetServer) -> None:
    async with ControlClient(target.url) as client:
        with pytest.raises(ApiRefusedError, match="not a response of the Control API"):
            await client.health()


async def test_a_key_that_opens_nothing_says_where_keys_come_from(tmp_path: Any) -> None:
    server = ApiServer(tmp_path / "data", API_TEST_MACHINE_API_KEY="b7Qm2xVt9KsLw4Zr8NcFy6Hd").ready()
    try:
        async with ControlClient(server.url, "another") as client:
            with pytest.raises(ApiRefusedError) as caught:
                await client.runs()
        async with ControlClient(server.url, "b7Qm2xVt9KsLw4Zr8NcFy6Hd") as client:
            assert (await client.runs()).runs == []
    finally:
        server.stop()
    assert (caught.value.status, caught.value.problems[0].code) == (401, "key_needed")
    assert "ATM_API_KEY" in caught.value.problems[0].hint


@pytest.mark.parametrize("written", ["http://h:1", "http://h:1/", "http://h:1/api/v1", "http://h:1/api/v1/"])
def test_an_address_is_read_with_or_without_the_prefix(written: str) -> None:
    assert base_of(written) == "http://h:1"


@pytest.mark.parametrize("written", ["h:1", "", "ftp://h", "http://"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ApiRefusedError, match="not a server address"):
        base_of(written)
