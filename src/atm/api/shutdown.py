"""How streams learn that their server is about to end, so that none of them keeps it waiting.

A server waits for answers that are under way before it tells the app that it ends, and a stream has no end of its own.
The signal is what comes first, whichever server runs the app.
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
def on_shutdown_signal(tell: Callable[[], None]) -> Iterator[None]:
    """Within the block, `tell` is called on the running event loop as soon as a signal asks the server to end.

    The server's own handlers are called as before. Elsewhere than in the main thread there are no signals, and a
    signal that nobody handles ends the process as it always did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {each: handler for each in _SIGNALS if callable(handler := signal.getsignal(each))}

    def heard(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for each in before:
        signal.signal(each, heard)
    try:
        yield
    finally:
        for each, handler in before.items():
            # Whoever has set another one meanwhile keeps it.
            if signal.getsignal(each) is heard:
                signal.signal(each, handler)
