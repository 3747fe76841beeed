"""The spool: an append-only JSON Lines file between the process that sends load and the one that writes history.

    {"kind": "run", "id": …, "name": …, "spec": …, …}    a command-line run, which is not in storage yet
    {"kind": "started", "at": …, "engine": …, "endpoints": …, …}
    {"kind": "interval", "at": …, "interval": …}
    {"kind": "finished", "at": …, "status": …, "stop_reason": …, "error": …, "lost": …, "result": …}

A line is valid once its line feed is written; an incomplete last line means that its writer died.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

Line = Mapping[str, Any]
RETRY_SECONDS = 0.5
AT_ONCE_BYTES = 1 << 13
"""How much of a spool is read at a time; decoded, it takes about a hundred times as much memory."""
PATIENCE_SECONDS = 600.0
"""After the load, how long unwritten data waits in memory for free disk space."""

NOT_WRITTEN = 74
"""The exit code of a runner that could not write all its data (EX_IOERR of sysexits.h)."""

LOCAL_SPOOLS = "local-*.jsonl"
"""File names of the spools of command-line runs that are in progress, or whose process was killed."""
ENDED_SPOOLS = "ended-*.jsonl"
"""File names of the spools of command-line runs that have ended and are not stored yet."""


def files_folder(spool: Path) -> Path:
    """Return the private folder of the files that the run of a spool uses; it is removed with the spool."""
    return spool.with_suffix(".files")


class SpoolWriter:
    """Write lines from a separate thread, so that a slow disk does not stall the load.

    `render` runs in that thread too. On a write error (a full disk) lines wait in memory, and are retried with the next
    line and on close.
    """

    def __init__(self, path: Path) -> None:
        """Create the file with mode 0600. Raises OSError."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._queue: SimpleQueue[Callable[[], Line] | None] = SimpleQueue()
        self._unwritten = b""
        self.error = ""
        """Why lines are unwritten; empty when all are written."""
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """Lock the file until it is closed or this process dies. Raises OSError."""
        import fcntl

        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def write(self, render: Callable[[], Line]) -> None:
        """Queue a line; returns at once."""
        self._queue.put(render)

    def close(self, attempts: int = round(PATIENCE_SECONDS / RETRY_SECONDS)) -> bool:
        """Write the remaining lines, retrying while the disk is full; return false when that fails."""
        self._queue.put(None)
        self._thread.join()
        pause = threading.Event()
        for _ in range(attempts):
            self._flush()
            if not self._unwritten:
                break
            pause.wait(RETRY_SECONDS)
        os.close(self._descriptor)
        return not self._unwritten

    def _work(self) -> None:
        while (render := self._queue.get()) is not None:
            self._unwritten += json.dumps(render(), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            self._flush()

    def _flush(self) -> None:
        try:
            while self._unwritten:
                written = os.write(self._descriptor, self._unwritten)
                self._unwritten = self._unwritten[written:]
        except OSError as error:
            if not self.error:
                log_to_stderr(f"the spool cannot be written: {error}")
            self.error = str(error)
        else:
            self.error = ""


class SpoolReader:
    """Read the lines of a spool as they become complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._incomplete = b""

    def lines(self) -> list[Line]:
        """Return the lines completed since the last call. Raises ValueError for a line that is not a JSON object."""
        return [line for part in self.parts() for line in part]

    def parts(self) -> Iterator[list[Line]]:
        """Yield the same lines in parts, so that a long spool need not fit into memory."""
        while data := self._read():
            yield self._complete(data)

    def _read(self) -> bytes:
        try:
            if os.stat(self._path).st_size == self._position:
                return b""
            with self._path.open("rb") as file:
                file.seek(self._position)
                return file.read(AT_ONCE_BYTES)
        except FileNotFoundError:
            return b""

    def _complete(self, data: bytes) -> list[Line]:
        self._position += len(data)
        *complete, self._incomplete = (self._incomplete + data).split(b"\n")
        lines = [json.loads(line) for line in complete if line]
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError(f"{self._path.name} is not the spool of a run")
        return lines


def log_to_stderr(message: str) -> None:
    """Write a message to the log of a run's processes; dropped when its disk is full."""
    with suppress(OSError):
        os.write(2, f"{message}\n".encode())


def spool_path(directory: Path, run_id: str, token: str) -> Path:
    """Return the spool path of one claim; ids and tokens consist of letters, digits, - and _."""
    return directory / f"{run_id}.{token}.jsonl"
