"""`ProxyServer`: a forward proxy in a separate process, managed by a with block."""

from __future__ import annotations

import http.client
import json
from types import TracebackType
from typing import Any, Self

from atm.dataclass import dataclass
from atm.errors import Problem, TargetServerError
from atm.testing.server_process import ServerProcess


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """One request of a client to the proxy."""

    method: str
    target: str
    """`host:port` for CONNECT, else the absolute URL."""
    headers: tuple[tuple[str, str], ...]
    status: int
    """Status of the proxy's response: 200 for a tunnel, the origin's status for a forwarded request."""


class ProxyServer:
    """A context manager. With `username` and `password` it requires Basic credentials (407 without them); with
    `refuse_status` it refuses every request with that status. Raises TargetServerError if it cannot start.
    """

    def __init__(
        self, *, username: str | None = None, password: str | None = None, refuse_status: int | None = None
    ) -> None:
        self._options = {"username": username, "password": password, "refuse_status": refuse_status}
        self._process: ServerProcess | None = None
        self._port = 0

    def __enter__(self) -> Self:
        process = ServerProcess("atm.testing.proxy_server", json.dumps(self._options))
        self._port = int(process.start(20.0)["port"])
        self._process = process
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        if self._process is None:
            raise TargetServerError(Problem("this proxy is not running", "not_running", hint="Use it in a with block"))
        return self._port

    @property
    def url(self) -> str:
        """Base URL without trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[ProxyRequest]:
        """Return the requests so far, in the order of the responses."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/__record__")
            rows: list[Any] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return [
            ProxyRequest(method, target, tuple((name, value) for name, value in headers), status)
            for method, target, headers, status in rows
        ]
