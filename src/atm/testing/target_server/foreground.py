"""Run a target server in the foreground of this process until it is stopped."""

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
    """Serve until SIGINT or SIGTERM, then return the counts. Prints nothing.

    `on_ready` is called once, when the listeners are open. `options` replaces `host` and `port`. With
    `stop_with_input`, the end of standard input stops it too, which means that the parent process has ended. Must be
    called in the main thread. Raises TargetServerError if it cannot listen.
    """
    chosen = options or ServerOptions(host=host, port=port)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_serve(chosen, on_ready, stop_with_input))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Return a uvloop event loop if installed, else asyncio's."""
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
    """Raise the limit of open files as far as permitted: the usual soft limit of 1,024 is too low for tests."""
    try:
        import resource
    except ImportError:  # Not a POSIX system.
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):  # macOS reports an infinite limit and then refuses it.
        return
