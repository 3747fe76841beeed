"""Run a target server in the foreground of this process, until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from atm.testing.server_process import watch_input
from atm.testing.target_server.addresses import Addresses
from atm.testing.target_server.options import ServerOptions
from atm.testing.target_server.record import Stats
from atm.testing.target_server.server import Server


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[Addresses], None] | None = None,
    options: ServerOptions | None = None,
    *,
    stop_with_input: bool = False,
) -> Stats:
    """Serve until SIGINT or SIGTERM, then give back the counts. Prints nothing.

    `on_ready` is called once, when the listeners are open. `options` takes the place of `host` and `port`.
    `stop_with_input` also stops at the end of standard input: the sign that a parent process is gone. Must be called
    in the main thread. Raises TargetServerError if it cannot listen.
    """
    chosen = options or ServerOptions(host=host, port=port)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(chosen, on_ready, stop_with_input))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop's event loop where it is installed, else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(options: ServerOptions, on_ready: Callable[[Addresses], None] | None, stop_with_input: bool) -> Stats:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    _raise_file_limit()
    server = Server(options, loop)
    addresses = await server.listen()
    if stop_with_input:
        watch_input(loop, stop)
    if on_ready is not None:
        on_ready(addresses)
    await stop.wait()
    stats = Stats.from_json(server.stats())
    server.close()
    return stats


def _raise_file_limit() -> None:
    """As many open connections as the system allows: the usual soft limit of 1,024 is less than a test may open."""
    try:
        import resource
    except ImportError:  # Not a POSIX system.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS calls its limit infinite and then refuses it.
        return
