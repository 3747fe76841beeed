"""Webhooks that arrive, and those that must not leave, at a server in a process of its own."""

from __future__ import annotations

import socket
import time

import pytest

from atm.notifications.channel import SendError
from atm.notifications.webhook import WebhookChannel
from atm.notifications.webhook_signature import signature
from atm.plan.targets import TargetRules
from atm.testing import TargetServer
from tests.notifications.documents import document, message
from tests.notifications.receiver import Receiver

pytestmark = pytest.mark.anyio

AT = 1_767_234_600.9


async def test_it_arrives_signed_over_the_bytes_that_arrive(receiver: Receiver) -> None:
    await WebhookChannel(TargetRules()).send(message(receiver.url(), secret="a-shared-secret"), AT)
    [got] = receiver.received()
    assert got.json == document()
    assert got.headers["webhook-id"] == "0123456789abcdef"
    assert got.headers["webhook-timestamp"] == "1767234600"
    expected = signature("0123456789abcdef", 1_767_234_600, got.body, "a-shared-secret")
    assert got.headers["webhook-signature"] == expected
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"


async def test_user_and_password_of_the_url_become_basic_auth(receiver: Receiver) -> None:
    url = receiver.url().replace("://", "://anna:s3cret@")
    await WebhookChannel(TargetRules()).send(message(url), AT)
    [got] = receiver.received()
    assert got.headers["authorization"] == "Basic YW5uYTpzM2NyZXQ="
    assert "webhook-signature" not in got.headers


@pytest.mark.parametrize("status", ["500", "404", "302", "410"])
async def test_any_other_answer_is_a_failure_told_in_one_line(receiver: Receiver, status: str) -> None:
    with pytest.raises(SendError, match=f"^answered {status} [A-Za-z ]+: not now \\[31m$") as caught:
        await WebhookChannel(TargetRules()).send(message(receiver.url(f"/{status}/hook")), AT)
    assert not caught.value.final
    assert len(receiver.received()) == 1


async def test_who_does_not_answer_is_not_waited_for(receiver: Receiver) -> None:
    began = time.monotonic()
    with pytest.raises(SendError, match=r"^no response within 0.3 s$"):
        await WebhookChannel(TargetRules(), timeout_seconds=0.3).send(message(receiver.url("/wait/hook")), AT)
    assert time.monotonic() - began < 50


async def test_nobody_there_is_a_failure_to_be_tried_again() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(SendError, match=r"^connection refused$") as caught:
            await WebhookChannel(TargetRules()).send(message(f"http://127.0.0.1:{port}/"), AT)
    assert not caught.value.final


@pytest.mark.parametrize(
    ("url", "allowed", "said"),
    [
        ("http://169.254.169.254/latest/meta-data", (), "link-local"),
        ("http://[fd00:ec2::254]/", (), "metadata"),
        ("http://[::ffff:169.254.169.254]/", (), "link-local"),
        ("http://hooks.example/x", ("api.example",), "not among the hosts"),
        ("http://127.0.0.1:{port}/200/hook", ("hooks.example",), "not among the hosts"),
    ],
)
async def test_what_the_installation_may_not_reach_is_not_dialled_and_not_tried_again(
    receiver: Receiver, url: str, allowed: tuple[str, ...], said: str
) -> None:
    with pytest.raises(SendError, match=said) as caught:
        await WebhookChannel(TargetRules(allowed)).send(message(url.format(port=receiver.port)), AT)
    assert caught.value.final
    assert receiver.received() == []


async def test_a_name_is_judged_by_where_it_leads(receiver: Receiver) -> None:
    url = f"http://localhost:{receiver.port}/200/hook"
    with pytest.raises(SendError, match="not among the hosts"):
        await WebhookChannel(TargetRules(("10.0.0.0/8",))).send(message(url), AT)
    assert receiver.received() == []
    await WebhookChannel(TargetRules(("127.0.0.0/8",))).send(message(url), AT)
    [got] = receiver.received()
    assert got.headers["host"] == f"localhost:{receiver.port}"


async def test_every_address_of_a_name_is_tried(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async def two(host: str, port: int, rules: TargetRules) -> tuple[tuple[str, ...], str]:
        assert (host, port) == ("hooks.example", receiver.port)
        return ("127.0.0.3", "127.0.0.1"), ""

    # What a resolver answers is not ours to decide; nobody listens at the first one.
    monkeypatch.setattr("atm.notifications.webhook.look_up", two)
    await WebhookChannel(TargetRules()).send(message(f"http://hooks.example:{receiver.port}/200/hook"), AT)
    [got] = receiver.received()
    assert got.headers["host"] == f"hooks.example:{receiver.port}"


async def test_a_certificate_that_nobody_knows_is_refused() -> None:
    with TargetServer(tls=True) as target:
        with pytest.raises(SendError, match=r"(?i)certificate"):
            await WebhookChannel(TargetRules()).send(message(f"{target.https_url}/echo"), AT)
        assert target.settled_stats().received == 0
