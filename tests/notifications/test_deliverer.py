"""Notifications until they arrive, in virtual time, to a server in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atm.config import Settings
from atm.models.schedule import DeliveryStatus
from atm.notifications.deliverer import CLAIM_SECONDS, PAUSES_SECONDS, Deliverer
from atm.notifications.webhook import WebhookChannel
from atm.plan.targets import TargetRules
from atm.storage import StorageInterface
from atm.storage.schedules import Delivery, Fire, Schedule, delivery_id
from atm.storage.seal import Sealer
from tests.notifications.documents import DUE, document
from tests.notifications.receiver import ROOT, Receiver
from tests.schedules.wall_clock import WallClock

pytestmark = pytest.mark.anyio

NIGHTLY = Schedule("s1", "nightly", {"type": "interval", "days": 1}, DUE, DUE, spec={}, next_due=DUE, next_at=DUE)


def deliverer(storage: StorageInterface, settings: Settings, clock: WallClock) -> Deliverer:
    channel = WebhookChannel(TargetRules(), timeout_seconds=20)
    return Deliverer(storage, Sealer(settings), {"webhook": channel}, clock=clock)


def delivery(settings: Settings, url: str, position: int = 0, **target: Any) -> Delivery:
    whole = {"type": "webhook", "url": url, "secret": None, "on": ["failure"], **target}
    name = delivery_id("s1", DUE, position)
    return Delivery(
        id=name,
        schedule_id="s1",
        due=DUE,
        event="failure",
        channel="http://127.0.0.1/***",
        created_at=DUE,
        document=document(delivery=name),
        target={**whole, "url": "***"},
        sealed=Sealer(settings).seal({"target": json.dumps(whole)}),
        next_attempt_at=DUE,
    )


async def note(storage: StorageInterface, *deliveries: Delivery) -> None:
    """Create a firing that could not start, with these deliveries."""
    await storage.schedules.add(NIGHTLY)
    fire = Fire(NIGHTLY, DUE, DUE, "test", None, None, error="no test", deliveries=deliveries)
    assert await storage.schedules.fire(fire) is not None


async def kept(storage: StorageInterface) -> Delivery:
    [found] = await storage.deliveries.of_schedule("s1")
    return found


async def test_what_is_delivered_is_noted_and_not_sent_again(
    storage: StorageInterface, settings: Settings, receiver: Receiver
) -> None:
    clock = WallClock(DUE)
    await note(storage, delivery(settings, receiver.url(), secret="a-shared-secret"))
    assert await deliverer(storage, settings, clock).deliver_due() == 1
    clock.pass_(days=30)
    assert await deliverer(storage, settings, clock).deliver_due() == 0
    [got] = receiver.received()
    assert got.headers["webhook-id"] == got.json["delivery"] == delivery_id("s1", DUE, 0)
    done = await kept(storage)
    assert (done.status, done.attempts, done.delivered_at) == (DeliveryStatus.DELIVERED, 1, DUE)
    assert (done.next_attempt_at, done.error) == (None, None)


async def test_what_fails_is_tried_again_after_longer_and_longer_pauses(
    storage: StorageInterface, settings: Settings, receiver: Receiver
) -> None:
    clock = WallClock(DUE)
    await note(storage, delivery(settings, receiver.url("/503,500,200/hook")))
    working = deliverer(storage, settings, clock)
    for attempt, (pause, said) in enumerate(zip(PAUSES_SECONDS, ("answered 503", "answered 500"), strict=False), 1):
        assert await working.deliver_due() == 1
        failed = await kept(storage)
        assert (failed.status, failed.attempts) == (DeliveryStatus.PENDING, attempt)
        assert (failed.error or "").startswith(said)
        assert failed.next_attempt_at is not None
        assert pause <= (failed.next_attempt_at - clock.now()).total_seconds() <= 1.2 * pause
        clock.put(failed.next_attempt_at - timedelta(seconds=1))
        assert await working.deliver_due() == 0
        clock.put(failed.next_attempt_at)
    assert await working.deliver_due() == 1
    done = await kept(storage)
    assert (done.status, done.attempts, done.error) == (DeliveryStatus.DELIVERED, 3, None)
    assert len({got.headers["webhook-id"] for got in receiver.received(3)}) == 1


async def test_after_seven_attempts_it_is_given_up(
    storage: StorageInterface, settings: Settings, receiver: Receiver
) -> None:
    clock = WallClock(DUE)
    await note(storage, delivery(settings, receiver.url("/503/hook")))
    working = deliverer(storage, settings, clock)
    attempts = 0
    for _ in range(20):
        attempts += await working.deliver_due()
        clock.pass_(hours=3)
    assert attempts == len(PAUSES_SECONDS) + 1 == len(receiver.received())
    given_up = await kept(storage)
    assert (given_up.status, given_up.attempts, given_up.next_attempt_at) == (DeliveryStatus.FAILED, 7, None)
    assert given_up.error == "answered 503 Service Unavailable: not now [31m"


async def test_what_can_never_go_well_is_given_up_at_once(storage: StorageInterface, settings: Settings) -> None:
    clock = WallClock(DUE)
    unsealable = replace(delivery(settings, "http://127.0.0.1:9/", 1), sealed=b"sealed with another key")
    await note(storage, delivery(settings, "http://169.254.169.254/"), unsealable)
    assert await deliverer(storage, settings, clock).deliver_due() == 2
    statuses = {each.error: each.status for each in await storage.deliveries.of_schedule("s1")}
    assert set(statuses.values()) == {DeliveryStatus.FAILED}
    assert sorted(error[:24] for error in statuses if error) == sorted(
        ['"169.254.169.254" leads ', "the credentials were sea"]
    )


async def test_a_sender_that_was_killed_is_followed_by_another(
    storage: StorageInterface, settings: Settings, receiver: Receiver
) -> None:
    await note(storage, delivery(settings, receiver.url("/wait,200/hook")))
    command = [sys.executable, "-m", "tests.notifications.sender_process", str(settings.data_dir), DUE.isoformat()]
    process = subprocess.Popen(command, cwd=ROOT)  # noqa: ASYNC220 (no other task runs here)
    await asyncio.to_thread(receiver.received, 1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    clock = WallClock(DUE)
    assert await deliverer(storage, settings, clock).deliver_due() == 0
    clock.pass_(seconds=CLAIM_SECONDS + 1)
    assert await deliverer(storage, settings, clock).deliver_due() == 1
    first, second = receiver.received()
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    done = await kept(storage)
    assert (done.status, done.attempts) == (DeliveryStatus.DELIVERED, 2)


async def test_one_that_hangs_holds_no_other_up(
    storage: StorageInterface, settings: Settings, receiver: Receiver
) -> None:
    clock = WallClock(DUE)
    await note(
        storage, delivery(settings, receiver.url("/wait/hook")), delivery(settings, receiver.url("/200/other"), 1)
    )
    working = deliverer(storage, settings, clock)
    working.start()
    try:
        got = await asyncio.to_thread(receiver.received, 2)
    finally:
        await working.stop()
    assert {each.path for each in got} == {"/wait/hook", "/200/other"}


def test_a_claim_outlasts_every_attempt() -> None:
    from atm.notifications.channel import SEND_SECONDS

    assert CLAIM_SECONDS > 2 * (2 * SEND_SECONDS)
