"""nginx as the server of closed rows, with one worker on one core, and its request count.

nginx is independent of this project and counts requests (`stub_status`), so figures do not rely on a client's output.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from atm.testing.certificates import Authority
from benches.measure import MeasurementError
from benches.peers.command import Protocol
from benches.peers.processes import peak_memory_bytes
from benches.peers.server import Count

ANSWER = '{"id":42,"name":"A short answer in JSON","tags":["one","two"],"active":true,"price":1234.56789012}'
"""98 bytes."""
BIG_BYTES = 10240
_READY_SECONDS = 10.0

_CONFIGURATION = """\
worker_processes 1;
worker_cpu_affinity {affinity};
worker_rlimit_nofile 65536;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 20000; multi_accept on; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  open_file_cache max=100;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  http2_max_concurrent_streams 256;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  ssl_protocols TLSv1.3;
  default_type application/json;
  server {{
    listen 127.0.0.1:{plain} backlog=4096;
    listen 127.0.0.1:{tls} ssl backlog=4096;
    listen 127.0.0.1:{http2} ssl http2 backlog=4096;
    listen 127.0.0.1:{http2_clear} http2 backlog=4096;
    root {folder}/files;
    location = / {{ return 200 '{answer}'; }}
    location = /big {{ }}
  }}
  server {{
    listen 127.0.0.1:{status};
    location = /status {{ stub_status; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports of nginx, all on 127.0.0.1."""

    plain: int
    tls: int
    http2: int
    http2_clear: int
    status: int


class Nginx:
    """Context manager of nginx with its worker pinned to `cpu`. Raises MeasurementError if it does not start."""

    name = "nginx"

    def __init__(self, program: Path, cpu: int) -> None:
        self._program = program
        self._cpu = cpu
        self._folder = tempfile.TemporaryDirectory(prefix="atm-peers-nginx-")
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self.ports = Ports(*free_ports(5))

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        # For root the worker runs as another user, which must read the file below.
        folder.chmod(0o755)
        (folder / "files").mkdir()
        (folder / "files" / "big").write_bytes(b"x" * BIG_BYTES)
        configuration = folder / "nginx.conf"
        configuration.write_text(self.configuration(folder), encoding="utf-8")
        command = [str(self._program), "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(configuration)]
        with (folder / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, process_group=0)
        self._wait_until_ready(folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def configuration(self, folder: Path) -> str:
        """Return the text of nginx.conf, with a new certificate in `folder`."""
        certificate = Authority(folder).server("localhost", "127.0.0.1")
        return _CONFIGURATION.format(
            folder=folder,
            affinity="1" + "0" * self._cpu,
            answer=ANSWER,
            certificate=certificate.certificate,
            key=certificate.key,
            plain=self.ports.plain,
            tls=self.ports.tls,
            http2=self.ports.http2,
            http2_clear=self.ports.http2_clear,
            status=self.ports.status,
        )

    def port(self, protocol: Protocol) -> int:
        """Return the port of a protocol."""
        ports = self.ports
        return {
            Protocol.HTTP1: ports.plain,
            Protocol.TLS: ports.tls,
            Protocol.HTTP2: ports.http2,
            Protocol.HTTP2_CLEAR: ports.http2_clear,
        }[protocol]

    def count(self) -> Count:
        """Return the number of requests so far, without the status requests."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports.status, timeout=10)
        try:
            connection.request("GET", "/status", headers={"Connection": "close"})
            body = connection.getresponse().read().decode()
        finally:
            connection.close()
        self._asked += 1
        return Count(time.monotonic(), requests_of(body) - self._asked, self._worker_cpu_seconds())

    def peak_memory_bytes(self) -> int:
        """Return the VmHWM of the worker."""
        return peak_memory_bytes(self._worker())

    def _worker_cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._worker()}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _worker(self) -> int:
        assert self._process is not None
        pid = self._process.pid
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()[0])

    def _wait_until_ready(self, folder: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                self.count()
                return
            except (OSError, IndexError):
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
            said = (folder / "stderr").read_text(encoding="utf-8", errors="replace").strip()
            self.__exit__(None, None, None)
            raise MeasurementError(f"nginx did not start: {said[-300:] or 'it said nothing'}")


def requests_of(status: str) -> int:
    """Parse the number of requests from nginx's stub_status page. Raises MeasurementError for any other page."""
    found = re.search(r"^\s*\d+ \d+ (\d+)\s*$", status, flags=re.MULTILINE)
    if found is None:
        raise MeasurementError(f"not a page of stub_status: {status[:100]!r}")
    return int(found.group(1))


def free_ports(count: int) -> list[int]:
    """Return different free ports of 127.0.0.1."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [listener.getsockname()[1] for listener in sockets]
    finally:
        for listener in sockets:
            listener.close()
