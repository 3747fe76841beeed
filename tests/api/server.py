"""A real server in a process of its own, and how tests talk to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

PATIENCE_SECONDS = 240.0
"""Only a very busy machine needs this long; it ends tests that hang."""

_SERVE = [sys.executable, "-m", "atm.api", "--for-parent"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ApiServer:
    """`python -m atm.api` with an installation of its own."""

    def __init__(
        self,
        data_dir: Path,
        *,
        workers: int = 1,
        within: Sequence[str] = (),
        options: Sequence[str] = (),
        **environment: str,
    ) -> None:
        """`within` are the words of a command that runs another one; it must not fork. `options` are the server's,
        and where it speaks TLS, SSL_CERT_FILE is the authority of its certificate.
        """
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http{'s' if 'ATM_TLS_CERT' in environment else ''}://127.0.0.1:{self.port}"
        authority = environment.get("SSL_CERT_FILE")
        # Over plain HTTP no authorities are needed, and reading those of the system takes longer than most answers.
        self.trusted = ssl.create_default_context(cafile=authority) if authority else False
        data_dir.mkdir(parents=True, exist_ok=True)
        self._log = (data_dir / "server.log").open("ab")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ATM_", "API_TEST"))}
        self.process = subprocess.Popen(
            # Whatever becomes of the tests, it ends with them: nothing else holds the other end of its input.
            [*within, *_SERVE, f"--port={self.port}", f"--workers={workers}", *options],
            env={**inherited, "ATM_DATA_DIR": str(data_dir), "ATM_RETENTION_COUNT": "", **environment},
            stdin=subprocess.PIPE,
            stderr=self._log,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def ready(self, seconds: float = PATIENCE_SECONDS) -> ApiServer:
        """Wait until it answers."""
        deadline = time.monotonic() + seconds
        with httpx.Client(trust_env=False, verify=self.trusted) as client:
            while True:
                with suppress(httpx.TransportError):
                    if client.get(f"{self.url}/health/ready").status_code == 200:
                        return self
                assert self.process.poll() is None, self.log()
                assert time.monotonic() < deadline, self.log()
                time.sleep(0.1)

    def client(self, **headers: str) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers=headers,
            timeout=PATIENCE_SECONDS,
            trust_env=False,
            verify=self.trusted,
        )

    def log(self) -> str:
        return (self.data_dir / "server.log").read_text()

    def stop(self) -> int:
        """Ask it to end, as systemd does; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(PATIENCE_SECONDS)
        finally:
            self.kill()
        return code

    def kill(self) -> None:
        """Kill the server and its workers; runs live in sessions of their own."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._log.close()


def events(
    client: httpx.Client, run_id: str, last: str = "", seconds: float = PATIENCE_SECONDS
) -> Iterator[tuple[str, str, Any]]:
    """Id, kind and data of each event of a run, until the stream ends."""
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"/runs/{run_id}/events", headers=headers, timeout=seconds) as response:
        assert response.status_code == 200, response.read()
        number, kind = "", ""
        for line in response.iter_lines():
            field, _, value = line.partition(": ")
            if field == "id":
                number = value
            elif field == "event":
                kind = value
            elif field == "data":
                yield number, kind, json.loads(value)
                number = ""


def ended(client: httpx.Client, run_id: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """The run when it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        run = client.get(f"/runs/{run_id}").json()
        if run["status"] in ("completed", "cancelled", "failed"):
            return run
        assert time.monotonic() < deadline, run
        time.sleep(0.2)
