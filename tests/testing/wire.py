"""A client of raw bytes: what goes over the wire, and nothing that a library would make of it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

TIMEOUT = 100.0


@dataclass(frozen=True)
class Answer:
    """An answer taken apart: the head as it came, headers with lower-case names, the body after framing."""

    status: int
    head: bytes
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), TIMEOUT)
        self._buffer = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def get(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        self.send(request(target, *headers, method=method, body=body))
        return self.answer(head_only=method == "HEAD")

    def everything(self) -> bytes:
        """All bytes until the server closes in order; raises ConnectionResetError if it resets."""
        pieces = [self._buffer]
        self._buffer = b""
        while piece := self.socket.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)

    def head(self) -> Answer:
        head = self._until(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = (line.partition(": ") for line in lines[1:] if line)
        return Answer(int(lines[0].split(" ")[1]), head, {name.lower(): value for name, _, value in fields}, b"")

    def answer(self, *, head_only: bool = False) -> Answer:
        answer = self.head()
        if head_only or answer.status in (204, 304) or answer.status < 200:
            body = b""
        elif "content-length" in answer.headers:
            body = self.exactly(int(answer.headers["content-length"]))
        elif answer.headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        else:
            body = self.everything()
        return Answer(answer.status, answer.head, answer.headers, body)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self._until(b"\r\n").strip(), 16):
            body += self.exactly(size)
            assert self.exactly(2) == b"\r\n"
        while self._until(b"\r\n") != b"\r\n":
            pass
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._read()
        part, _, self._buffer = self._buffer.partition(mark)
        return part + mark

    def exactly(self, size: int) -> bytes:
        pieces = [self._buffer]
        missing = size - len(self._buffer)
        while missing > 0:
            self._buffer = b""
            self._read()
            pieces.append(self._buffer)
            missing -= len(self._buffer)
        together = b"".join(pieces)
        self._buffer = together[size:]
        return together[:size]

    def _read(self) -> None:
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError(f"the server closed after {self._buffer!r}")
        self._buffer += piece


def request(target: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    fields = ["Host: test", *headers]
    if body:
        fields.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fields, "", ""]).encode() + body
