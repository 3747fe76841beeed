"""The minimal server of closed rows: `responder/`, which costs less per request than its clients.

nginx needs most of a core for a fast client, and then limits it. This server has one thread and constant answers.
"""

from __future__ import annotations

import http.client
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from atm.testing.certificates import Authority
from benches.measure import MeasurementError, cpu_seconds_so_far
from benches.peers.command import Protocol
from benches.peers.server import Count


class Responder:
    """Context manager of the server, pinned to `cpu`. Raises MeasurementError if it does not start."""

    name = "responder"

    def __init__(self, program: Path, cpu: int) -> None:
        self._program = program
        self._cpu = cpu
        self._folder = tempfile.TemporaryDirectory(prefix="atm-peers-responder-")
        self._process: subprocess.Popen[str] | None = None
        self._ports: dict[Protocol, int] = {}
        self._counter = 0

    def __enter__(self) -> Self:
        certificate = Authority(Path(self._folder.name)).server("localhost", "127.0.0.1")
        command = ["taskset", "--cpu-list", str(self._cpu), str(self._program)]
        self._process = process = subprocess.Popen(
            [*command, str(certificate.certificate), str(certificate.key)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        ports = process.stdout.readline().split()
        if len(ports) != 3:
            self.__exit__(None, None, None)
            raise MeasurementError("the responder did not start")
        plain, tls, self._counter = map(int, ports)
        self._ports = {
            Protocol.HTTP1: plain,
            Protocol.HTTP2_CLEAR: plain,
            Protocol.TLS: tls,
            Protocol.HTTP2: tls,
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        self._folder.cleanup()

    def port(self, protocol: Protocol) -> int:
        """Return the port of a protocol."""
        return self._ports[protocol]

    def count(self) -> Count:
        """Return its requests so far, and the CPU time of its thread."""
        assert self._process is not None
        connection = http.client.HTTPConnection("127.0.0.1", self._counter, timeout=10)
        try:
            connection.request("GET", "/")
            requests = int(connection.getresponse().read())
        finally:
            connection.close()
        return Count(time.monotonic(), requests, cpu_seconds_so_far(self._process.pid))
