"""Clients that behave in every way, at once: the server's counts add up, and it has no error of its own."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

from atm.testing import TargetServer
from tests.testing.wire import request

ROUTES = [
    "/",
    "/delay/3",
    "/lognormal?median_ms=2",
    "/echo/raw",
    "/chunked?chunks=50&size=1000",
    "/chunked?every_ms=2",
    "/bytes/3000000",
    "/slow?bytes=50&seconds=0.05",
    "/until-close?bytes=1000",
    "/early-hints",
    "/keep-alive/2",
    "/keep-alive/1?silent=1",
    "/close",
    "/reset?after_ms=2",
    "/half",
    "/half?reset=1",
    "/garbage",
    "/endless-header",
    "/wrong-length?declared=10&sent=5",
    "/wrong-length?declared=5&sent=10",
    "/never",
    "/early-answer",
    "/raw?base64=SFRUUC8xLjEgMjAwIE9LDQoNCg&at_a_time=3&every_ms=1&then=reset",
    "/nowhere",
    "/delay/bad",
]


async def _misbehave(port: int, source: random.Random) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with suppress(ConnectionError, TimeoutError):
        for _ in range(source.randint(1, 4)):
            body = b"z" * source.choice([0, 0, 10, 200_000])
            data = b"".join(
                request(source.choice(ROUTES), method="POST", body=body) for _ in range(source.randint(1, 3))
            )
            cut = len(data) if source.random() < 0.8 else source.randint(1, len(data))
            writer.write(data[:cut])
            await writer.drain()
            async with asyncio.timeout(source.choice([0.001, 0.02, 0.1])):
                while await reader.read(65536):
                    pass
    if source.random() < 0.5:
        writer.transport.abort()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def test_whatever_clients_do_the_counts_add_up_and_the_server_stays_well(pytestconfig) -> None:  # type: ignore[no-untyped-def]
    seed = pytestconfig.getoption("hypothesis_seed")
    source = random.Random(f"chaos {seed}")

    async def all_of_them(port: int) -> None:
        for _ in range(8):
            await asyncio.gather(*(_misbehave(port, source) for _ in range(60)))

    with TargetServer() as target:
        asyncio.run(all_of_them(target.port))
        stats, rows = target.settled_stats(), target.record()
        assert stats.received == stats.completed + stats.aborted + stats.broken == len(rows)
        assert min(stats.completed, stats.aborted, stats.broken) > 20
        assert sum(route.received for route in stats.routes.values()) == stats.received
        assert stats.connections_accepted == 480
        assert all(row.answered_ns is not None and row.answered_ns >= row.arrived_ns for row in rows)
        deadline = time.monotonic() + 60
        while target.stats().connections_open:
            assert time.monotonic() < deadline, "connections that no client holds stay open"
            time.sleep(0.01)
