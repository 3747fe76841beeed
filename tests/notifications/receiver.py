"""A server in a process of its own that receives notifications, records every byte of them, and responds as configured.

`python -m tests.notifications.receiver FILE` prints its port; each request becomes a line of FILE. The first part of
a path is what it answers: `/503,503,200/hook` with each of these once, then with the last one for ever.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """The process, and what it has received."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "received.jsonl"
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.notifications.receiver", str(self._file)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        with self._process:
            self._process.kill()

    def url(self, path: str = "/200/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def received(self, at_least: int = 0, seconds: float = 50) -> list[Received]:
        """What has come so far; waits until it is so much."""
        deadline = time.monotonic() + seconds
        while True:
            lines = self._file.read_text().splitlines() if self._file.exists() else []
            if len(lines) >= at_least:
                found = [json.loads(line) for line in lines]
                return [Received(each["path"], each["headers"], base64.b64decode(each["body"])) for each in found]
            assert time.monotonic() < deadline, lines
            time.sleep(0.02)


def main(name: str) -> None:
    seen: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            line = {
                "path": self.path,
                "headers": {key.lower(): value for key, value in self.headers.items()},
                "body": base64.b64encode(body).decode(),
            }
            with Path(name).open("a") as file:
                file.write(json.dumps(line) + "\n")
            answers = self.path.split("/")[1].split(",")
            status = answers[min(seen[self.path], len(answers) - 1)]
            seen[self.path] += 1
            if status == "wait":
                time.sleep(60)
            self.send_response(int(status) if status.isdigit() else 200)
            if status == "302":
                self.send_header("Location", "/200/elsewhere")
            said = b"" if status == "200" else b"not\nnow \x1b[31m"
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Nothing is said on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1])
