"""Start a recorder process in its own session: the job by pipe, stderr into a log file beside its spool.

The pipe stays open while the recorder starts up, which takes longer than starting the load, so that an early cancel
reaches it.
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


class RecorderHandle:
    """A recorder process and, through it, its runner."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.was_killed = False
        """Whether `kill` ended it."""

    @property
    def pid(self) -> int:
        """The process id of the recorder, which is also its process group."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for the recorder to exit and return its exit code. It removes its own log on success."""
        # Not asyncio's subprocesses: those are killed when their event loop closes, and runs must outlive it.
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 (a process is no event)
            await asyncio.sleep(_POLL_SECONDS)
        return code

    async def send(self, command: str) -> None:
        """Send a command to the runner: `stop` or `cancel`."""
        await asyncio.to_thread(self._send, command)

    def _send(self, command: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            with suppress(OSError):  # the recorder has exited
                self._process.stdin.write(f"{command}\n".encode())
                self._process.stdin.flush()

    def kill(self) -> None:
        """Kill the recorder."""
        self.was_killed = True
        self._process.kill()

    def kill_all(self) -> None:
        """Kill the recorder and its runner."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close_pipe(self) -> None:
        """Close the command pipe: the recorder polls for commands itself now, or has exited."""
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()

    def detach(self) -> None:
        """Stop managing the recorder: it keeps running and records the end of the run itself."""
        self.close_pipe()
        if self._process.poll() is None:
            self._process.returncode = 0  # or Popen warns that the child is still running

    async def group_gone(self, seconds: float) -> None:
        """Wait for the runner to exit, as it does when its recorder is gone; kill it after `seconds`."""
        deadline = time.monotonic() + seconds
        try:
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                await asyncio.sleep(_POLL_SECONDS)
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


async def launch(job: Job, directory: Path) -> RecorderHandle:
    """Start a recorder with this job. Raises OSError."""
    return await asyncio.to_thread(_launch, job, directory)


def _launch(job: Job, directory: Path) -> RecorderHandle:
    log = directory / f"{job.run_id}.{job.token}.log"
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as errors:
        process = child_process.start(
            "atm.runs.recorder_process",
            directory=directory,
            # The recorder needs the storage: its secrets come by pipe, or from variables that libpq reads itself.
            variables=child_process.environment(*child_process.DATABASE_PREFIXES, *child_process.CLUSTER_PREFIXES),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    assert process.stdin is not None
    # Broken pipe: the recorder died before it read its job; `wait` reports that.
    with suppress(BrokenPipeError):
        process.stdin.write(job.to_bytes())
        process.stdin.flush()
    return RecorderHandle(process)


def settings_document(settings: Settings) -> dict[str, Any]:
    """Return the settings as plain data including secrets, for the pipe to the recorder; never log it."""
    document: dict[str, Any] = {}
    for name in ("data_dir", "storage_type", "database_url", "db_echo"):
        value = getattr(settings, name)
        if value is not None:
            document[name] = value.get_secret_value() if isinstance(value, SecretStr) else _plain(value)
    return document


def _plain(value: Any) -> Any:
    return str(value.resolve()) if isinstance(value, Path) else value
