"""Supervisor of worker processes: uvicorn's, with health checks that do not block.

uvicorn pings one worker after the other and waits for each reply up to the health check timeout, even if the worker has
died. While a worker starts, which takes many seconds on a busy machine, it would neither handle a signal nor notice the
death of another worker. Here replies are polled, and a shutdown signal takes effect at once.
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
    """Starts workers and replaces those that died or did not reply for `config.timeout_worker_healthcheck`."""

    def __init__(self, config: Config, listener: socket.socket) -> None:
        super().__init__(config, sockets=[listener])
        self._pinged: dict[Process, float] = {}
        """Monotonic time of the ping that a worker has not replied to."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._end)

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        # In another thread: the main thread may hold the lock of this event when the handler interrupts it.
        threading.Thread(target=self.should_exit.set, daemon=True).start()

    def keep_subprocess_alive(self) -> None:
        """Check all workers; called twice a second."""
        for place, worker in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if not self._is_healthy(worker):
                self._replace(place, worker)

    def _is_healthy(self, worker: Process) -> bool:
        if not worker.process.is_alive():
            return False
        try:
            while worker.parent_conn.poll():
                worker.parent_conn.recv()
                self._pinged.pop(worker, None)
            if worker not in self._pinged:
                self._pinged[worker] = time.monotonic()
                worker.parent_conn.send(b"ping")
        except (OSError, EOFError):
            return False
        return time.monotonic() - self._pinged[worker] < self.config.timeout_worker_healthcheck

    def _replace(self, place: int, worker: Process) -> None:
        self._pinged.pop(worker, None)
        worker.kill()
        worker.join()
        if worker.exitcode == STARTUP_FAILURE:
            # Another one would fail in the same way; the reason is in the log.
            log.error("worker %s failed to start: shutting down", worker.pid)
            self.should_exit.set()
            return
        log.warning("worker %s ended with exit code %s: starting another", worker.pid, worker.exitcode)
        self.processes[place] = Process(self.config, self.sockets)
        self.processes[place].start()
