"""What an agent does in an hour, in processes of their own: the program, the server that it starts, a real target."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from atm.config import Settings
from atm.mcp_server.server import all_tools
from atm.mcp_server.services import ToolServices
from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.examples import PROFILE
from tests.mcp_server.agent import Agent, command, http_server, session, tokens

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]


@pytest.mark.parametrize(("transport", "mode"), [("stdio", "auto"), ("http", "legacy")])
async def test_an_agent_plans_runs_watches_understands_and_compares(
    transport: str, mode: str, target: TargetServer, tmp_path: Path
) -> None:
    running = None
    with ExitStack() as stack:
        if transport == "stdio":
            where: Any = command(tmp_path / "data")
        else:
            # Here the server is one that runs already.
            running = ApiServer(tmp_path / "data").ready()
            stack.callback(running.stop)
            where = stack.enter_context(http_server(tmp_path / "mcp", ATM_API_URL=running.url))
        async with session(where, mode=mode) as agent:
            listed = {each.name for each in (await agent.client.list_tools()).tools}
            assert listed == {each.name for each in all_tools(ToolServices.of(Settings.model_construct()))}
            if transport == "stdio" or PROFILE == "prove":
                await converse(agent, target)
                assert listed == set(agent.called)
            else:
                await converse_briefly(agent, target)
            await read(agent)
        if running is not None:
            with running.client() as client:
                sources = {run["source"] for run in client.get("/runs").json()["runs"]}
            assert "mcp" in sources
            assert "api" not in sources


async def converse_briefly(agent: Agent, target: TargetServer) -> None:
    """Tools that change, wait and read, over whatever transport."""
    spec = {"name": "checkout", "url": f"{target.url}/fixed", "total_requests": 20}
    await agent.call("create_test_spec", spec=spec, save=True)
    started = await agent.call("run_api_test", test="checkout")
    ended = await agent.call("wait_for_test", run_id=started["run_id"], timeout_seconds=60)
    assert (ended["status"], ended["requests_completed"]) == ("completed", 20)
    assert [done for done, _, _ in agent.progress] == sorted(done for done, _, _ in agent.progress)
    results = await agent.call("get_test_results", run_id="last")
    assert target.settled_stats().received == results["figures"]["started"] == 20
    assert "run_not_found" in await agent.refused("get_test_status", run_id="f00")


async def converse(agent: Agent, target: TargetServer) -> None:
    # A spec from a sentence's worth of arguments, kept.
    made = await agent.call(
        "create_test_spec",
        name="checkout",
        endpoints=[
            {"name": "list", "url": f"{target.url}/fixed"},
            {"name": "broken", "url": f"{target.url}/status?ok=200&other=503&share=0.2"},
        ],
        requests_per_second=50,
        duration="2s",
        thresholds=["p99 < 2s", "error_rate < 1%"],
        save=True,
    )
    assert (made["valid"], made["saved_as"], made["plan"]["most_requests"]) == (True, "checkout", 100)
    assert (await agent.call("validate_spec", spec=made["spec"]))["valid"]
    assert [each["name"] for each in (await agent.call("list_tests"))["tests"]] == ["checkout"]

    # Run it, and watch.
    started = await agent.call("run_api_test", test="checkout", notes="the first time")
    run_id = started["run_id"]
    assert started["ended"] is False
    state = await agent.call("get_test_status", run_id=run_id[:6])
    assert state["run_id"] == run_id
    ended = await agent.call("wait_for_test", run_id=run_id, timeout_seconds=60)
    assert (ended["status"], ended["requests_completed"]) == ("completed", 100)
    # On a busy machine its measurement may be invalid, and then nothing is said about the target.
    assert (ended["outcome"], ended["passed"]) in (("failed", False), ("invalid", None))
    assert any(message and "failed" in message for _, _, message in agent.progress)
    assert [done for done, _, _ in agent.progress] == sorted(done for done, _, _ in agent.progress)
    assert agent.text.startswith(("FAILED: 1 of 2 thresholds.", "INVALID: "))
    assert tokens(agent.text) < 400

    # Understand it.
    short = await agent.call("get_test_results", run_id="last")
    assert short["run_id"] == run_id
    assert short["figures"]["failed"] == short["status_codes"]["503"] > 0
    assert short["endpoints"] == []
    assert tokens(agent.text) < 400
    full = await agent.call("get_test_results", run_id=run_id, detail="full")
    assert [each["name"] for each in full["endpoints"]] == ["list", "broken"]
    assert target.settled_stats().received == short["figures"]["started"] == 100
    explained = await agent.call("explain_result", run_id=run_id)
    assert any("the target fails" in each["why"] for each in explained["findings"])
    assert any('are at "broken"' in each["what"] for each in explained["findings"])
    samples = await agent.call("get_samples", run_id=run_id, reason="failure", status=503, limit=1)
    assert samples["samples"][0]["from_target"]["status"] == 503

    # Once more, and compare.
    again = await agent.call("rerun_test", run_id=run_id, wait_seconds=60)
    assert again["status"] == "completed"
    compared = await agent.call("compare_tests", a=run_id, b=again["run_id"])
    assert compared["b"]["id"] == again["run_id"]
    # On a busy machine neither of them may have been measured well enough, and that is said first.
    assert re.search("p99|INVALID", compared["sentence"])

    # The same load from two workers, by a single field.
    two = await agent.call(
        "run_api_test",
        url=f"{target.url}/fixed",
        requests_per_second=50,
        duration="1s",
        fleet={"processes": 2},
        wait_seconds=60,
    )
    assert two["status"] == "completed"
    assert "workers: 2, 0 lost" in agent.text
    assert "[beyond_cap]" in await agent.refused("run_api_test", url=target.url, fleet={"processes": 99})

    # Something else, by way of curl, and ended early.
    curled = await agent.call("import_curl", command=f"curl {target.url}/echo -X POST -d a=1")
    long = await agent.call("run_api_test", spec={**curled["spec"], "requests_per_second": 5, "duration": 60})
    cancelled = await agent.call("cancel_test", run_id=long["run_id"])
    assert cancelled["run_id"] == long["run_id"]
    assert (await agent.call("wait_for_test", run_id=long["run_id"]))["status"] == "cancelled"
    listed = await agent.call("list_recent_tests", tag="mcp", limit=2)
    assert [each["id"] for each in listed["runs"]] == [long["run_id"], two["run_id"]]
    assert listed["total"] == 4

    # Have it run by itself.
    at = datetime.now(UTC) + timedelta(seconds=2)
    soon = await agent.call("create_schedule", name="soon", test="checkout", at=at.isoformat(), tags=["night"])
    assert soon["upcoming"]
    nightly = await agent.call(
        "create_schedule", name="nightly", test="checkout", cron="30 2 * * *", timezone="Europe/Berlin", max_runs=3
    )
    assert (nightly["enabled"], nightly["max_runs"], len(nightly["upcoming"])) == (True, 3, 3)
    assert (await agent.call("pause_schedule", schedule="nightly"))["enabled"] is False
    assert (await agent.call("resume_schedule", schedule="nightly"))["enabled"] is True
    assert [each["name"] for each in (await agent.call("list_schedules"))["schedules"]] == ["nightly", "soon"]
    while not (fired := await agent.call("get_schedule", schedule="soon"))["firings"]:
        assert datetime.now(UTC) - at < timedelta(seconds=100)
        await asyncio.sleep(0.2)
    made = await agent.call("wait_for_test", run_id=fired["last_run_id"])
    assert made["name"] == "checkout"
    assert made["status"] == "completed"
    assert (await agent.call("delete_schedule", schedule=soon["id"]))["deleted"] is True
    await agent.call("delete_schedule", schedule="nightly")
    assert (await agent.call("list_schedules"))["schedules"] == []
    # What an agent has scheduled counts as what an agent has started.
    listed = await agent.call("list_recent_tests", tag="mcp", name="checkout")
    assert listed["runs"][0]["id"] == made["run_id"]


async def read(agent: Agent) -> None:
    """The resources and the prompts."""
    client = agent.client
    resources = {str(each.uri) for each in (await client.list_resources()).resources}
    assert resources == {"atm://guide/figures", "atm://schema/spec", "atm://runs", "atm://specs"}
    templates = {each.uri_template for each in (await client.list_resource_templates()).resource_templates}
    assert templates == {"atm://runs/{run_id}", "atm://specs/{test}"}
    for uri in [*sorted(resources), "atm://runs/last", "atm://specs/checkout"]:
        [content] = (await client.read_resource(uri)).contents
        assert len(content.model_dump()["text"]) > 20
    prompts = {each.name: each for each in (await client.list_prompts()).prompts}
    assert set(prompts) == {"smoke_test", "find_breaking_point", "investigate_regression"}
    for name, arguments in (
        ("smoke_test", {"url": "http://127.0.0.1:1/"}),
        ("find_breaking_point", {"url": "http://127.0.0.1:1/"}),
        ("investigate_regression", {"test": "checkout"}),
    ):
        [message] = (await client.get_prompt(name, arguments)).messages
        assert message.role == "user"
