"""Whether the target of a test can be reached from this machine: one connection, no request."""

from __future__ import annotations

import asyncio
import os
import time

from atm.engine.resolve import is_address, look_up
from atm.fleet.messages import Reach

CONNECT_SECONDS = 5.0


async def reach(host: str, port: int) -> Reach:
    """Resolve the host, connect to its first address, and disconnect."""
    addresses, error = ((host,), "") if is_address(host) else await look_up(host, port)
    if error:
        return Reach("", 0, error)
    begun = time.monotonic_ns()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(addresses[0], port)
    except TimeoutError:
        return Reach(addresses[0], 0, f"no connection within {CONNECT_SECONDS:g} s")
    except OSError as failure:
        return Reach(addresses[0], 0, os.strerror(failure.errno) if failure.errno else str(failure))
    writer.close()
    return Reach(addresses[0], time.monotonic_ns() - begun, "")
