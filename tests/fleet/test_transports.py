"""What every transport of a fleet does, against real worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from atm.fleet import messages
from atm.fleet.local_processes import LocalProcesses
from atm.fleet.ray_session import RaySession
from atm.fleet.ray_transport import RayTransport
from atm.fleet.transport import Link, LinkLostError, Transport
from atm.version import VERSION
from tests.fleet.processes import has_ended
from tests.fleet.ray_cluster import RayCluster

TRANSPORTS = ("local processes", "ray")
PATIENCE = 60.0


@pytest.fixture(params=TRANSPORTS)
def new_transport(request: pytest.FixtureRequest) -> Callable[[], Transport]:
    if request.param == "local processes":
        return LocalProcesses
    cluster: RayCluster = request.getfixturevalue("ray_cluster")
    session: RaySession = request.getfixturevalue("ray_session")
    return lambda: RayTransport(cluster.address, session=session)


async def ask(link: Link, message: messages.Message, timeout: float = PATIENCE) -> messages.Answer:
    return messages.decode_answer(await link.call(messages.encode(message), timeout))


async def described(link: Link) -> messages.Description:
    answer = await ask(link, messages.Describe())
    assert isinstance(answer, messages.Description)
    return answer


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 4 * PATIENCE))


def test_workers_are_processes_that_answer_everything_and_nothing_is_left_of_them_after_close(
    new_transport: Callable[[], Transport],
) -> None:
    async def scenario() -> None:
        transport = new_transport()
        try:
            first, second, third = links = await transport.open(3)
            descriptions = [await described(link) for link in links]
            pids = [description.pid for description in descriptions]
            assert len({*pids, os.getpid()}) == 4
            assert len({link.name for link in links}) == 3
            assert {description.version for description in descriptions} == {VERSION}
            assert all("asyncio" in description.engines for description in descriptions)
            earlier, later = await ask(first, messages.ReadClock()), await ask(first, messages.ReadClock())
            assert isinstance(earlier, messages.ClockReading)
            assert isinstance(later, messages.ClockReading)
            assert earlier.now_ns < later.now_ns
            large = await ask(second, messages.Prepare(b'{"x":"' + b"x" * 6_000_000 + b'"}'))
            assert isinstance(large, messages.Refused)
            unknown = messages.decode_answer(await third.call(b"\x00 no message", PATIENCE))
            assert isinstance(unknown, messages.Refused)
            assert unknown.code == "unknown_message"
            assert [(await described(link)).pid for link in (second, third)] == pids[1:]
            os.kill(pids[1], signal.SIGSTOP)
        finally:
            await transport.close()
        await transport.close()
        for pid in pids:
            await has_ended(pid)

    run(scenario)


def test_a_worker_that_died_was_stopped_or_has_ended_is_lost_and_the_others_answer(
    new_transport: Callable[[], Transport],
) -> None:
    async def scenario() -> None:
        transport = new_transport()
        try:
            dead, stopped, ending = await transport.open(3)
            pids = [(await described(link)).pid for link in (dead, stopped, ending)]
            os.kill(pids[0], signal.SIGKILL)
            with pytest.raises(LinkLostError, match=r"worker"):
                await described(dead)
            with pytest.raises(LinkLostError):
                await described(dead)
            os.kill(pids[1], signal.SIGSTOP)
            begun = time.monotonic()
            with pytest.raises(LinkLostError, match="did not answer"):
                await ask(stopped, messages.Describe(), 0.5)
            assert time.monotonic() - begun >= 0.5
            await stopped.kill()
            await stopped.kill()
            assert (await described(ending)).pid == pids[2]
            assert isinstance(await ask(ending, messages.End()), messages.Done)
            with pytest.raises(LinkLostError):
                await described(ending)
            for pid in pids:
                await has_ended(pid)
        finally:
            await transport.close()

    run(scenario)
