"""Raw sockets, since no client library would send what an attacker sends."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE_SECONDS = 240.0


def connected(port: int, seconds: float = PATIENCE_SECONDS) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    opened.settimeout(seconds)
    return opened


def head(method: str, path: str, port: int, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *lines, "", ""]).encode("latin-1")


def sent(port: int, data: bytes, seconds: float = PATIENCE_SECONDS) -> bytes:
    """Everything that is answered until the server closes, or has answered one request whole."""
    with connected(port, seconds) as opened:
        with suppress(BrokenPipeError, ConnectionResetError):
            opened.sendall(data)
        return answer(opened)


def answer(opened: socket.socket) -> bytes:
    """One answer, head and body; what there is when the connection ends before that."""
    found = b""
    with suppress(ConnectionResetError):
        while not is_whole(found):
            piece = opened.recv(65_536)
            if not piece:
                break
            found += piece
    return found


def is_whole(data: bytes) -> bool:
    top, separator, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", top)
    if not separator:
        return False
    return len(body) >= int(length[1]) if length else b" 204 " in top.split(b"\r\n")[0]


def status(answered: bytes) -> int:
    """0 where nothing was answered."""
    found = re.match(rb"HTTP/1\.1 (\d{3})", answered)
    return int(found[1]) if found else 0


def document(answered: bytes) -> Any:
    return json.loads(answered.partition(b"\r\n\r\n")[2])


def resident_bytes(pid: int) -> int:
    assert sys.platform == "linux"
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def eventually(done: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
