"""A worker process ends with the thread that started it, although its pipes stay open and its lease is long."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from atm import child_process
from atm.fleet import messages
from atm.fleet.frames import frame, read_frame
from tests.fleet.processes import has_ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only this kernel signals the parent's death")

BLOCKED = """
import asyncio, sys, time
from atm.fleet.worker_process import WorkerProcess

async def block():
    print("blocked", file=sys.stderr, flush=True)
    time.sleep(600)

async def main():
    await asyncio.gather(WorkerProcess().run(), block())

asyncio.run(main())
"""


def started_by_a_thread_that_ends(start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(start()))
    thread.start()
    thread.join()
    return started[0]


def test_a_worker_exits() -> None:
    def start() -> subprocess.Popen[bytes]:
        process = child_process.start("atm.fleet.worker_process", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        in_an_hour = time.monotonic_ns() + 3_600_000_000_000
        process.stdin.write(frame(messages.encode(messages.ReadClock(), in_an_hour)))
        process.stdin.flush()
        assert read_frame(process.stdout.read) is not None
        return process

    with started_by_a_thread_that_ends(start) as process:
        asyncio.run(has_ended(process.pid))
    assert process.returncode == 1


def test_a_worker_whose_loop_is_blocked_is_killed() -> None:
    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", BLOCKED], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert process.stderr.readline() == b"blocked\n"
        return process

    with started_by_a_thread_that_ends(start) as process:
        asyncio.run(has_ended(process.pid))
    assert process.returncode == -signal.SIGALRM
