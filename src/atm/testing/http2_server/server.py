"""`Http2Server`: an HTTP/2 server in a separate process, managed by a with block."""

from __future__ import annotations

import http.client
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from atm.dataclass import dataclass
from atm.errors import Problem, TargetServerError
from atm.testing.server_process import ServerProcess

if TYPE_CHECKING:
    from atm.testing.certificates import Authority


@dataclass(frozen=True, slots=True)
class Http2Request:
    """One request as the server understood it."""

    connection: int
    """1-based, in the order of connecting."""
    stream: int
    method: str
    scheme: str
    authority: str
    path: str
    headers: tuple[tuple[str, str], ...]
    """All fields except pseudo-header fields, in order."""
    body_bytes: int
    whole: bool
    """The request was received completely."""
    reset: bool
    """The client cancelled it (RST_STREAM)."""


@dataclass(frozen=True, slots=True)
class Http2Record:
    """The server's record since the last `reset`."""

    requests: tuple[Http2Request, ...]
    connections: int
    """Number of connections opened."""
    connections_open: int
    most_streams: int
    """Most requests in progress at the same time on one connection."""
    faults: tuple[str, ...]
    """Violations that `h2` found in the client's frames; empty for a correct client."""
    goodbyes: tuple[str, ...]
    """Error codes of the clients' GOAWAY frames."""


class Http2Server:
    """A context manager. `port` takes HTTP/2 with prior knowledge; `tls_port` offers `protocols` by ALPN.

    Routes (all in `routes.py`): `/status/N`, `/bytes/N`, `/delay/MS`, `/echo`, `/never`, and `/raw`, which sends exact
    bytes. Raises TargetServerError if it cannot start.
    """

    def __init__(
        self, *, protocols: Sequence[str] = ("h2", "http/1.1"), max_streams: int = 100, window: int = 65_535
    ) -> None:
        self._options = {"protocols": list(protocols), "max_streams": max_streams, "window": window}
        self._process: ServerProcess | None = None
        self._directory: tempfile.TemporaryDirectory[str] | None = None
        self._authority: Authority | None = None
        self._ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        from atm.testing.certificates import Authority

        self._directory = tempfile.TemporaryDirectory(prefix="atm-http2-")
        self._authority = Authority(Path(self._directory.name))
        files = self._authority.server("127.0.0.1", "localhost")
        options = {**self._options, "certificate": str(files.certificate), "key": str(files.key)}
        process = ServerProcess("atm.testing.http2_server", json.dumps(options))
        try:
            self._ports = process.start(20.0)
        except BaseException:
            self._directory.cleanup()
            raise
        self._process = process
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        output = process.stop() if process is not None else ""
        if self._directory is not None:
            self._directory.cleanup()
        if output and error is None:
            raise TargetServerError(Problem(f"the HTTP/2 server reported: {output}", "server_complained"))

    @property
    def port(self) -> int:
        """URL in clear, for prior knowledge."""
        return self._ports["port"]

    @property
    def tls_port(self) -> int:
        return self._ports["tls_port"]

    @property
    def control_port(self) -> int:
        """URL over HTTP/1.1, for the record; other clients see a server without HTTP/2."""
        return self._ports["control_port"]

    @property
    def ca_file(self) -> Path:
        """The CA that clients must trust."""
        if self._authority is None:
            raise TargetServerError(Problem("this server is not running", "not_running", hint="use a with block"))
        return self._authority.ca_file

    def record(self) -> Http2Record:
        """Return the record so far."""
        document = json.loads(self._ask("/__record__"))
        for row in document["requests"]:
            row["headers"] = tuple((name, value) for name, value in row["headers"])
        requests = tuple(Http2Request(**row) for row in document["requests"])
        for name in ("faults", "goodbyes"):
            document[name] = tuple(document[name])
        return Http2Record(**{**document, "requests": requests})

    def reset(self) -> None:
        """Clear the record."""
        self._ask("/__reset__")

    def _ask(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()
