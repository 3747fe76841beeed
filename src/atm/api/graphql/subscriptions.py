"""The root type of subscriptions: the events of a run, and changes of the list of runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

import strawberry
from fastapi import Query
from starlette import status
from starlette.websockets import WebSocket

from atm.api.graphql.context import Context
from atm.api.graphql.fields import RunId, resolved, validated
from atm.models.control.runs import ListChange
from atm.models.events import AnyRunEvent
from atm.runs.lookup import whole_run_id
from atm.runs.views import summary_view

After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Skip events up to this sequence number.")]


async def run_events(root: None, info: strawberry.Info, id: RunId, after: After = 0) -> AsyncIterator[AnyRunEvent]:
    """All events of a run, in order and without gaps; completes when the run has ended."""
    context: Context = info.context
    given = validated(run_events, {"id": id, "after": after})
    run_id = await whole_run_id(context.plane.storage, given["id"])
    async for encoded in context.plane.watcher.watch(run_id, given["after"]):
        yield encoded.event
    await _close_at_shutdown(context)


async def list_changes(root: None, info: strawberry.Info) -> AsyncIterator[ListChange]:
    """The newest runs, then runs that are new, changed or deleted."""
    context: Context = info.context
    async for batch in context.plane.watcher.watch_list():
        for change in batch:
            if isinstance(change, str):
                yield ListChange(kind="deleted", id=change)
            else:
                yield ListChange(kind="run", id=change.id, run=summary_view(change))
    await _close_at_shutdown(context)


async def _close_at_shutdown(context: Context) -> None:
    """Close the WebSocket when the server ends, so that clients connect again instead of taking it for the end."""
    if context.plane.watcher.has_ended and isinstance(context.connection, WebSocket):
        with suppress(RuntimeError):  # already closed
            await context.connection.close(status.WS_1012_SERVICE_RESTART)


def subscription_type() -> Any:
    """Return the root type of subscriptions."""
    fields = {
        "run_events": resolved(run_events, is_subscription=True, cost=10),
        "list_changes": resolved(list_changes, is_subscription=True, cost=10),
    }
    about = "Streams over WebSocket, by the protocol graphql-transport-ws."
    return strawberry.type(type("Subscription", (), fields), name="Subscription", description=about)
