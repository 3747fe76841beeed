"""nginx as the target of benchmarks: one worker on a separate core, a small constant response, a request count."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from benches.measure import MeasurementError

BODY = '{"id":4711,"name":"Ada Lovelace","email":"ada@example.test","roles":["admin","author"],"ok":true}  '
"""98 bytes of JSON, a typical small API response."""

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log stderr error;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type application/json;
        location / {{ {headers} return 200 '{body}'; }}
        location = /__status__ {{ stub_status; }}
    }}
}}
"""


class Nginx:
    """Context manager of a running nginx. Raises MeasurementError if nginx is not installed or does not start."""

    def __init__(self, core: int, body: str = BODY, headers: Mapping[str, str] | None = None) -> None:
        """Create one that answers everything with `body`, without quotes and dollars, and these further headers."""
        self._core = core
        self._body = body
        self._headers = " ".join(f"add_header {name} '{value}';" for name, value in (headers or {}).items())
        self._directory = tempfile.TemporaryDirectory(prefix="atm-nginx-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            raise MeasurementError("nginx is not installed: apt-get install nginx-light")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        configuration = Path(self._directory.name) / "nginx.conf"
        text = _CONFIGURATION.format(
            directory=self._directory.name, port=self.port, body=self._body, headers=self._headers
        )
        configuration.write_text(text, encoding="utf-8")
        command = ["taskset", "-c", str(self._core), program, "-p", self._directory.name, "-c", str(configuration)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while True:
            try:
                self.requests()
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.__exit__(None, None, None)
                    raise MeasurementError("nginx did not start") from None
                time.sleep(0.02)
            else:
                return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self._directory.cleanup()

    def requests(self) -> int:
        """Return the number of requests answered so far, including this one (stub_status)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/__status__")
            lines = connection.getresponse().read().decode().splitlines()
        finally:
            connection.close()
        return int(lines[2].split()[2])
