"""A measured client: a process in its own session on one core, with its CPU time and memory, killed at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benches.measure import MeasurementError, cpu_seconds_so_far
from benches.peers.command import Command

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STATE, _SESSION, _UTIME, _STIME, _CUTIME, _CSTIME = 0, 3, 11, 12, 13, 14
"""Indices of fields in /proc/PID/stat after the command name: see proc_pid_stat(5)."""
_DEATH_SECONDS = 5.0
_WORDS = 160
"""Maximum length of a message in a table."""
_ENTER_GROUP = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds of a session so far. `total` comes from the CPU clocks in nanosecond resolution; the kernel splits it
    into user and system in ticks of 10 ms."""

    total: float
    user: float
    system: float

    def since(self, before: Usage) -> Usage:
        """Return the difference between two points in time, split in proportion to the ticks."""
        total = self.total - before.total
        user, system = self.user - before.user, self.system - before.system
        ticks = user + system
        share = user / ticks if ticks > 0 else 0.0
        return Usage(total, total * share, total * (1 - share))


class ClientProcess:
    """Context manager of a running client with all its processes; the end of the block kills them."""

    def __init__(self, command: Command, cpu: int, scratch: Path, group: Path | None = None) -> None:
        self._command = command
        self._scratch = scratch
        pinned = ["taskset", "--cpu-list", str(cpu), *command.argv]
        self._argv = pinned if group is None else ["sh", "-c", _ENTER_GROUP, str(group / "cgroup.procs"), *pinned]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with (self._scratch / "stdout").open("wb") as stdout, (self._scratch / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                cwd=self._scratch,
                env={**os.environ, **self._command.environment},
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._started()
        for pid in [process.pid, *members(process.pid)]:
            if pid == process.pid and process.poll() is not None:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        # We cannot wait for its children, but they must have ended before the next measurement.
        deadline = time.monotonic() + _DEATH_SECONDS
        while members(process.pid) and time.monotonic() < deadline:
            time.sleep(0.005)

    @property
    def running(self) -> bool:
        """Return whether the first process of the session is running."""
        return self._started().poll() is None

    def wait(self, seconds: float) -> str:
        """Wait for the end and return the output. Raises MeasurementError on failure or timeout."""
        process = self._started()
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"did not end within {seconds:g} s: {self.said()}") from error
        if status not in self._command.good_statuses:
            raise MeasurementError(f"ended with {status}: {self.said()}")
        return self.stdout()

    def stdout(self) -> str:
        """Return the output so far."""
        return (self._scratch / "stdout").read_text(encoding="utf-8", errors="replace")

    def said(self) -> str:
        """Return the end of standard error, or of standard output, for messages."""
        stderr = (self._scratch / "stderr").read_text(encoding="utf-8", errors="replace").strip()
        return last_words(stderr or self.stdout())

    def pids(self) -> list[int]:
        """Return all live processes of the session."""
        return members(self._started().pid)

    def usage(self) -> Usage:
        """Return the CPU time of the session so far, including ended children that were waited for."""
        total = user = system = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = _stat(pid)
                reaped_user, reaped_system = int(fields[_CUTIME]), int(fields[_CSTIME])
                total += cpu_seconds_so_far(pid) + (reaped_user + reaped_system) / _TICKS_PER_SECOND
                user += (int(fields[_UTIME]) + reaped_user) / _TICKS_PER_SECOND
                system += (int(fields[_STIME]) + reaped_system) / _TICKS_PER_SECOND
        return Usage(total, user, system)

    def peak_memory_bytes(self) -> int:
        """Return the sum of the peak resident sizes (VmHWM) of the session's processes."""
        return sum(peak_memory_bytes(pid) for pid in self.pids())

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise MeasurementError("the client was not started")
        return self._process


def last_words(text: str) -> str:
    """Return the end of a program's output as one line; for a JSON error, its message."""
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        message = text
    return " ".join(str(message).split())[-_WORDS:] or "it said nothing"


def members(session: int) -> list[int]:
    """Return the live processes of a session."""
    return [pid for pid in _all_pids() if _lives_in(pid, session)]


def peak_memory_bytes(pid: int) -> int:
    """Return the VmHWM of a process in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _lives_in(pid: int, session: int) -> bool:
    try:
        fields = _stat(pid)
    except OSError:
        return False
    return int(fields[_SESSION]) == session and fields[_STATE] not in "ZX"


def _stat(pid: int) -> list[str]:
    # The command name is in parentheses and can contain any character, including parentheses.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
