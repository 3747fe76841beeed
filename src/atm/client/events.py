"""Server-sent events (WHATWG HTML, 9.2): a parser, and a run's event stream that resumes after a lost connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import field
from typing import TYPE_CHECKING

import httpx
from pydantic import ValidationError

from atm.dataclass import dataclass
from atm.errors import ApiRefusedError, Problem, ServerUnreachableError, StorageUnavailableError
from atm.models.events import EVENTS, AnyRunEvent, FinishedEvent, ProgressEvent

if TYPE_CHECKING:
    from atm.client.connection import Connection

SILENCE_SECONDS = 40.0
"""Read timeout. A server sends something every 15 s, so a longer silence means a dead connection."""
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""Give up when the server has been unreachable for this long."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an event stream."""

    event: str
    data: str
    id: str


@dataclass(slots=True)
class MessageParser:
    """Builds messages from lines. Pure; ignores unknown fields, as the standard requires."""

    last_id: str = ""
    retry_seconds: float | None = None
    """Reconnection time that the server requested."""
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def line(self, line: str) -> Message | None:
        """Add one line, without its line end; return the message that it completes, if any."""
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdecimal():
            self.retry_seconds = int(value) / 1e3
        return None

    def _dispatch(self) -> Message | None:
        event, data = self._event, self._data
        self._event, self._data = "", []
        return Message(event or "message", "\n".join(data), self.last_id) if data else None


async def messages(response: httpx.Response, parser: MessageParser) -> AsyncIterator[Message]:
    """Yield the messages of one connection. Raises httpx.TransportError if it breaks off."""
    rest = ""
    async for text in response.aiter_text():
        *lines, rest = _lines(rest + text)
        for line in lines:
            message = parser.line(line)
            if message is not None:
                yield message


def _lines(text: str) -> Iterator[str]:
    """Split at CR LF, LF and CR only, not at other separators. The last part is an incomplete line."""
    # A CR at the end may be the first half of CR LF: keep it until more text arrives.
    pending = "\r" if text.endswith("\r") else ""
    parts = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    parts[-1] += pending
    yield from parts


async def follow_run(connection: Connection, run_id: str, after: int = 0) -> AsyncIterator[AnyRunEvent]:
    """Yield every event of a run after sequence number `after`, each once and in order, across lost connections.

    Ends after `finished`. Raises NotFoundError, and ServerUnreachableError after `PATIENCE_SECONDS` without a server.
    """
    last = after
    parser = MessageParser()
    away_since: float | None = None
    path = f"/runs/{run_id}/events"
    while True:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(last)} if last else {})}
        try:
            stream = connection.stream(path, headers=headers, silence_seconds=SILENCE_SECONDS)
            async for event in _events(stream, parser):
                away_since = None
                if isinstance(event, ProgressEvent):
                    yield event
                elif event.sequence > last:
                    last = event.sequence
                    yield event
                    if isinstance(event, FinishedEvent):
                        return
        except (ServerUnreachableError, StorageUnavailableError):
            away_since = time.monotonic() if away_since is None else away_since
            if time.monotonic() - away_since >= PATIENCE_SECONDS:
                raise
        except httpx.TransportError:
            # The connection broke off; the next attempt shows whether the server is gone.
            away_since = time.monotonic() if away_since is None else away_since
        await asyncio.sleep(RETRY_SECONDS if parser.retry_seconds is None else parser.retry_seconds)


async def _events(
    stream: AbstractAsyncContextManager[httpx.Response], parser: MessageParser
) -> AsyncIterator[AnyRunEvent]:
    async with stream as response:
        async for message in messages(response, parser):
            try:
                yield EVENTS.validate_json(message.data)
            except ValidationError as error:
                what = f"the server sent an event {message.event!r} that this version cannot read"
                hint = "Use the same version of atm as the server"
                raise ApiRefusedError(Problem(what, "unknown_event", hint=hint)) from error
