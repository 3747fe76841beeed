"""What every transport of a fleet does, against real worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

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


@asynccontextmanager
async def opened(new_transport: Callable[[], Transport], count: int) -> AsyncIterator[list[Link]]:
    transport = new_transport()
    try:
        yield await transport.open(count)
    finally:
        await transport.close()


async def ask(link: Link, message: messages.Message, timeout: float = PATIENCE) -> messages.Answer:
    return messages.decode_answer(await link.call(messages.encode(message), timeout))


async def described(link: Link) -> messages.Description:
    answer = await ask(link, messages.Describe())
    assert isinstance(answer, messages.Description)
    return answer


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 4 * PATIENCE))


def test_each_worker_is_a_process_of_its_own_with_a_name_of_its_own(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 3) as links:
            descriptions = [await described(link) for link in links]
            assert len({description.pid for description in descriptions} | {os.getpid()}) == 4
            assert len({link.name for link in links}) == 3
            assert {description.version for description in descriptions} == {VERSION}
            assert all("asyncio" in description.engines for description in descriptions)

    run(scenario)


def test_a_worker_tells_its_clock_which_goes_on(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 1) as (link,):
            first, second = await ask(link, messages.ReadClock()), await ask(link, messages.ReadClock())
            assert isinstance(first, messages.ClockReading)
            assert isinstance(second, messages.ClockReading)
            assert first.now_ns < second.now_ns

    run(scenario)


def test_a_message_of_many_megabytes_arrives(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 1) as (link,):
            answer = await ask(link, messages.Prepare(b'{"x":"' + b"x" * 20_000_000 + b'"}'))
            assert isinstance(answer, messages.Refused)
            assert (await described(link)).pid > 0

    run(scenario)


def test_bytes_that_are_no_message_are_refused_and_the_worker_goes_on(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 1) as (link,):
            answer = messages.decode_answer(await link.call(b"\x00 no message", PATIENCE))
            assert isinstance(answer, messages.Refused)
            assert answer.code == "unknown_message"
            assert (await described(link)).pid > 0

    run(scenario)


def test_a_dead_worker_is_lost_at_once_and_the_others_answer(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 2) as (first, second):
            os.kill((await described(first)).pid, signal.SIGKILL)
            with pytest.raises(LinkLostError, match=r"worker"):
                await described(first)
            with pytest.raises(LinkLostError):
                await described(first)
            assert (await described(second)).pid > 0

    run(scenario)


def test_a_stopped_worker_is_lost_after_the_timeout_and_can_be_killed(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 1) as (link,):
            pid = (await described(link)).pid
            os.kill(pid, signal.SIGSTOP)
            begun = time.monotonic()
            with pytest.raises(LinkLostError, match="did not answer"):
                await ask(link, messages.Describe(), 0.5)
            assert time.monotonic() - begun >= 0.5
            await link.kill()
            await link.kill()
            await has_ended(pid)

    run(scenario)


def test_a_worker_that_was_told_to_end_is_lost_afterwards(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        async with opened(new_transport, 1) as (link,):
            pid = (await described(link)).pid
            assert isinstance(await ask(link, messages.End()), messages.Done)
            with pytest.raises(LinkLostError):
                await described(link)
            await has_ended(pid)

    run(scenario)


def test_nothing_is_left_after_close_even_of_stopped_workers(new_transport: Callable[[], Transport]) -> None:
    async def scenario() -> None:
        transport = new_transport()
        pids = [(await described(link)).pid for link in await transport.open(3)]
        os.kill(pids[1], signal.SIGSTOP)
        await transport.close()
        await transport.close()
        for pid in pids:
            await has_ended(pid)

    run(scenario)
