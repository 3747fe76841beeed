"""Limits on a request to `atm mcp --http`: those of the Control API for heads, bodies and JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from atm.http_connection import BAD_FRAMING, refusal_of_head
from atm.models.bounded_json import JsonBoundsError, load_bounded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class RequestLimits:
    """Reads a body whole before the app does, and refuses what is beyond the limits."""

    def __init__(self, app: App, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = refusal_of_head(scope)
        if refusal is not None:
            status, what, code = refusal
            await refuse(send, status, what, *([(b"connection", b"close")] if code == BAD_FRAMING else []))
            return
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        is_whole = False
        while not is_whole:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                await refuse(send, 413, f"the body is larger than {self._max_body_bytes:,} bytes (ATM_MAX_BODY_BYTES)")
                return
            is_whole = not message.get("more_body", False)
        problem = await asyncio.to_thread(_problem, bytes(body))
        if problem:
            await refuse(send, 400, problem)
            return
        given = False

        async def again() -> Any:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, again, send)


def _problem(body: bytes) -> str:
    try:
        load_bounded(body)
    except JsonBoundsError as error:
        return f"the body: {error}"
    except ValueError:
        # The protocol has an answer of its own for what is no JSON.
        pass
    return ""


async def refuse(send: Send, status: int, what: str, *headers: tuple[bytes, bytes]) -> None:
    """Answer with an error, as JSON."""
    body = json.dumps({"error": what}).encode()
    length = (b"content-length", str(len(body)).encode())
    head = [(b"content-type", b"application/json"), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
