"""A server in a fresh interpreter: start it, wait until it is ready, freeze it, and stop it reliably.

The child is exec'd, never forked: event loops and Rust threads do not survive a fork. It has a separate process group
(Ctrl-C in the terminal is handled by the parent) and ends when its standard input does, so it ends with its parent in
any case; the kernel wakes a frozen child when its group is orphaned.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any, NoReturn

from atm import child_process
from atm.errors import Problem, TargetServerError

_STOP_SECONDS = 5.0


class ServerProcess:
    """The parent's side. The child first reads `configuration`, one line of JSON."""

    def __init__(self, module: str, configuration: str) -> None:
        self._module = module
        self._configuration = configuration
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None

    @property
    def pid(self) -> int:
        """The child's process id. Raises TargetServerError while it is not running."""
        return self._running().pid

    def start(self, ready_seconds: float) -> dict[str, Any]:
        """Start the child and return its ready line. Raises TargetServerError with the child's error output."""
        if self._process is not None:
            raise TargetServerError(Problem("this server is started already", "already_started"))
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the child)
        self._process = child_process.start(
            self._module, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, process_group=0
        )
        try:
            return self._handshake(self._process, ready_seconds)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> str:
        """Stop the child, with SIGKILL if needed. Return its error output; "" if it was not running."""
        process, self._process = self._process, None
        if process is None:
            return ""
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        output = self.error_output()
        self._errors.close()
        return output

    def freeze(self) -> None:
        """Send SIGSTOP: the kernel still accepts and acknowledges, but the server neither reads nor responds."""
        self._running().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._running().send_signal(signal.SIGCONT)

    def error_output(self) -> str:
        """The child's standard error so far, at most the last 4,000 bytes."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4000))
        return str(self._errors.read().decode(errors="replace").strip())

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise TargetServerError(Problem("this server is not running", "not_running", hint="Use it in a with block"))
        return self._process

    def _handshake(self, process: subprocess.Popen[bytes], ready_seconds: float) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(self._configuration.encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            self._failed(process, "ended before it was ready")
        deadline = time.monotonic() + ready_seconds
        line = b""
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self._failed(process, f"was not ready within {ready_seconds:g} s")
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    self._failed(process, "ended before it was ready")
                line += piece
        ready: dict[str, Any] = json.loads(line)
        if "problems" in ready:
            raise TargetServerError([Problem(**problem) for problem in ready["problems"]])
        return ready

    def _failed(self, process: subprocess.Popen[bytes], what: str) -> NoReturn:
        process.kill()
        process.wait()
        output = self.error_output()
        raise TargetServerError(
            Problem(f"{self._module} {what}" + (f"; its error output: {output}" if output else ""), "server_not_ready")
        )


def run_child(serve: Callable[[str, Callable[[dict[str, Any]], None]], object]) -> int:
    """The child's side: read the configuration, serve, report readiness or the problem. Returns the exit code.

    `serve` takes the configuration line and a function to call with the ready document; it returns when stopped.
    """
    configuration = b""
    while not configuration.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            return 0
        configuration += piece
    try:
        serve(configuration.decode(), _report)
    except TargetServerError as error:
        names = ("what", "code", "path", "place", "hint")
        _report({"problems": [{name: getattr(problem, name) for name in names} for problem in error.problems]})
        return 1
    return 0


def watch_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Set `stop` at the end of standard input: the parent has ended, or closed it."""

    def readable() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            stop.set()

    loop.add_reader(0, readable)


def _report(document: dict[str, Any]) -> None:
    os.write(1, json.dumps(document).encode() + b"\n")
