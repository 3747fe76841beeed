"""A worker as a process: messages on standard input, answers on standard output, framed as `framing` says.

A thread reads and writes, so that a full pipe never delays the engine. When standard input ends, or no message arrives
for some seconds, the controller is gone: the worker cancels its load, writes the seconds that were not fetched to a
file, and exits. A call that blocks the event loop prevents that, so on Linux the kernel also signals the parent's
death, and kills a worker that has not exited some seconds later.

Usage: python -m atm.fleet.worker_process [MOST_THREADS] (started by a transport)
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from functools import partial

from atm import entry_point
from atm.fleet import messages
from atm.fleet.frames import frame, read_frame
from atm.fleet.parent_death import signal_at_parents_death
from atm.fleet.worker import Worker

PATIENCE_SECONDS = 5.0
"""How long a worker sends load without a message from its controller."""
FIRST_PATIENCE_SECONDS = 60.0
"""How long it waits for the first message."""
LAST_SECONDS = 5
"""How long it has to save its seconds and exit after its parent's death."""
_BROKEN = 1


class WorkerProcess:
    """Connects one worker to the standard streams of this process."""

    def __init__(self, most_threads: int | None = None) -> None:
        self._worker = Worker(most_threads)
        # What a library prints must not reach the controller as an answer.
        self._output = os.dup(1)
        os.dup2(2, 1)
        self._is_over = asyncio.Event()
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self) -> int:
        """Serve until the controller says so or is gone; return the exit code."""
        loop = asyncio.get_running_loop()
        self._end_with_the_parent(loop)
        self._expect_a_message_by(time.monotonic() + FIRST_PATIENCE_SECONDS)
        threading.Thread(target=self._serve, args=(loop,), name="messages", daemon=True).start()
        await self._is_over.wait()
        if self._worker.has_ended:
            return 0
        _save(await self._worker.abandon())
        return _BROKEN

    def _end_with_the_parent(self, loop: asyncio.AbstractEventLoop) -> None:
        def end(*_: object) -> None:
            # Nothing handles this alarm, so the kernel kills the process, whatever runs in it then.
            signal.alarm(LAST_SECONDS)
            loop.call_soon_threadsafe(self._is_over.set)

        # Not a handler of the loop: that would wait for the code that blocks it.
        signal.signal(signal.SIGTERM, end)
        signal_at_parents_death(signal.SIGTERM)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            while not self._worker.has_ended and (message := read_frame(partial(os.read, 0))) is not None:
                answer = asyncio.run_coroutine_threadsafe(self._answer(message), loop).result()
                _write(self._output, frame(answer))
        except (OSError, ValueError) as error:
            print(f"atm worker: {error}", file=sys.stderr)  # noqa: T201  # the transport shows it
        loop.call_soon_threadsafe(self._is_over.set)

    async def _answer(self, message: bytes) -> bytes:
        # A lease counts from when the message was sent, so the controller knows when the load has ended for certain.
        lease = messages.lease_of(message) / 1e9
        self._expect_a_message_by(lease or None)
        try:
            return await self._worker.answer(message)
        finally:
            self._expect_a_message_by(lease or time.monotonic() + PATIENCE_SECONDS)

    def _expect_a_message_by(self, deadline: float | None) -> None:
        """End after `deadline`, in `time.monotonic` as the loop's clock, unless called again before; None is never."""
        if self._deadline is not None:
            self._deadline.cancel()
        loop = asyncio.get_running_loop()
        self._deadline = None if deadline is None else loop.call_at(deadline, self._is_over.set)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _save(seconds: Sequence[bytes]) -> None:
    """Write seconds that the controller did not fetch to a private file, one JSON object per line."""
    if not seconds:
        return
    descriptor, path = tempfile.mkstemp(prefix="atm-worker-", suffix=".jsonl")
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(second + b"\n" for second in seconds)
    print(f"atm worker: {len(seconds)} seconds that were not fetched are in {path}", file=sys.stderr)  # noqa: T201


async def _main(most_threads: int | None) -> int:
    return await WorkerProcess(most_threads).run()


def main() -> int:
    """Run the worker process."""
    arguments = sys.argv[1:]
    return asyncio.run(_main(int(arguments[0]) if arguments else None))


if __name__ == "__main__":
    entry_point.run(main)
