"""The append-only file between the process that sends load and the one that writes history: JSON Lines.

    {"kind": "run", "id": …, "name": …, "spec": …, …}    a run of the command line, which no storage knows yet
    {"kind": "started", "at": …, "engine": …, "endpoints": …, …}
    {"kind": "interval", "at": …, "interval": …}
    {"kind": "finished", "at": …, "status": …, "stop_reason": …, "error": …, "lost": …, "result": …}

A line counts once its line feed is there; a torn last line is the mark of a process that died while it wrote.
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
"""How much of a spool is read at once; what it holds takes about a hundred times as much in memory."""
PATIENCE_SECONDS = 600.0
"""So long what was measured waits in memory for room on the disk, when the load has ended."""

NOT_WRITTEN = 74
"""The exit code of a runner that could not write all that it had measured (EX_IOERR of sysexits.h)."""


class SpoolWriter:
    """Writes lines from a thread of its own, so that a slow disk is no stall of the load.

    A line is made (`render`) in that thread too. What cannot be written now (a full disk) waits in memory, and is tried
    again with the next line and at the end.
    """

    def __init__(self, path: Path) -> None:
        """Makes the file, for this user only. Raises OSError."""
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._queue: SimpleQueue[Callable[[], Line] | None] = SimpleQueue()
        self._rest = b""
        self.complaint = ""
        """Why something is not written; empty when everything is."""
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._thread.start()

    def hold(self) -> None:
        """Take the lock of the file until it is closed, also by the death of this process. Raises OSError."""
        import fcntl

        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def write(self, render: Callable[[], Line]) -> None:
        """Queue a line; returns at once."""
        self._queue.put(render)

    def close(self, attempts: int = round(PATIENCE_SECONDS / RETRY_SECONDS)) -> bool:
        """Write what is left, waiting for room where there is none; false where that is not possible."""
        self._queue.put(None)
        self._thread.join()
        pause = threading.Event()
        for _ in range(attempts):
            self._flush()
            if not self._rest:
                break
            pause.wait(RETRY_SECONDS)
        os.close(self._descriptor)
        return not self._rest

    def _work(self) -> None:
        while (render := self._queue.get()) is not None:
            self._rest += json.dumps(render(), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
            self._flush()

    def _flush(self) -> None:
        try:
            while self._rest:
                written = os.write(self._descriptor, self._rest)
                self._rest = self._rest[written:]
        except OSError as error:
            if not self.complaint:
                complain(f"the spool cannot be written: {error}")
            self.complaint = str(error)
        else:
            self.complaint = ""


class SpoolReader:
    """Reads the lines of a spool as they become complete."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._torn = b""

    def lines(self) -> list[Line]:
        """The lines that are complete since the last call. Raises ValueError for one that is no JSON object."""
        return [line for part in self.parts() for line in part]

    def parts(self) -> Iterator[list[Line]]:
        """The same some at a time, so that a long spool need not fit into memory."""
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
        *complete, self._torn = (self._torn + data).split(b"\n")
        lines = [json.loads(line) for line in complete if line]
        if not all(isinstance(line, dict) for line in lines):
            raise ValueError(f"{self._path.name} holds something else than a run")
        return lines


def complain(what: str) -> None:
    """Say something in the log of a run's processes. The log lies on the disk that may be full: then it is not said."""
    with suppress(OSError):
        os.write(2, f"{what}\n".encode())


def spool_path(directory: Path, run_id: str, token: str) -> Path:
    """Where the spool of one claim lies; ids and tokens are made of letters, digits, - and _."""
    return directory / f"{run_id}.{token}.jsonl"
