"""Server-sent events (WHATWG HTML, 9.2): the parsing, and a stream that goes on where it broke off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
from pydantic import ValidationError

from atm.errors import ApiRefusedError, Problem, ServerUnreachableError, StorageUnavailableError
from atm.models.events import EVENTS, AnyRunEvent, FinishedEvent, ProgressEvent

if TYPE_CHECKING:
    from atm.client.connection import Connection

SILENCE_SECONDS = 40.0
"""A server says something every 15 s; a stream that is silent for longer is dead."""
RETRY_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""For so long a server may be away before watching is given up."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a stream."""

    event: str
    data: str
    id: str


@dataclass(slots=True)
class MessageParser:
    """Makes messages of lines. Pure; fields that it does not know are left out, as the standard says."""

    last_id: str = ""
    retry_seconds: float | None = None
    """What the server asks to wait before a new connection."""
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def line(self, line: str) -> Message | None:
        """Take one line, without its end; the message that it completes, if it does."""
        if not line:
            return self._dispatched()
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

    def _dispatched(self) -> Message | None:
        event, data = self._event, self._data
        self._event, self._data = "", []
        return Message(event or "message", "\n".join(data), self.last_id) if data else None


async def messages(response: httpx.Response, parser: MessageParser) -> AsyncIterator[Message]:
    """The messages of one connection. Raises httpx.TransportError when it breaks off."""
    rest = ""
    async for text in response.aiter_text():
        *lines, rest = _lines(rest + text)
        for line in lines:
            message = parser.line(line)
            if message is not None:
                yield message


def _lines(text: str) -> Iterator[str]:
    """Split at CR LF, LF and CR only; other separators belong to the text. The last part is not complete."""
    # A CR at the end may be the first half of CR LF: it waits for what follows.
    held = "\r" if text.endswith("\r") else ""
    parts = text.removesuffix("\r").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    parts[-1] += held
    yield from parts


async def follow_run(
    connection: Connection,
    run_id: str,
    after: int = 0,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[AnyRunEvent]:
    """Every event of a run after that number, each once and in order, whatever happens to the connection.

    Ends after `finished`. Raises NotFoundError, and ServerUnreachableError when the server stays away.
    """
    seen = after
    parser = MessageParser()
    away_since: float | None = None
    path = f"/runs/{run_id}/events"
    while True:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": str(seen)} if seen else {})}
        try:
            stream = connection.stream(path, headers=headers, silence_seconds=SILENCE_SECONDS)
            async for event in _events(stream, parser):
                away_since = None
                if isinstance(event, ProgressEvent):
                    yield event
                elif event.sequence > seen:
                    seen = event.sequence
                    yield event
                    if isinstance(event, FinishedEvent):
                        return
        except (ServerUnreachableError, StorageUnavailableError):
            away_since = clock() if away_since is None else away_since
            if clock() - away_since >= patience_seconds:
                raise
        except httpx.TransportError:
            # It broke off in the middle: whether the server is gone, the next attempt tells.
            away_since = clock() if away_since is None else away_since
        await asyncio.sleep(RETRY_SECONDS if parser.retry_seconds is None else parser.retry_seconds)


async def _events(
    stream: AbstractAsyncContextManager[httpx.Response], parser: MessageParser
) -> AsyncIterator[AnyRunEvent]:
    async with stream as response:
        async for message in messages(response, parser):
            try:
                yield EVENTS.validate_json(message.data)
            except ValidationError as error:
                what = f"the server told of {message.event!r} in words that this version does not know"
                hint = "Use the version of atm that the server has"
                raise ApiRefusedError(Problem(what, "unknown_event", hint=hint)) from error
