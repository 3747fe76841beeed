"""Worker processes on this machine, reached by pipes."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Self

from atm import child_process
from atm.engine.environment import usable_cores
from atm.errors import Problem
from atm.fleet.frames import frame, receive_frame
from atm.fleet.transport import FleetError, Link, LinkLostError

_LAST_WORDS_BYTES = 4096
"""How much of the end of a worker's standard error is kept for messages."""


class ProcessLink:
    """A worker process that this process started, and its pipes."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process
        self._errors = bytearray()
        self._reading = asyncio.create_task(self._read_errors())
        self._is_lost = False

    @classmethod
    async def start(cls, name: str, most_threads: int | None = None) -> Self:
        """Start a worker process; `most_threads` limits the threads of each load. Raises OSError."""
        pipe = asyncio.subprocess.PIPE
        # In a session of its own: Ctrl-C reaches the controller only, which ends its workers in order.
        arguments = () if most_threads is None else (str(most_threads),)
        process = await child_process.start_async(
            "atm.fleet.worker_process", *arguments, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        return cls(name, process)

    @property
    def name(self) -> str:
        return self._name

    @property
    def pid(self) -> int:
        """The id of the worker process."""
        return self._process.pid

    async def call(self, message: bytes, timeout_seconds: float) -> bytes:
        if self._is_lost:
            raise LinkLostError(f"{self._name} was lost before")
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(message)
        except TimeoutError as error:
            self._is_lost = True
            raise LinkLostError(f"{self._name} did not answer within {timeout_seconds:g} s") from error
        except (OSError, EOFError, ValueError) as error:
            self._is_lost = True
            raise LinkLostError(await self._how_it_ended()) from error

    def close_pipe(self) -> None:
        """Close the worker's input, as the death of this process would; the worker cancels its load and exits."""
        self._is_lost = True
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def kill(self) -> bool:
        # The group exists until its processes have been waited for, so the number cannot belong to others.
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._reading
        self.close_pipe()
        return True

    async def _exchange(self, message: bytes) -> bytes:
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None
        assert reader is not None
        if writer.transport.is_closing():
            raise EOFError("the worker has ended")
        writer.write(frame(message))
        await writer.drain()
        return await receive_frame(reader)

    async def _read_errors(self) -> None:
        reader = self._process.stderr
        assert reader is not None
        while part := await reader.read(_LAST_WORDS_BYTES):
            self._errors += part
            del self._errors[:-_LAST_WORDS_BYTES]

    async def _how_it_ended(self) -> str:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), 1)
        code = self._process.returncode
        if code is None:
            return f"{self._name} closed its pipe"
        how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        lines = bytes(self._errors).decode(errors="replace").strip().splitlines()
        return f"{self._name} {how}" + (f": {lines[-1]}" if lines else "")


class LocalProcesses:
    """The transport to worker processes on this machine."""

    def __init__(self) -> None:
        self._links: list[ProcessLink] = []

    async def open(self, count: int, least: int | None = None) -> list[Link]:
        started: list[Link] = []
        # A single worker leaves half of the cores to others, as the engine does without workers.
        most_threads = max(usable_cores() // count, 1) if count > 1 else None
        try:
            for number in range(len(self._links) + 1, len(self._links) + count + 1):
                link = await ProcessLink.start(f"worker {number}", most_threads)
                self._links.append(link)
                started.append(link)
        except OSError as error:
            if least is not None and len(started) >= least:
                return started
            await self.close()
            raise FleetError(
                Problem(
                    f"could not start {count} worker processes: {error}",
                    "workers_not_started",
                    hint="Fewer `--processes`, or a higher `ulimit -u`",
                )
            ) from error
        return started

    async def close(self) -> None:
        for link in self._links:
            await link.kill()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
