"""A bare loop of asyncio that sends one request again and again: what the event loop and the kernel cost alone.

It counts nothing, reads no clock, parses no response, and takes every response to be as long as the first one.

Usage: python -m benches.bare_loop PORT CONNECTIONS SECONDS
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

from atm.engine.asyncio_engine.engine import fastest_loop


class BareConnection(asyncio.Protocol):
    """Sends the request when it is connected, and after each response."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._length = 0
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport without being a subclass.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self._length:
            self._length = self._missing = len(data)
        self._missing -= len(data)
        if not self._missing:
            self._missing = self._length
            self._transport.write(self._request)


async def main(port: int, connections: int, seconds: float) -> None:
    """Send for a time."""
    request = f"GET /users/4711?page=1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: BareConnection(request), "127.0.0.1", port)
    await asyncio.sleep(seconds)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=fastest_loop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
