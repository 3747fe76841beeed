"""Hooks of specs against a server whose own record is known."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest

import atm
from atm.models.outcome import Outcome, RunOutcome
from atm.models.run import RunResult
from atm.testing import TargetServer
from tests.code.files import requests_of

HEAD = "import asyncio\nimport hashlib\nimport hmac\nimport pathlib\nimport time\nimport atm\n\n"


def write(folder: Path, target: TargetServer, code: str, spec: str, **settings: Any) -> Path:
    """Write a file of hooks, and a spec with it."""
    (folder / "shop_hooks.py").write_text(HEAD + dedent(code))
    lines = [f"{name}: {value}" for name, value in settings.items()]
    head = f"name: shop\nbase_url: {target.url}\nhooks: shop_hooks.py\n"
    path = folder / "shop.yaml"
    path.write_text(head + "\n".join(lines) + "\n" + dedent(spec))
    return path


def ran(folder: Path, target: TargetServer, code: str, spec: str, **settings: Any) -> RunResult:
    """Run a spec with a file of hooks."""
    return atm.run_sync(str(write(folder, target, code, spec, **settings)))


def steps(text: str) -> str:
    """Return the scenario `s` with these steps."""
    return "scenarios:\n  s:\n    steps:\n" + indent(dedent(text), "      ")


def counts(result: RunResult) -> dict[str, tuple[int, int, int]]:
    """Return started, completed and failed iterations by scenario."""
    return {each.name: (each.started, each.completed, each.failed) for each in result.scenarios}


def sent_to(target: TargetServer) -> list[bytes]:
    """Return the bytes of each request."""
    target.settled_stats()
    return [each.raw or b"" for each in target.captured()]


SIGN = """
async def before_request(request, user):
    await asyncio.sleep(0)
    text = request.method.encode() + request.path.encode() + request.body
    request.headers["X-Signature"] = hmac.new(b"key", text, hashlib.sha256).hexdigest()
"""


@pytest.mark.parametrize("kind", ["async def", "def"])
def test_every_request_is_signed_as_the_target_verifies(tmp_path: Path, target: TargetServer, kind: str) -> None:
    code = SIGN if kind == "async def" else SIGN.replace("async ", "").replace("    await asyncio.sleep(0)\n", "")
    flow = """
    - POST: /echo?n={{iteration}}
      name: order
      json: {number: "{{iteration}}", text: "é"}
    - GET: /fixed
      name: look
    """
    result = ran(tmp_path, target, code, steps(flow), total_requests=30, concurrency=3)
    assert requests_of(result) == {"s/order": 30, "s/look": 30}
    assert counts(result) == {"s": (30, 30, 0)}
    assert result.metrics.failed_requests == 0
    assert target.settled_stats().received == 60
    for sent in sent_to(target):
        head, _, body = sent.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        method, path, _ = first.split(" ")
        headers = dict(line.split(": ", 1) for line in lines)
        text = method.encode() + path.encode() + body
        assert headers["X-Signature"] == hmac.new(b"key", text, hashlib.sha256).hexdigest()
        if body:
            assert headers["Content-Length"] == str(len(body))
    assert result.run.engine == "asyncio"


def test_a_step_calls_a_function_whose_variables_later_steps_send(tmp_path: Path, target: TargetServer) -> None:
    code = """
    def ticket(user):
        user.variables["ticket"] = {"n": user.iteration, "user": user.number}
        user.variables["round"] = user.variables.get("round", 0) + 1

    async def label(user):
        await asyncio.sleep(0)
        user.variables["label"] = f"L{user.iteration}"
    """
    flow = """
    - call: ticket
    - repeat: 2
      steps:
        - call: label
          sets: label
    - when: round > 1
      steps:
        - GET: /fixed?round={{round}}&label={{label}}
          name: later
    - POST: /echo
      name: order
      json: {ticket: "{{ticket}}", base: "{{base}}"}
    """
    spec = "variables: {base: plain}\n" + steps(flow)
    result = ran(tmp_path, target, code, spec, total_requests=8, concurrency=2)
    assert counts(result) == {"s": (8, 8, 0)}
    assert requests_of(result) == {"s/later": 6, "s/order": 8}
    bodies = sorted(sent.partition(b"\r\n\r\n")[2] for sent in sent_to(target) if b"POST" in sent)
    assert all(body.startswith(b'{"ticket":{"n":') and body.endswith(b'},"base":"plain"}') for body in bodies)
    targets = [sent.split(b" ")[1] for sent in sent_to(target) if sent.startswith(b"GET")]
    assert len(targets) == 6
    assert all(b"label=L" in path and b"round=1" not in path for path in targets)


def test_a_response_is_judged_by_the_hook(tmp_path: Path, target: TargetServer) -> None:
    code = """
    async def after_response(response, user):
        await asyncio.sleep(0)
        response.check("has text", "fixed" in response.url or "hello" in response.text)
        user.variables["size"] = len(response.body)
        if response.status == 404:
            response.succeed()
        if user.iteration % 4 == 0 and response.json is not None and response.url.endswith("/fixed"):
            response.fail("not this one")
    """
    flow = """
    - {POST: /echo, name: echo, body: hello}
    - {GET: /fixed, name: fixed}
    - {GET: "/status/404?s={{size}}", name: gone}
    """
    result = ran(tmp_path, target, code, steps(flow), total_requests=12, concurrency=2)
    assert counts(result) == {"s": (12, 12, 0)}
    assert {entry.name: entry.failed_requests for entry in result.endpoint_metrics} == {
        "s/echo": 0,
        "s/fixed": 3,
        "s/gone": 0,
    }
    checks = {(check.endpoint, check.name): (check.passed, check.failed) for check in result.checks}
    assert checks["s/echo", "has text"] == (12, 0)
    assert checks["s/gone", "has text"] == (0, 12)
    assert {(failure.outcome, failure.message, failure.count) for failure in result.failures} == {
        (Outcome.CHECK_FAILED, "not this one", 3)
    }
    assert target.settled_stats().received == 36 == result.metrics.total_requests


@pytest.mark.parametrize("place", ["call", "before_request", "after_response", "user_start"])
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_an_exception_fails_the_iteration_with_its_place(
    tmp_path: Path, target: TargetServer, place: str, kind: str
) -> None:
    arguments = {"before_request": "request, user", "after_response": "response, user"}.get(place, "user")
    code = f"""
    {kind} {place if place != "call" else "act"}({arguments}):
        if user.iteration % 2 == 0:
            raise ValueError("no stock")
        if user.iteration == 3:
            user.fail("gave up")
    """
    flow = ("- call: act\n" if place == "call" else "") + "- {GET: /fixed, name: look}\n"
    spec = steps(flow) + "    session: new\n"
    result = ran(tmp_path, target, code, spec, total_requests=10, concurrency=2)
    assert counts(result) == {"s": (10, 4, 6)}
    assert {group.message: group.count for group in result.exceptions} == {
        "ValueError: no stock (shop_hooks.py:11)": 5,
        "gave up (shop_hooks.py:13)": 1,
    }
    assert 'raise ValueError("no stock")' in result.exceptions[0].traceback
    sent = 10 if place == "after_response" else 4
    assert result.metrics.total_requests == sent == target.settled_stats().received
    # A busy machine may make the measurement invalid.
    assert result.verdict.outcome in (RunOutcome.FAILED, RunOutcome.INVALID)


@pytest.mark.parametrize(("policy", "most"), [("stop_run", 2), ("stop_user", 2)])
def test_a_policy_decides_what_follows_an_exception(
    tmp_path: Path, target: TargetServer, policy: str, most: int
) -> None:
    code = "def act(user):\n    raise RuntimeError\n"
    flow = "- {GET: /delay/20}\n- call: act\n"
    result = ran(tmp_path, target, code, steps(flow), total_requests=500, concurrency=2, on_exception=policy)
    ((started, _, failed),) = counts(result).values()
    assert failed == result.exceptions[0].count >= 1
    assert started <= most


def test_a_function_that_does_not_set_what_its_step_says_fails_the_iteration(
    tmp_path: Path, target: TargetServer
) -> None:
    flow = "- {call: act, sets: [token]}\n- {GET: '/fixed?t={{token}}'}\n"
    result = ran(tmp_path, target, "def act(user):\n    pass\n", steps(flow), total_requests=3)
    assert counts(result) == {"s": (3, 0, 3)}
    assert 'act has not set "token"' in result.exceptions[0].message


def test_a_user_starts_once(tmp_path: Path, target: TargetServer) -> None:
    code = """
    async def user_start(user):
        await asyncio.sleep(0)
        user.variables["born"] = user.iteration
    """
    result = ran(
        tmp_path, target, code, steps("- GET: /fixed?u={{user}}&b={{born}}\n"), total_requests=20, concurrency=4
    )
    assert counts(result) == {"s": (20, 20, 0)}
    seen = Counter(sent.split(b" ")[1] for sent in sent_to(target))
    assert len(seen) == 4
    assert sum(seen.values()) == 20


def test_credentials_of_the_spec_stay_with_its_host(tmp_path: Path, target: TargetServer) -> None:
    code = """
    def before_request(request, user):
        request.url = request.url.replace("127.0.0.1", "localhost")
        request.method = "PUT"
        if user.iteration == 2:
            request.headers["X-Copy"] = "secret-token"
    """
    spec = "auth: {type: bearer, token: secret-token}\n" + steps("- {POST: /echo, body: text, name: echo}\n")
    result = ran(tmp_path, target, code, spec, total_requests=2, concurrency=1)
    (sent,) = sent_to(target)
    assert sent.startswith(b"PUT /echo HTTP/1.1\r\nHost: localhost:")
    assert b"secret" not in sent
    assert sent.endswith(b"\r\n\r\ntext")
    assert "holds a secret of the spec" in result.exceptions[0].message
    assert counts(result) == {"s": (2, 1, 1)}


def test_an_own_header_is_not_sent_on_to_another_host(tmp_path: Path, target: TargetServer) -> None:
    code = 'def before_request(request, user):\n    request.headers["X-Signature"] = "abc"\n'
    flow = f"- {{GET: '/redirect/1?to=http://localhost:{target.port}', name: hop}}\n"
    result = ran(tmp_path, target, code, steps(flow), total_requests=1, redirects=3)
    sent = {sent.split(b"\r\n")[1]: b"X-Signature" in sent for sent in sent_to(target)}
    assert result.metrics.redirect_hops == 1
    assert sent[f"Host: localhost:{target.port}".encode()] is False
    assert sent[f"Host: 127.0.0.1:{target.port}".encode()] is True


def test_problems_name_file_and_line_before_the_run(tmp_path: Path, target: TargetServer) -> None:
    flow = steps("- call: sing\n- GET: /fixed\n")
    wrong = write(tmp_path, target, "def before_request(request):\n    pass\n", flow)
    with pytest.raises(atm.SpecError) as raised:
        atm.run_sync(str(wrong))
    assert 'shop_hooks.py:8: the hook "before_request" cannot be called with 2 arguments' in str(raised.value)
    unknown = write(tmp_path, target, "def sign(user):\n    pass\n", flow)
    with pytest.raises(atm.SpecError, match="Did you mean `sign`") as raised:
        atm.run_sync(str(unknown))
    native = write(tmp_path, target, SIGN, steps("- GET: /fixed\n"), engine="native")
    with pytest.raises(atm.SpecError, match="the native engine runs no Python code"):
        atm.run_sync(str(native))
    unset = write(
        tmp_path,
        target,
        "def sign(user):\n    pass\n",
        steps("- GET: /{{token}}\n- {call: sign, sets: token}\n"),
        load="{rate: 5}",
    )
    with pytest.raises(atm.SpecError, match="no step before this one calls what sets it"):
        atm.run_sync(str(unset))


def test_a_misspelled_hook_gets_a_hint(tmp_path: Path, target: TargetServer) -> None:
    code = "def before_requests(request, user):\n    pass\n"
    result = ran(tmp_path, target, code, steps("- GET: /fixed\n"), total_requests=1)
    notes = " ".join(note.what for note in getattr(result, "notes", []))
    assert result.metrics.total_requests == 1
    del notes
