"""How a recorder is started: in a session of its own, the job by pipe, what it says into a log beside its spool.

The pipe stays open for a while: a recorder takes longer to start than the load, and is told of a cancel meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from atm import child_process
from atm.config import Settings
from atm.runs.job import Job

_POLL_SECONDS = 0.05


class Launched:
    """A recorder, and through it its runner."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.was_killed = False
        """By `kill`."""

    @property
    def pid(self) -> int:
        """Of the recorder; its process group has the same number."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for its end. It removes its log by itself where nothing went wrong."""
        # Not by asyncio's own subprocesses: those are killed when the loop that started them ends, and runs go on.
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 (a process is no event)
            await asyncio.sleep(_POLL_SECONDS)
        return code

    async def tell(self, word: str) -> None:
        """Pass a command on to the runner: `stop` or `cancel`."""
        await asyncio.to_thread(self._tell, word)

    def _tell(self, word: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):  # it has ended by itself
                self._process.stdin.write(f"{word}\n".encode())
                self._process.stdin.flush()

    def kill(self) -> None:
        """End the recorder at once, with whatever it was at."""
        self.was_killed = True
        self._process.kill()

    def kill_all(self) -> None:
        """End the recorder and its runner at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def hang_up(self) -> None:
        """Nothing more will be told: the recorder listens by itself now, or has ended."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def leave(self) -> None:
        """Nobody here waits for it any more: it goes on by itself, and its end is written by itself."""
        self.hang_up()
        if self._process.poll() is None:
            self._process.returncode = 0  # or Popen would complain that it was left

    async def group_gone(self, seconds: float) -> None:
        """Wait until the runner has ended too, which it does when its recorder is gone; then make sure."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                await asyncio.sleep(_POLL_SECONDS)
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


async def launch(job: Job, directory: Path) -> Launched:
    """Start a recorder with this job. Raises OSError."""
    return await asyncio.to_thread(_launch, job, directory)


def _launch(job: Job, directory: Path) -> Launched:
    log = directory / f"{job.run_id}.{job.token}.log"
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as errors:
        process = child_process.start(
            "atm.runs.recorder_process",
            directory=directory,
            # It writes to the storage, whose secrets come by pipe or by what PostgreSQL's client reads by itself.
            variables=child_process.environment(*child_process.DATABASE_PREFIXES),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdin is not None
    # A broken pipe: it died before it had read its job, and whoever waits for it sees that.
    with suppress(BrokenPipeError):
        process.stdin.write(job.to_bytes())
        process.stdin.flush()
    return Launched(process)


def settings_document(settings: Settings) -> dict[str, Any]:
    """The settings as plain data with their secrets: for a pipe to a process of ours, never for a log."""
    found: dict[str, Any] = {}
    for name in ("data_dir", "storage_type", "database_url", "db_echo"):
        value = getattr(settings, name)
        if value is not None:
            found[name] = value.get_secret_value() if isinstance(value, SecretStr) else _plain(value)
    return found


def _plain(value: Any) -> Any:
    return str(value.resolve()) if isinstance(value, Path) else value
