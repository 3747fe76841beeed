"""Hooks of endpoint specs, on servers, and in the guide."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import atm
from atm.models.outcome import RunOutcome
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.code.test_hooks import SIGN, counts, ran, sent_to

KEY = secrets.token_urlsafe(32)
ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guide/hooks.md").read_text("utf-8")
FILES = {
    match[1]: match[2]
    for match in re.finditer(r"^```(?:py|yaml)\n# (\S+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
}


def test_endpoints_have_hooks(tmp_path: Path, target: TargetServer) -> None:
    code = """
    def setup(context):
        context.variables["part"] = "a b"

    async def user_start(user):
        await asyncio.sleep(0)
        user.variables["token"] = f"t{user.number}"

    def before_request(request, user):
        request.headers["X-User"] = user.variables["token"]

    def after_response(response, user):
        response.check("fine", response.status == 200)
        if response.url.endswith("/health") and user.iteration % 4 == 2:
            raise ValueError("odd")
    """
    spec = "endpoints:\n  - {url: '/fixed?p={{part}}', name: fixed}\n  - {url: /health, name: health}\n"
    result = ran(tmp_path, target, code, spec, total_requests=40, concurrency=4)
    assert {entry.name: entry.total_requests for entry in result.endpoint_metrics} == {"fixed": 20, "health": 20}
    assert target.settled_stats().received == 40
    users = Counter(re.findall(rb"X-User: (t\d)", b"".join(sent_to(target))))
    assert set(users) == {b"t1", b"t2", b"t3", b"t4"}
    assert sum(users.values()) == 40
    assert sum(b"/fixed?p=a%20b " in sent for sent in sent_to(target)) == 20
    assert counts(result)["fixed"] == (20, 20, 0)
    assert counts(result)["health"] == (20, 10, 10)
    assert sum(group.count for group in result.exceptions) == 10
    # A busy machine may make the measurement invalid.
    assert result.verdict.outcome in (RunOutcome.FAILED, RunOutcome.INVALID)
    assert sum(check.passed for check in result.checks) == 40


def test_a_single_url_of_an_open_load_has_hooks(tmp_path: Path, target: TargetServer) -> None:
    spec = "url: /echo\nmethod: POST\nbody: hello\nrequests_per_second: 100\nduration: 1s\n"
    result = ran(tmp_path, target, SIGN, spec)
    sent = sent_to(target)
    assert len(sent) == result.metrics.total_requests > 50
    expected = hmac.new(b"key", b"POST/echohello", hashlib.sha256).hexdigest().encode()
    assert all(expected in each for each in sent)


def of_guide(folder: Path, target: TargetServer, name: str) -> str:
    """Write the files of the guide; return the path of one."""
    for each, text in FILES.items():
        local = text.replace("http://127.0.0.1:8765", target.url).replace("duration: 10s", "duration: 1s")
        (folder / each).write_text(local)
    return str(folder / name)


def test_setup_of_the_guide_sends_requests_of_its_own(tmp_path: Path, target: TargetServer) -> None:
    result = atm.run_sync(of_guide(tmp_path, target, "catalogue.yaml"))
    assert result.metrics.failed_requests == 0
    assert not result.exceptions
    assert {entry.name for entry in result.endpoint_metrics} == {"look/open"}
    # One of them is that of `setup`, which no figure has.
    assert target.settled_stats().received == result.metrics.total_requests + 1 > 5


def test_the_example_of_the_guide_passes(tmp_path: Path, target: TargetServer) -> None:
    result = atm.run_sync(of_guide(tmp_path, target, "signed.yaml"))
    assert result.metrics.failed_requests == 0
    assert not result.exceptions
    assert result.metrics.total_requests > 5
    assert {check.name for check in result.checks} == {"has a name"}
    assert all(b"X-Signature" in sent for sent in sent_to(target))


CODE = """import os, pathlib
pathlib.Path(__file__).with_name(f"imported-{os.getpid()}").touch()

def before_request(request, user):
    request.headers["X-Hook"] = "1"

def after_response(response, user):
    response.check("is full", len(response.body) > 0)

async def buy(user):
    await user.get("/fixed")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "code").mkdir()
    (folder / "code" / "shop_hooks.py").write_text(CODE)
    (folder / "outside.py").write_text(CODE)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    data = tmp_path_factory.mktemp("server") / "data"
    started = ApiServer(data, ATM_CODE_DIR=str(folder / "code"), API_TEST_MACHINE_API_KEY=KEY).ready()
    yield started
    started.stop()


def spec(target: TargetServer, hooks: str) -> dict[str, Any]:
    return {"name": "s", "url": f"{target.url}/fixed", "total_requests": 10, "hooks": hooks}


def imported(folder: Path) -> set[int]:
    return {int(path.name.partition("-")[2]) for path in (folder / "code").glob("imported-*")}


def test_on_a_server_hooks_run_in_the_runner_and_viewers_load_no_file(
    server: ApiServer, folder: Path, target: TargetServer
) -> None:
    with server.client(**{"X-API-Key": KEY}) as admin:
        created = admin.post("/keys", json={"name": "looks", "role": "viewer"})
        assert created.status_code == 201, created.text
        viewing = {"X-API-Key": created.json()["key"]}
        with server.client(**viewing) as viewer:
            for given in (spec(target, "shop_hooks.py"), _with_code(target)):
                for path in ("/specs/validate", "/specs/try", "/runs"):
                    assert viewer.post(path, json={"spec": given}).status_code == 403
        assert not imported(folder)
        (folder / "code" / "broken.py").write_text("def f(:\n")
        broken = admin.post("/specs/validate", json={"spec": spec(target, "broken.py")})
        assert "broken.py:1: invalid syntax" in broken.text
        for text in ("../outside.py", "/etc/passwd", "nothing.py"):
            assert admin.post("/runs", json={"spec": spec(target, text)}).status_code == 422
        assert not imported(folder)
        created = admin.post("/runs", json={"spec": spec(target, "shop_hooks.py")})
        assert created.status_code == 202, created.text
        run_id = created.json()["id"]
        assert ended(admin, run_id)["status"] == "completed"
        window = admin.get(f"/runs/{run_id}/intervals", params={"merge": "true"}).json()
        # Checks of hooks are in no plan: the run announces them.
        assert [(check["name"], check["passed"]) for check in window["window"]["checks"]] == [("is full", 10)]
        assert sum(point["passed"] for point in window["checks"]) == 10
    assert all(b"X-Hook: 1" in sent for sent in sent_to(target))
    assert imported(folder)
    assert server.process.pid not in imported(folder)


def _with_code(target: TargetServer) -> dict[str, Any]:
    return {"name": "s", "base_url": target.url, "scenarios": {"s": {"code": "shop_hooks.py:buy"}}}


def test_a_server_without_the_setting_refuses_hooks(tmp_path: Path, target: TargetServer) -> None:
    started = ApiServer(tmp_path / "data").ready()
    try:
        with started.client() as client:
            refused = client.post("/runs", json={"spec": spec(target, "shop_hooks.py")})
        assert refused.status_code == 422
        assert "ATM_CODE_DIR" in refused.text
    finally:
        started.stop()
