"""Handle a connection to the proxy (RFC 9110, sections 7.6 and 9.3.6): tunnel, forward or refuse it."""

from __future__ import annotations

import asyncio
import base64
import json
from http import HTTPStatus
from urllib.parse import urlsplit

from atm.dataclass import dataclass

_LOCAL = ("127.0.0.1", "::1", "localhost")
_HOP_BY_HOP = frozenset({"proxy-authorization", "proxy-connection", "connection", "keep-alive"})


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head."""

    method: str
    target: str
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str | None:
        """Return the first value of a header, by its lower-case name."""
        return next((value for header, value in self.headers if header.lower() == name), None)


class Relay:
    """Serves connections and records their requests."""

    def __init__(self, username: str | None, password: str | None, refuse_status: int | None) -> None:
        credentials = f"{username}:{password or ''}".encode()
        self._authorization = None if username is None else "Basic " + base64.b64encode(credentials).decode()
        self._refuse_status = refuse_status
        self._record: list[tuple[str, str, list[tuple[str, str]], int]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client connection: any number of forwarded requests, or one tunnel."""
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # The client or the origin has closed the connection.
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = _parse(await reader.readuntil(b"\r\n\r\n"))
        if head.target == "/__record__":
            await _respond(writer, 200, json.dumps(self._record).encode())
            return True
        refusal = self._refusal(head)
        if refusal is not None:
            self._note(head, refusal)
            await _respond(writer, refusal, b"the proxy refuses\n")
            return False
        if head.method == "CONNECT":
            await self._tunnel(head, reader, writer)
            return False
        return await self._forward(head, reader, writer)

    def _refusal(self, head: Head) -> int | None:
        if self._refuse_status is not None:
            return self._refuse_status
        if self._authorization is not None and head.header("proxy-authorization") != self._authorization:
            return 407
        return None if _origin(head)[0] in _LOCAL else 403

    def _note(self, head: Head, status: int) -> None:
        self._record.append((head.method, head.target, head.headers, status))

    async def _dial(
        self, head: Head, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            return await asyncio.open_connection(*_origin(head), limit=1 << 20)
        except OSError:
            self._note(head, 502)
            await _respond(writer, 502, b"the origin cannot be reached\n")
            return None

    async def _tunnel(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        origin = await self._dial(head, writer)
        if origin is None:
            return
        self._note(head, 200)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(reader, origin[1]), _copy(origin[0], writer))

    async def _forward(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        body = await _body(head, reader)
        origin = await self._dial(head, writer)
        if origin is None:
            return False
        parts = urlsplit(head.target)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = [field for field in head.headers if field[0].lower() not in _HOP_BY_HOP]
        lines = [f"{head.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
        origin[1].write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
        response = await origin[0].readuntil(b"\r\n\r\n")
        self._note(head, int(response[9:12]))
        writer.write(response)
        # The request to the origin has `Connection: close`, so closing the connection ends the response in any framing.
        await _copy(origin[0], writer)
        origin[1].close()
        return False


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass  # One side is closed; the other is closed below.
    finally:
        writer.close()


async def _body(head: Head, reader: asyncio.StreamReader) -> bytes:
    """Read the request's body with its framing."""
    if (head.header("transfer-encoding") or "").lower() != "chunked":
        return await reader.readexactly(int(head.header("content-length") or 0))
    pieces: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        pieces += [line, await reader.readexactly(size + 2)] if size else [line]
        if not size:
            break
    while pieces[-1] != b"\r\n":
        pieces.append(await reader.readuntil(b"\r\n"))
    return b"".join(pieces)


def _parse(head: bytes) -> Head:
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ", 2)
    fields = (line.partition(":") for line in lines[1:] if line)
    return Head(method, target, [(name, value.strip()) for name, _, value in fields])


def _origin(head: Head) -> tuple[str, int]:
    parts = urlsplit(f"//{head.target}" if head.method == "CONNECT" else head.target)
    return parts.hostname or "", parts.port or 80


async def _respond(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    challenge = "Proxy-Authenticate: Basic\r\n" if status == 407 else ""
    close = "" if status == 200 else "Connection: close\r\n"
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{challenge}{close}Content-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
