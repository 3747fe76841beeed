"""Close open streams when the server shuts down.

A server waits for responses in progress before it notifies the app, and a stream does not end by itself. The signal
comes first, whichever server runs the app.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def on_shutdown_signal(callback: Callable[[], None]) -> Iterator[None]:
    """Within the block, call `callback` on the running event loop when a signal ends the server.

    The server's own handlers are still called. Outside the main thread there are no signals; a signal without a
    handler ends the process as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(callback)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            # Keep a handler that was set in the meantime.
            if signal.getsignal(number) is handle:
                signal.signal(number, handler)
