"""Event streams: a run's events over SSE and WebSocket, and changes of the list of runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, TypeVar

from fastapi import Header, Query, WebSocket, WebSocketDisconnect, status
from fastapi.responses import StreamingResponse

from atm.api.deps import Plane, RunId
from atm.api.late_route import Routes
from atm.errors import NotFoundError
from atm.models.control.runs import ListChange
from atm.runs.lookup import whole_run_id
from atm.runs.views import summary_view
from atm.runs.watcher import EncodedEvent
from atm.storage.records import RunSummary

router = Routes("live")

HEARTBEAT_SECONDS = 15.0
_EVENT: dict[str, object] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Sequence number for Last-Event-ID; progress events have none."},
        "event": {"type": "string", "description": "Kind of the event."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_STREAM: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Server-sent events; the schema describes one event",
        "content": {"text/event-stream": {"schema": _EVENT, "example": "event: progress\ndata: {…}\n\n"}},
    }
}
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The run does not exist"}}
_Item = TypeVar("_Item")
After = Annotated[int, Query(ge=0, le=2**31, description="Skip events up to this sequence number.")]


@router.get("/runs/{run_id}/events", response_class=StreamingResponse, responses={**_STREAM, **_NOT_FOUND})
async def stream_run(
    plane: Plane,
    run_id: RunId,
    after: After = 0,
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", max_length=20, pattern="^[0-9]*$", description="Resume after this event."),
    ] = None,
) -> StreamingResponse:
    """Stream all events of a run with their sequence number as id; ends with the run."""
    # Raise a 404 before the stream starts.
    await plane.storage.leases.control(run_id)
    last = int(last_event_id) if last_event_id else after
    return _stream(_run_lines(plane.watcher.watch(run_id, last)))


@router.get("/events", response_class=StreamingResponse, responses=_STREAM)
async def stream_list(plane: Plane) -> StreamingResponse:
    """Stream the list of runs: the newest ones, then runs that are new, changed or deleted."""
    return _stream(_list_lines(plane.watcher.watch_list()))


@router.websocket("/runs/{run_id}/ws")
async def watch_run(socket: WebSocket, plane: Plane, run_id: str, after: After = 0) -> None:
    """Send the events of a run as JSON messages; messages of the client are ignored."""
    await socket.accept()
    try:
        run_id = await whole_run_id(plane.storage, run_id)
        await plane.storage.leases.control(run_id)
    except NotFoundError as error:
        await socket.close(4404, error.problems[0].what[:120])
        return
    listening = asyncio.create_task(_until_gone(socket))
    sending = asyncio.create_task(_send_all(socket, plane.watcher.watch(run_id, after)))
    try:
        await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            sending.result()
            with suppress(RuntimeError, WebSocketDisconnect):  # already disconnected
                # 1012 makes clients reconnect; 1000 is a normal end.
                await socket.close(status.WS_1012_SERVICE_RESTART if plane.watcher.has_ended else 1000)
    finally:
        for task in (listening, sending):
            task.cancel()
        await asyncio.gather(listening, sending, return_exceptions=True)


async def _until_gone(socket: WebSocket) -> None:
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()


async def _send_all(socket: WebSocket, events: AsyncIterator[EncodedEvent]) -> None:
    with suppress(WebSocketDisconnect):
        async for event in events:
            await socket.send_text(event.json)


def _stream(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _run_lines(events: AsyncIterator[EncodedEvent]) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for event in _with_heartbeats(events):
        if event is None:
            yield ": heartbeat\n\n"
        else:
            number = "" if event.sequence is None else f"id: {event.sequence}\n"
            yield f"{number}event: {event.kind}\ndata: {event.json}\n\n"


async def _list_lines(changes: AsyncIterator[list[RunSummary | str]]) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for batch in _with_heartbeats(changes):
        for change in batch or ():
            if isinstance(change, str):
                message = ListChange(kind="deleted", id=change)
            else:
                message = ListChange(kind="run", id=change.id, run=summary_view(change))
            yield f"event: {message.kind}\ndata: {message.model_dump_json()}\n\n"
        if batch is None:
            yield ": heartbeat\n\n"


async def _with_heartbeats(items: AsyncIterator[_Item]) -> AsyncIterator[_Item | None]:
    """Yield the items, and None after a silence, because proxies close idle connections."""
    pending = asyncio.ensure_future(anext(items, _END))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=HEARTBEAT_SECONDS)
            if not done:
                yield None
                continue
            item = pending.result()
            if item is _END:
                return
            pending = asyncio.ensure_future(anext(items, _END))
            yield item  # type: ignore[misc]  # not _END
    finally:
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)


class _End:
    """Type of the marker after the last item."""


_END = _End()
