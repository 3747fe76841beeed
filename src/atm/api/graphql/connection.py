"""The list of runs, as a Relay connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import strawberry
from fastapi import Query

from atm.api.views import read_cursor, write_cursor
from atm.dataclass import dataclass
from atm.models.control.base import Moment
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome, RunStatus
from atm.models.run import Measurement
from atm.runs.views import summary_view
from atm.storage.records import Order, RunCursor, RunQuery


@dataclass(frozen=True)
class RunEdge:
    """A run in a connection."""

    cursor: str
    node: RunSummaryView


@dataclass(frozen=True)
class PageInfo:
    """Position of a page in its list. Paging is forward only, by `first` and `after`."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True)
class RunConnection:
    """A page of runs."""

    edges: list[RunEdge]
    page_info: PageInfo


@dataclass(frozen=True)
class ListedRuns(RunConnection):
    """A page with its query, for the number of all runs."""

    query: RunQuery


First = Annotated[int, Query(ge=1, le=200, description="Most runs of the page.")]


async def runs(
    root: None,
    info: strawberry.Info,
    first: First = 50,
    after: Annotated[str | None, Query(max_length=300, description="`endCursor` of the previous page.")] = None,
    name: Annotated[str | None, Query(max_length=256, description="Only runs with exactly this name.")] = None,
    tag: Annotated[str | None, Query(max_length=128, description="Only runs with this tag.")] = None,
    status: RunStatus | None = None,
    passed: bool | None = None,
    outcome: RunOutcome | None = None,
    measurement: Measurement | None = None,
    since: Annotated[Moment | None, Query(description="Only runs created at or after this time.")] = None,
    until: Annotated[Moment | None, Query(description="Only runs created before this time.")] = None,
    text: Annotated[str | None, Query(max_length=256, description="Only runs with this text in name or URL.")] = None,
    order: Order = Order.NEWEST,
) -> RunConnection:
    """List runs, the newest first; filters are combined with AND."""
    query = RunQuery(
        name=name,
        tag=tag,
        status=status,
        passed=passed,
        outcome=outcome,
        measurement=measurement,
        since=since,
        until=until,
        text=text,
        order=order,
        limit=first,
        after=read_cursor(after) if after else None,
        with_total=False,
    )
    page = await info.context.plane.storage.runs.page(query)
    edges = [RunEdge(str(write_cursor(RunCursor(run.created_at, run.id))), summary_view(run)) for run in page.runs]
    return ListedRuns(
        edges=edges,
        page_info=PageInfo(
            has_next_page=page.next is not None,
            has_previous_page=after is not None,
            start_cursor=edges[0].cursor if edges else None,
            end_cursor=edges[-1].cursor if edges else None,
        ),
        query=query,
    )


async def total_count(root: ListedRuns, info: strawberry.Info) -> int:
    """Number of matching runs on all pages; counted only if this field is selected."""
    page = await info.context.plane.storage.runs.page(replace(root.query, limit=1, after=None, with_total=True))
    return int(page.total)
