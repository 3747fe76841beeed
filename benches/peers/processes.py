"""A client under measurement: started in a session of its own on one core, asked what it used, and surely ended."""

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
"""Places of the fields of /proc/PID/stat after the name of the command: see proc_pid_stat(5)."""
_DEATH_SECONDS = 5.0
_WORDS = 160
"""Characters of a message that a table can bear."""
_ENTER_GROUP = 'echo $$ > "$0" && exec "$@"'


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds that a session has used so far. `total` comes from the CPU clocks, to the nanosecond; the kernel
    splits it into user and system by ticks of 10 ms."""

    total: float
    user: float
    system: float

    def since(self, before: Usage) -> Usage:
        """What was used between two moments, split in the proportion of the ticks."""
        total = self.total - before.total
        user, system = self.user - before.user, self.system - before.system
        ticks = user + system
        share = user / ticks if ticks > 0 else 0.0
        return Usage(total, total * share, total * (1 - share))


class ClientProcess:
    """A context manager around one running client and everything that it starts; the end of the block kills it."""

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
        # Its children are not ours to wait for; what is measured next must not find them still dying.
        deadline = time.monotonic() + _DEATH_SECONDS
        while members(process.pid) and time.monotonic() < deadline:
            time.sleep(0.005)

    @property
    def running(self) -> bool:
        """Whether the first process of the session still runs."""
        return self._started().poll() is None

    def wait(self, seconds: float) -> str:
        """Wait for the end; gives back what it printed. Raises MeasurementError when it fails or takes longer."""
        process = self._started()
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise MeasurementError(f"did not end within {seconds:g} s: {self.said()}") from error
        if status not in self._command.good_statuses:
            raise MeasurementError(f"ended with {status}: {self.said()}")
        return self.stdout()

    def stdout(self) -> str:
        """What it printed so far."""
        return (self._scratch / "stdout").read_text(encoding="utf-8", errors="replace")

    def said(self) -> str:
        """The end of what it wrote to standard error, or else to standard output; for messages."""
        stderr = (self._scratch / "stderr").read_text(encoding="utf-8", errors="replace").strip()
        return last_words(stderr or self.stdout())

    def pids(self) -> list[int]:
        """Every process of the session that is alive."""
        return members(self._started().pid)

    def usage(self) -> Usage:
        """CPU time of the whole session up to now, children that have ended and been waited for included."""
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
        """The highest resident size that each process of the session has had (VmHWM), added up."""
        return sum(peak_memory_bytes(pid) for pid in self.pids())

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise MeasurementError("the client was not started")
        return self._process


def last_words(text: str) -> str:
    """The end of what a program said, in one line; of an error that it wrote as JSON, the message."""
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        message = text
    return " ".join(str(message).split())[-_WORDS:] or "it said nothing"


def members(session: int) -> list[int]:
    """The processes of a session that are alive."""
    return [pid for pid in _all_pids() if _lives_in(pid, session)]


def peak_memory_bytes(pid: int) -> int:
    """VmHWM of one process in bytes; 0 when it is gone."""
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
    # The command's name stands in parentheses and may hold anything, parentheses too.
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
