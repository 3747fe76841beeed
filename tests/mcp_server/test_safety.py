"""What agents may not do, tried over the protocol: real API, storage and target; the MCP server in this process."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from mcp_types import CallToolResult, InputRequiredResult

from atm.config import Settings
from atm.mcp_server.server import AgentServer
from atm.mcp_server.services import ToolServices
from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.mcp_server.agent import Person, session

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])


def serving(settings: Settings, **changes: Any) -> AgentServer:
    return AgentServer(ToolServices.of(settings.model_copy(update=changes)))


def runs_of(api: ApiServer) -> int:
    with api.client(**{"X-API-Key": "b7Qm2xVt9KsLw4Zr8NcFy6Hd"}) as client:
        total: int = client.get("/runs").json()["total"]
        return total


SPELLINGS: list[tuple[dict[str, Any], str]] = [
    ({"url": "http://example.com/"}, "example.com"),
    ({"url": "http://169.254.169.254/latest/meta-data"}, "169.254.169.254"),
    ({"url": "http://[::ffff:10.0.0.1]/"}, "::ffff:a00:1"),
    ({"url": "{{base}}/", "variables": {"base": "http://example.com"}}, "example.com"),
    ({"url": "http://localhost/", "connect_to": ["localhost:80:example.com:80"]}, "example.com"),
    ({"url": "http://127.0.0.1/", "proxy": "http://proxy.example.com:3128"}, "proxy.example.com"),
    (
        {"endpoints": [{"name": "a", "url": "http://localhost/"}, {"name": "b", "url": "http://b.example/"}]},
        "b.example",
    ),
    (
        {
            "url": "http://localhost/",
            "auth": {
                "type": "oauth2_client_credentials",
                "token_url": "http://login.example/token",
                "client_id": "i",
                "client_secret": "s",
            },
        },
        "login.example",
    ),
]


async def test_no_spelling_of_a_spec_leads_to_a_host_that_is_not_listed(server: AgentServer, api: ApiServer) -> None:
    before = runs_of(api)
    async with session(server, person=Person()) as agent:
        for fields, host in SPELLINGS:
            refusal = await agent.refused("run_api_test", spec={"name": "a", **fields})
            assert host in refusal, fields
            assert "target_not_allowed" in refusal, fields
            assert "ATM_MCP_ALLOWED_TARGETS" in refusal or "ATM_ALLOWED_TARGETS" in refusal, fields
            not_saved = await agent.refused("create_test_spec", spec={"name": "a", **fields}, save=True)
            assert host in not_saved, fields
            answer = await agent.call("validate_spec", spec={"name": "a", **fields})
            assert answer["valid"] is False, fields
            assert runs_of(api) == before, fields


async def test_a_url_that_reads_in_two_ways_is_no_url(server: AgentServer) -> None:
    async with session(server) as agent:
        for url in ("http://127.0.0.1@example.com/", "http://2130706433/", "http://0x7f.1/", "file:///etc/passwd"):
            refusal = await agent.refused("run_api_test", url=url)
            assert re.search(r"\[bad_url\]|\[target_not_allowed\]", refusal), (url, refusal)


async def test_no_tool_starts_python_code(server: AgentServer, api: ApiServer, target: TargetServer) -> None:
    before = runs_of(api)
    spec = {"name": "a", "base_url": target.url, "scenarios": {"buy": {"code": "shop.py:buy"}}}
    async with session(server, person=Person()) as agent:
        for said in (
            await agent.refused("run_api_test", spec=spec),
            await agent.refused("create_test_spec", spec=spec, save=True),
        ):
            assert "code_not_allowed" in said
            assert "scenarios.buy.code" in said
        hooked = {"name": "a", "url": f"{target.url}/fixed", "hooks": "shop_hooks.py"}
        for said in (
            await agent.refused("run_api_test", spec=hooked),
            await agent.refused("create_test_spec", spec=hooked, save=True),
        ):
            assert "code_not_allowed" in said
            assert "at: hooks" in said
    assert runs_of(api) == before


async def test_redirects_are_no_way_around_the_list(settings: Settings, target: TargetServer) -> None:
    spec = {"name": "a", "url": f"{target.url}/redirect/1", "redirects": 3, "total_requests": 1}
    async with session(serving(settings)) as agent:
        assert "redirects_not_allowed" in await agent.refused("run_api_test", spec=spec)
    async with session(serving(settings, mcp_allowed_targets=("*",))) as agent:
        done = await agent.call("run_api_test", spec=spec, wait_seconds=40)
        assert done["status"] == "completed"


async def test_beyond_a_limit_nothing_runs_where_nobody_can_be_asked(server: AgentServer, api: ApiServer) -> None:
    before = runs_of(api)
    async with session(server) as agent:
        said = await agent.refused("run_api_test", url="http://127.0.0.1:1/", requests_per_second=201, duration=300)
    assert "[beyond_limits]" in said
    assert "the rate: 201 requests/s, limit 200 requests/s" in said
    assert "ATM_MCP_MAX_RATE, ATM_MCP_MAX_DURATION" in said
    assert runs_of(api) == before


@ERAS
async def test_beyond_a_limit_a_person_decides(mode: str, settings: Settings, target: TargetServer) -> None:
    server = serving(settings, mcp_max_rate=10.0)
    arguments = {"url": f"{target.url}/fixed", "requests_per_second": 20, "total_requests": 5}
    for person in (Person("decline"), Person("cancel"), Person("accept", approve=False)):
        async with session(server, mode=mode, person=person) as agent:
            assert "[not_approved]" in await agent.refused("run_api_test", **arguments)
            assert len(person.questions) == 1
    assert target.settled_stats().received == 0
    person = Person()
    async with session(server, mode=mode, person=person) as agent:
        done = await agent.call("run_api_test", **arguments, wait_seconds=40)
        assert done["status"] == "completed"
    [question] = person.questions
    assert "127.0.0.1" in question
    assert "the rate: 20 requests/s, limit 10 requests/s" in question
    assert target.settled_stats().received == 5


async def test_an_answer_counts_once_and_for_its_own_question(settings: Settings, target: TargetServer) -> None:
    server = serving(settings, mcp_max_rate=10.0)
    small = {"url": f"{target.url}/fixed", "requests_per_second": 20, "total_requests": 5}
    async with session(server, person=Person()) as agent:
        client = agent.client.session
        first = await client.call_tool("run_api_test", small, allow_input_required=True)
        assert isinstance(first, InputRequiredResult)
        assert first.input_requests is not None
        from mcp_types import ElicitResult

        yes: dict[str, Any] = {"approval": ElicitResult(action="accept", content={"approve": True})}
        large = {**small, "requests_per_second": 5000}
        with pytest.raises(Exception, match=r"(?i)state"):
            await client.call_tool(
                "run_api_test",
                large,
                input_responses=yes,
                request_state=first.request_state,
                allow_input_required=True,
            )
        done = await client.call_tool(
            "run_api_test", small, input_responses=yes, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(done, CallToolResult)
        assert not done.is_error
        await agent.call("wait_for_test", run_id="last")
        again = await client.call_tool(
            "run_api_test", small, input_responses=yes, request_state=first.request_state, allow_input_required=True
        )
        assert isinstance(again, InputRequiredResult)


async def test_an_hour_has_limits_that_two_calls_at_once_cannot_both_use(
    tmp_path_factory: pytest.TempPathFactory, target: TargetServer
) -> None:
    own = ApiServer(tmp_path_factory.mktemp("hour") / "data").ready()
    try:
        settings = Settings.model_construct(api_url=own.url, mcp_hourly_requests=15)
        arguments = {"url": f"{target.url}/fixed", "total_requests": 10, "users": 1}
        async with session(serving(settings)) as agent:
            both = await asyncio.gather(*(agent.raw("run_api_test", **arguments, wait_seconds=40) for _ in range(2)))
            assert sorted(each.is_error or False for each in both) == [False, True]
            assert "the requests of an hour: 20, limit 15" in await agent.refused("run_api_test", **arguments)
        # A new session knows from the history what agents have started.
        async with session(serving(settings)) as agent:
            assert "the requests of an hour: 20, limit 15" in await agent.refused("run_api_test", **arguments)
            await agent.call("run_api_test", **{**arguments, "total_requests": 5}, wait_seconds=40)
        assert target.settled_stats().received == 15
    finally:
        own.stop()


async def test_read_only_means_that_nothing_changes(settings: Settings, api: ApiServer) -> None:
    before = runs_of(api)
    async with session(serving(settings, mcp_read_only=True), person=Person()) as agent:
        assert "read-only" in (agent.client.instructions or "")
        listed = {each.name for each in (await agent.client.list_tools()).tools}
        assert not listed & {"run_api_test", "rerun_test", "cancel_test", "create_schedule", "delete_schedule"}
        assert {"get_test_results", "list_recent_tests", "validate_spec", "compare_tests"} <= listed
        for tool in ("run_api_test", "rerun_test", "cancel_test"):
            assert "[read_only]" in await agent.refused(tool, run_id="last")
        said = await agent.refused("create_test_spec", url="http://127.0.0.1:1/", save=True)
        assert "[read_only]" in said
        assert (await agent.call("create_test_spec", url="http://127.0.0.1:1/"))["valid"]
    assert runs_of(api) == before


async def test_a_schedule_is_held_to_the_hour(settings: Settings) -> None:
    spec = {"name": "often", "url": "http://127.0.0.1:1/", "requests_per_second": 5, "duration": 1}
    async with session(serving(settings)) as agent:
        said = await agent.refused("create_schedule", name="often", spec=spec, every="1m")
        assert "the runs of an hour: 60, limit 30" in said
        elsewhere = {**spec, "url": "http://example.com/"}
        assert "[target_not_allowed]" in await agent.refused("create_schedule", name="x", spec=elsewhere, every="1h")
        made = await agent.call("create_schedule", name="often", spec=spec, every="4m")
        # Many small ones are as much as a large one.
        said = await agent.refused("create_schedule", name="more", spec=spec, every="3m")
        assert "the runs of an hour: 35, limit 30" in said
        await agent.call("pause_schedule", schedule="often")
        other = await agent.call("create_schedule", name="more", spec=spec, every="3m")
        assert "the runs of an hour: 35" in await agent.refused("resume_schedule", schedule="often")
        assert "[never_due]" in await agent.refused("create_schedule", name="late", spec=spec, at="2020-01-01T00:00")
        assert "give exactly one of" in await agent.refused(
            "create_schedule", name="late", spec=spec, every="1h", cron="* * * * *"
        )
        assert "cron" in await agent.refused("create_schedule", name="late", spec=spec, cron="61 * * * *")
        assert "either test" in await agent.refused("create_schedule", name="late", every="1h")
        for each in (made, other):
            await agent.call("delete_schedule", schedule=each["id"])


@ERAS
async def test_a_test_is_not_changed_behind_the_back_of_its_schedule(mode: str, settings: Settings) -> None:
    server = serving(settings)
    name = f"scheduled {mode}"
    spec = {"name": name, "url": "http://127.0.0.1:1/", "requests_per_second": 5, "duration": 1}
    async with session(server, mode=mode) as agent:
        await agent.call("create_test_spec", spec=spec, save=True)
        assert "[test_exists]" in await agent.refused("create_test_spec", spec=spec, save=True)
        await agent.call("create_test_spec", spec=spec, save=True, replace=True)
        await agent.call("create_schedule", name=name, test=name, every="1h")
        larger = {**spec, "requests_per_second": 100}
        said = await agent.refused("create_test_spec", spec=larger, save=True, replace=True)
        assert f'changes what the schedules "{name}" run' in said
        # A test that may not run is not saved either.
        too_much = {**spec, "name": "too much", "requests_per_second": 500}
        assert "[beyond_limits]" in await agent.refused("create_test_spec", spec=too_much, save=True)
    person = Person()
    async with session(server, mode=mode, person=person) as agent:
        await agent.call("create_test_spec", spec=larger, save=True, replace=True)
        await agent.call("delete_schedule", schedule=name)
    assert len(person.questions) == 1


async def test_a_server_that_wants_another_key_says_so(settings: Settings) -> None:
    async with session(serving(settings, api_key=None)) as agent:
        said = await agent.refused("list_recent_tests")
    assert "ATM_API_KEY" in said


async def test_a_server_that_is_down_is_told_with_how_to_start_it() -> None:
    settings = Settings.model_construct(api_url="http://127.0.0.1:9")
    async with session(AgentServer(ToolServices.of(settings))) as agent:
        said = await agent.refused("list_recent_tests")
        assert "no server at http://127.0.0.1:9: connection refused" in said
        assert "`atm serve`" in said
        with pytest.raises(Exception, match="no server at"):
            await agent.client.read_resource("atm://runs")


async def test_an_error_says_what_was_wrong_where_and_what_would_work(settings: Settings) -> None:
    async with session(serving(settings)) as agent:
        assert "[run_not_found]" in await agent.refused("get_test_status", run_id="nothing")
        assert "[test_not_found]" in await agent.refused("run_api_test", test="nothing")
        assert "[conflict]" in await agent.refused("run_api_test", test="nothing", url="http://127.0.0.1:1/")
        assert "did you mean users?" in await agent.refused("run_api_test", url="http://127.0.0.1:1/", user=3)
        hint = await agent.refused("run_api_test", url="http://127.0.0.1:1/", duration_seconds=3)
        assert "did you mean duration?" in hint
        assert "users should be greater than or equal to 1, not 0" in await agent.refused("run_api_test", users=0)
        assert "the argument run_id is missing" in await agent.refused("wait_for_test")
        assert "give url, endpoints, spec" in await agent.refused("run_api_test")
        said = await agent.refused("run_api_test", spec={"name": "a", "url": "nowhere", "conncurrency": 3})
        assert '"nowhere" has no scheme' in said
        assert 'unknown field "conncurrency"' in said
        assert "an example that works: run_api_test(url=" in said
        await agent.call("list_recent_tests")
