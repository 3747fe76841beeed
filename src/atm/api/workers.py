"""The workers of a server: uvicorn's, but that one of them never keeps the others waiting.

uvicorn asks one worker after the other whether it lives, and waits for each answer as long as a worker may be silent,
even when the worker has died meanwhile. Starting takes seconds, and on a busy machine many of them: for so long it
would neither hear a signal nor see that another worker is gone. Here answers are looked for, and not waited for, and
a signal to end is heard at once, not when it is looked for the next time.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from types import FrameType

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

log = logging.getLogger("atm.api")


class Workers(Multiprocess):
    """Starts workers and replaces those that died, or were silent for `config.timeout_worker_healthcheck`."""

    def __init__(self, config: Config, listener: socket.socket) -> None:
        super().__init__(config, sockets=[listener])
        self._asked: dict[Process, float] = {}
        """Since when a worker owes an answer (our monotonic clock)."""
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, self._end)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        # In a thread of its own: the handler may have come while the main thread holds the lock of this very event.
        threading.Thread(target=self.should_exit.set, daemon=True).start()

    def keep_subprocess_alive(self) -> None:
        """Twice a second."""
        for place, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if not self._is_well(worker):
                self._replace(place, worker)

    def _is_well(self, worker: Process) -> bool:
        if not worker.process.is_alive():
            return False
        try:
            while worker.parent_conn.poll():
                worker.parent_conn.recv()
                self._asked.pop(worker, None)
            if worker not in self._asked:
                self._asked[worker] = time.monotonic()
                worker.parent_conn.send(b"ping")
        except (OSError, EOFError):
            return False
        return time.monotonic() - self._asked[worker] < self.config.timeout_worker_healthcheck

    def _replace(self, place: int, worker: Process) -> None:
        self._asked.pop(worker, None)
        worker.kill()
        worker.join()
        if worker.exitcode == STARTUP_FAILURE:
            # It would fail in the same way again; what was wrong is in the log.
            log.error("worker %s could not start, so the server ends", worker.pid)
            self.should_exit.set()
            return
        log.warning("worker %s ended with %s, another one is started", worker.pid, worker.exitcode)
        self.processes[place] = Process(self.config, self.sockets)
        self.processes[place].start()
