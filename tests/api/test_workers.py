"""Four workers share one storage: whichever answers, the answer is the same."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.api.server import WORKER_SILENCE_SECONDS
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.examples import PROFILE
from tests.faults.kill import children_of
from tests.runs.installation import spec
from tests.steadiness import allowed

pytestmark = pytest.mark.timeout(300)

CALLS = 500 if PROFILE == "prove" else 100
CANCEL_SEEN_SECONDS = 0.25


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    server = ApiServer(tmp_path_factory.mktemp("four") / "data", workers=4)
    yield server.ready()
    server.stop()


def fresh(server: ApiServer) -> httpx.AsyncClient:
    """A client that makes a connection for each call, so that calls spread over the workers."""
    return httpx.AsyncClient(
        base_url=f"{server.url}/api/v1",
        trust_env=False,
        verify=False,
        timeout=200,
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=0),
    )


def test_calls_at_once_are_all_answered_as_they_should(four: ApiServer, target: TargetServer) -> None:
    async def scenario() -> Counter[tuple[str, int]]:
        async with fresh(four) as client:
            # It keeps all others waiting, which then end without a process of their own.
            holder = spec(target, requests_per_second=1, duration=600)
            first = (await client.post("/runs", json={"spec": holder})).json()["id"]

            async def call(number: int) -> tuple[str, int]:
                kinds: list[tuple[str, str, Any]] = [
                    ("POST", "/runs", {"spec": spec(target, total_requests=1, name=f"mixed {number}")}),
                    ("GET", "/runs", None),
                    ("GET", f"/runs/{first}", None),
                    ("POST", "/specs/validate", {"spec": {"name": "x", "url": "http://127.0.0.1:1/"}}),
                    ("GET", "/runs?status=completed&limit=5", None),
                    ("GET", "/storage/status", None),
                    ("POST", "/runs", {"spec": {"name": "no load", "url": 3}}),
                    ("GET", "/runs/none", None),
                    ("GET", "/tests", None),
                    ("GET", "/health", None),
                ]
                method, path, body = kinds[number % 10] if number >= 20 or number % 10 else kinds[0]
                if number >= 100 and number % 10 == 0:
                    method, path, body = kinds[1]
                answer = await client.request(method, path, json=body)
                return f"{method} {path.partition('?')[0].replace(first, 'it')}", answer.status_code

            return Counter(await asyncio.gather(*(call(number) for number in range(CALLS))))

    found = asyncio.run(scenario())
    each = CALLS // 10
    assert found == {
        ("POST /runs", 202): 10,
        ("GET /runs", 200): 3 * each - 10,
        ("GET /runs/it", 200): each,
        ("POST /specs/validate", 200): each,
        ("GET /storage/status", 200): each,
        ("POST /runs", 422): each,
        ("GET /runs/none", 404): each,
        ("GET /tests", 200): each,
        ("GET /health", 200): each,
    }
    assert "Traceback" not in four.log()


def test_every_worker_sees_a_run_and_a_cancel_reaches_its_runner_from_any(
    four: ApiServer, target: TargetServer
) -> None:
    with four.client() as client:
        # The newest first: those that wait.
        for run in client.get("/runs", params={"limit": 200}).json()["runs"]:
            client.post(f"/runs/{run['id']}/cancel")
            ended(client, run["id"])
    target.settled_stats()
    target.reset()

    async def scenario() -> tuple[str, int]:
        async with fresh(four) as client:
            accepted = await client.post("/runs", json={"spec": spec(target, requests_per_second=200, duration=60)})
            run_id = str(accepted.json()["id"])
            seen = await asyncio.gather(*(client.get(f"/runs/{run_id}") for _ in range(40)))
            assert {answer.status_code for answer in seen} == {200}
            # Its first second is in storage, so its recorder polls for a cancel.
            while not (await client.get(f"/runs/{run_id}")).json()["requests_completed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
            assert (await client.post(f"/runs/{run_id}/cancel")).status_code == 200
            return run_id, time.monotonic_ns()

    run_id, cancelled = asyncio.run(scenario())
    with four.client() as client:
        assert ended(client, run_id)["status"] == "cancelled"
    last = max(row.arrived_ns for row in target.record())
    assert (last - cancelled) / 1e9 < allowed(CANCEL_SEEN_SECONDS)


def test_a_worker_that_is_slow_to_start_keeps_no_other_from_being_replaced(four: ApiServer) -> None:
    first, second, *_ = children_of(four.process.pid)
    known = set(children_of(four.process.pid))
    os.kill(first, signal.SIGKILL)
    slow = _newcomer(four, known)
    os.kill(slow, signal.SIGSTOP)
    os.kill(second, signal.SIGKILL)
    # Well before the slow one is given up.
    assert _newcomer(four, known | {slow}, seconds=WORKER_SILENCE_SECONDS / 2) != slow
    os.kill(slow, signal.SIGCONT)
    four.ready()


def _newcomer(server: ApiServer, known: set[int], seconds: float = 240) -> int:
    """A worker that was not there before, as soon as there is one."""
    deadline = time.monotonic() + seconds
    while not (found := set(children_of(server.process.pid)) - known):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found.pop()


def test_a_server_and_its_workers_end_with_the_input_of_the_program_that_started_them(four: ApiServer) -> None:
    workers = children_of(four.process.pid)
    assert len(workers) == 4
    assert four.process.stdin is not None
    four.process.stdin.close()
    assert four.process.wait(240) == 0
    assert [pid for pid in workers if Path(f"/proc/{pid}").exists()] == []
