"""A server that shuts down while pages are open: their streams end, and clients that reconnect miss no event."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import connect

from atm.testing import TargetServer
from tests.api.server import PATIENCE_SECONDS, ApiServer, events
from tests.runs.installation import spec
from tests.steadiness import allowed

ENDS_WITHIN_SECONDS = 1.5


class Page:
    """What a page holds open: the list of runs, one run, and the same run by WebSocket; each in a thread."""

    def __init__(self, server: ApiServer, run_id: str) -> None:
        self._server, self._run_id = server, run_id
        self.numbers: list[int] = []
        self.told_by_list = 0
        self.how: dict[str, Any] = {}
        self._threads = [threading.Thread(target=each) for each in (self._list, self._events, self._socket)]
        for thread in self._threads:
            thread.start()

    def wait_until_open(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (self.told_by_list and self.numbers and "socket" in self.how):
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self) -> dict[str, Any]:
        """How each ended, when all have."""
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()
        return self.how

    def _list(self) -> None:
        with self._server.client() as client:
            try:
                with client.stream("GET", "/events") as response:
                    for line in response.iter_lines():
                        self.told_by_list += line.startswith("data: ")
                self.how["list"] = "ended"
            except httpx.TransportError as error:
                self.how["list"] = error

    def _events(self) -> None:
        with self._server.client() as client:
            try:
                self.numbers += (int(number) for number, _, _ in events(client, self._run_id) if number)
                self.how["events"] = "ended"
            except httpx.TransportError as error:
                self.how["events"] = error

    def _socket(self) -> None:
        with connect(f"ws{self._server.url.removeprefix('http')}/api/v1/runs/{self._run_id}/ws", proxy=None) as socket:
            try:
                while True:
                    socket.recv()
                    self.how["socket"] = "open"
            except ConnectionClosed as closed:
                self.how["socket"] = closed.rcvd and closed.rcvd.code


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGINT), (2, signal.SIGTERM)])
def test_ctrl_c_ends_open_pages_at_once_and_who_comes_back_misses_nothing(
    tmp_path: Path, target: TargetServer, workers: int, number: signal.Signals
) -> None:
    asked_for = {"spec": spec(target, requests_per_second=20, duration=600)}
    server = ApiServer(tmp_path, workers=workers)
    try:
        with server.ready().client() as client:
            run_id = client.post("/runs", json=asked_for).json()["id"]
        page = Page(server, run_id)
        page.wait_until_open()
        signalled = time.monotonic()
        # A terminal tells the whole group; systemd only the first process.
        (os.killpg if number == signal.SIGINT else os.kill)(server.process.pid, number)
        server.process.wait(PATIENCE_SECONDS)
        took = time.monotonic() - signalled
    finally:
        server.kill()
    assert page.end() == {"list": "ended", "events": "ended", "socket": CloseCode.SERVICE_RESTART}
    assert "graceful shutdown exceeded" not in server.log()
    assert took < allowed(ENDS_WITHIN_SECONDS)

    again = ApiServer(tmp_path)
    try:
        with again.ready().client() as client:
            client.post(f"/runs/{run_id}/cancel", params={"graceful": True})
            rest = list(events(client, run_id, last=str(page.numbers[-1])))
    finally:
        again.kill()
    received = page.numbers + [int(each) for each, _, _ in rest if each]
    assert received == list(range(1, len(received) + 1))
    assert rest[-1][1] == "finished"
    assert rest[-1][2]["status"] == "completed"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_of_a_parent_without_input_listens_and_ends(tmp_path: Path, workers: int) -> None:
    command = [sys.executable, "-m", "atm.api", "--for-parent", "--port=0", f"--workers={workers}"]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "ATM_DATA_DIR": str(tmp_path)},
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["url"].startswith("http://127.0.0.1:")
    assert "Traceback" not in ended.stderr
