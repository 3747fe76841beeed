"""What happens now: the events of a run by SSE and WebSocket, and the list of runs for the whole dashboard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, TypeVar

from fastapi import APIRouter, Header, Query, WebSocket, WebSocketDisconnect, status
from fastapi.responses import StreamingResponse

from atm.api.deps import Plane, RunId
from atm.errors import NotFoundError
from atm.models.control.runs import ListChange
from atm.runs.lookup import whole_run_id
from atm.runs.views import summary_view
from atm.runs.watcher import EncodedEvent
from atm.storage.records import RunSummary

router = APIRouter(tags=["live"])

HEARTBEAT_SECONDS = 15.0
_EVENT: dict[str, object] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "The event's number, for Last-Event-ID; progress has none."},
        "event": {"type": "string", "description": "Its kind."},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_STREAM: dict[int | str, dict[str, object]] = {
    200: {
        "description": "Server-sent events; the schema is that of one of them",
        "content": {"text/event-stream": {"schema": _EVENT, "example": "event: progress\ndata: {…}\n\n"}},
    }
}
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "There is no such run"}}
_Item = TypeVar("_Item")
After = Annotated[int, Query(ge=0, le=2**31, description="Leave out events up to this number.")]


@router.get("/runs/{run_id}/events", response_class=StreamingResponse, responses={**_STREAM, **_NOT_FOUND})
async def stream_run(
    plane: Plane,
    run_id: RunId,
    after: After = 0,
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", max_length=20, pattern="^[0-9]*$", description="Go on after it.")
    ] = None,
) -> StreamingResponse:
    """Watch a run: every event with its number as the id, from the first one on; ends when the run has."""
    # Before the stream begins: what is not there is a 404.
    await plane.storage.leases.control(run_id)
    seen = int(last_event_id) if last_event_id else after
    return _streamed(_run_lines(plane.watcher.watch(run_id, seen)))


@router.get("/events", response_class=StreamingResponse, responses=_STREAM)
async def stream_list(plane: Plane) -> StreamingResponse:
    """Watch the newest runs: what there is, then what is new, changed or deleted."""
    return _streamed(_list_lines(plane.watcher.watch_list()))


@router.websocket("/runs/{run_id}/ws")
async def watch_run(socket: WebSocket, plane: Plane, run_id: str, after: After = 0) -> None:
    """The same events as JSON messages; what the client sends is ignored."""
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
            with suppress(RuntimeError, WebSocketDisconnect):  # it has gone by itself
                # Who is told that the server goes away comes back; who is told of a normal end does not.
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
        async for told in events:
            await socket.send_text(told.json)


def _streamed(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(lines, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _run_lines(events: AsyncIterator[EncodedEvent]) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for told in _with_heartbeats(events):
        if told is None:
            yield ": heartbeat\n\n"
        else:
            number = "" if told.sequence is None else f"id: {told.sequence}\n"
            yield f"{number}event: {told.kind}\ndata: {told.json}\n\n"


async def _list_lines(changes: AsyncIterator[list[RunSummary | str]]) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    async for some in _with_heartbeats(changes):
        for change in some or ():
            if isinstance(change, str):
                told = ListChange(kind="deleted", id=change)
            else:
                told = ListChange(kind="run", id=change.id, run=summary_view(change))
            yield f"event: {told.kind}\ndata: {told.model_dump_json()}\n\n"
        if some is None:
            yield ": heartbeat\n\n"


async def _with_heartbeats(items: AsyncIterator[_Item]) -> AsyncIterator[_Item | None]:
    """The items as they come, and None where nothing came for a while: proxies close what is silent."""
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
    """What comes after the last item."""


_END = _End()
