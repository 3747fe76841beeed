"""Process of a `ProxyServer`: `python -m atm.testing.proxy_server`, its options as JSON on standard input."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from typing import Any

from atm.testing.proxy_server.relay import Relay
from atm.testing.server_process import run_child, watch_input


async def _serve(options: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    watch_input(loop, stop)
    relay = Relay(options.get("username"), options.get("password"), options.get("refuse_status"))
    server = await asyncio.start_server(relay.serve, "127.0.0.1", 0, limit=1 << 20)
    report({"port": server.sockets[0].getsockname()[1]})
    await stop.wait()
    server.close()


if __name__ == "__main__":
    sys.exit(run_child(lambda configuration, report: asyncio.run(_serve(json.loads(configuration), report))))
