"""Apprise, in a process of its own: what it sends arrives, and it dials nothing that it may not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from atm.notifications.apprise_channel import AppriseChannel
from atm.notifications.channel import SendError
from atm.plan.targets import TargetRules
from tests.notifications.documents import message
from tests.notifications.receiver import Receiver

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

AT = 1_767_234_600.0


async def test_a_message_arrives_by_the_service_that_the_url_names(receiver: Receiver) -> None:
    channel = AppriseChannel(TargetRules(), timeout_seconds=50)
    await channel.send(message(f"json://127.0.0.1:{receiver.port}/200/hook", "apprise"), AT)
    [got] = receiver.received()
    assert got.json["title"] == "nightly failed"
    assert got.json["message"].startswith("p99 < 300 ms: actual 412 ms\n")
    assert got.json["type"] == "failure"


@pytest.mark.parametrize(
    ("url", "allowed", "said", "final"),
    [
        ("json://127.0.0.1:{port}/200/hook", ("hooks.example",), "not among the hosts", False),
        ("json://169.254.169.254/latest", (), "link-local", False),
        ("json://localhost:{port}/200/hook", ("10.0.0.0/8",), "not among the hosts", False),
        ("syslog://", (), "system log", True),
        ("nobody-knows-this://x", (), "has no service", True),
    ],
)
async def test_what_it_may_not_reach_it_does_not(
    receiver: Receiver, url: str, allowed: tuple[str, ...], said: str, final: bool
) -> None:
    channel = AppriseChannel(TargetRules(allowed), timeout_seconds=50)
    with pytest.raises(SendError, match=said) as caught:
        await channel.send(message(url.format(port=receiver.port), "apprise"), AT)
    assert caught.value.final is final
    assert receiver.received() == []


async def test_a_service_that_refuses_is_a_failure_without_secrets(receiver: Receiver) -> None:
    channel = AppriseChannel(TargetRules(), timeout_seconds=50)
    with pytest.raises(SendError) as caught:
        await channel.send(message(f"json://anna:s3cret@127.0.0.1:{receiver.port}/500/hush-hush", "apprise"), AT)
    assert "s3cret" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_where_apprise_is_not_installed_it_is_said_once_and_for_all() -> None:
    hidden = "import sys; sys.modules['apprise'] = None"
    code = f"{hidden}; from atm.notifications.apprise_process import main; sys.exit(main())"
    asked = {"url": "json://127.0.0.1:9/", "title": "", "body": "", "kind": "info", "allowed": []}
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == "Apprise is not installed where the agent runs: pip install 'api-test-machine[apprise]'\n"
