"""Runs: accept, list, read, annotate, cancel, run again, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from atm.api.deps import Plane, RunId, Source
from atm.api.errors import ApiError
from atm.api.views import accepted, read_cursor, write_cursor
from atm.bootstrap import ControlPlane
from atm.errors import Problem
from atm.models.control.base import Moment
from atm.models.control.first_design import endpoint_view, sampled_request
from atm.models.control.runs import (
    AnnotateRequest,
    Deleted,
    NewRunRequest,
    RerunRequest,
    RunAccepted,
    RunDetail,
    RunList,
    RunView,
)
from atm.models.outcome import RunOutcome, RunStatus
from atm.models.run import Measurement, RunResult
from atm.runs.service import Request as Asked
from atm.runs.views import run_view, summary_view
from atm.storage.records import FINAL, Order, Run, RunQuery

router = APIRouter(tags=["runs"])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]+$",
        description="The same key with the same request makes one run, however often it is sent.",
    ),
]
MOST_SAMPLES = 100
SPEC_EXAMPLE = {
    "name": "checkout",
    "url": "https://api.example.com/cart",
    "requests_per_second": 50,
    "duration": "30s",
    "thresholds": ["p99 < 300ms", "error_rate < 1%"],
}
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "There is no such run"}}
_CONFLICT: dict[int | str, dict[str, object]] = {409: {"description": "Its state does not allow this"}}


@router.post("/runs", status_code=202, responses={409: {"description": "The key came with another request before"}})
async def create_run(
    plane: Plane, body: NewRunRequest, response: Response, source: Source, idempotency_key: Key = None
) -> RunAccepted:
    """Accept a run: checked whole, stored as pending, carried out when it is its turn."""
    asked = Asked(tags=tuple(body.tags), notes=body.notes, idempotency_key=idempotency_key, source=source)
    created = await plane.runs.create(body.spec, asked)
    response.headers["Location"] = f"runs/{created.run.id}"
    return accepted(created.run, is_new=created.is_new)


@router.get("/runs")
async def list_runs(
    plane: Plane,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the page before.")] = None,
    id: Annotated[
        str | None, Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="Only runs whose ids begin like this.")
    ] = None,
    name: Annotated[str | None, Query(max_length=256, description="Exactly this name.")] = None,
    tag: Annotated[str | None, Query(max_length=128)] = None,
    status: RunStatus | None = None,
    passed: bool | None = None,
    outcome: Annotated[RunOutcome | None, Query(description="The one word for a run.")] = None,
    measurement: Annotated[Measurement | None, Query(description="What the measurement is worth.")] = None,
    since: Annotated[Moment | None, Query(description="Created at or after.")] = None,
    until: Annotated[Moment | None, Query(description="Created before.")] = None,
    text: Annotated[str | None, Query(max_length=256, description="Somewhere in name or URL, ignoring case.")] = None,
    order: Order = Order.NEWEST,
) -> RunList:
    """List runs; all filters hold together. With `id` it is a look-up: all other filters are left out."""
    if id is not None:
        found = [await plane.storage.runs.get(run_id) for run_id in await plane.storage.runs.find(id, limit)]
        runs = [summary_view(run.summary) for run in found]
        return RunList(runs=runs, total=None, limit=limit, offset=0, next=None)
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
        limit=limit,
        offset=0 if cursor else offset,
        after=read_cursor(cursor) if cursor else None,
        with_total=cursor is None,
    )
    page = await plane.storage.runs.page(query)
    return RunList(
        runs=[summary_view(run) for run in page.runs],
        total=page.total,
        limit=limit,
        offset=query.offset,
        next=write_cursor(page.next),
    )


@router.get("/runs/{run_id}", responses=_NOT_FOUND)
async def read_run(plane: Plane, run_id: RunId) -> RunDetail:
    """Read a run: spec, outcome and why, kept requests, and figures; while it runs, those so far."""
    run = await plane.storage.runs.get(run_id)
    kept = await plane.storage.series.samples(run_id)
    view = await _view(plane, run)
    return RunDetail(**dict(view), sampled_requests=[sampled_request(each) for each in kept[:MOST_SAMPLES]])


async def _view(plane: ControlPlane, run: Run) -> RunView:
    view = run_view(run)
    if run.metrics is not None or run.summary.status in FINAL:
        # A run that ended without a result has seconds at most: hours of them take too long to add up for an answer.
        return view
    metrics, endpoints = await plane.live_figures.of(run)
    shown = [endpoint_view(each) for each in endpoints]
    return view.model_copy(update={"metrics": metrics, "endpoint_metrics": shown})


@router.get("/runs/{run_id}/result", responses={**_NOT_FOUND, **_CONFLICT})
async def read_result(plane: Plane, run_id: RunId) -> RunResult:
    """Read the whole result, as `atm run --json` prints it."""
    result = await plane.storage.runs.result(run_id)
    if result is not None:
        return result
    run = await plane.storage.runs.get(run_id)
    if run.status in FINAL:
        what, code = f"run {run_id} ended as {run.status} before it had measured anything", "no_result"
    else:
        what, code = f"run {run_id} is {run.status}; its result comes with its end", "run_not_finished"
    raise ApiError(409, Problem(what, code))


@router.patch("/runs/{run_id}", responses=_NOT_FOUND)
async def annotate_run(plane: Plane, run_id: RunId, body: AnnotateRequest) -> RunView:
    """Replace tags or notes."""
    return await _view(plane, await plane.runs.annotate(run_id, notes=body.notes, tags=body.tags))


@router.post("/runs/{run_id}/cancel", responses=_NOT_FOUND)
async def cancel_run(
    plane: Plane,
    run_id: RunId,
    graceful: Annotated[bool, Query(description="Let what is in flight finish: a stop, not a cancel.")] = False,
) -> RunAccepted:
    """Ask a run to end. A pending one ends at once; one that has ended stays as it is."""
    status = await plane.runs.cancel(run_id, graceful=graceful)
    said = {
        RunStatus.RUNNING: "the run was asked to stop" if graceful else "the run was asked to end at once",
        RunStatus.CANCELLED: "the run is cancelled",
    }.get(status, f"the run had ended already: {status}")
    return RunAccepted(id=run_id, status=status, message=said)


@router.post("/runs/{run_id}/rerun", status_code=202, responses=_NOT_FOUND)
async def rerun(plane: Plane, run_id: RunId, source: Source, body: RerunRequest | None = None) -> RunAccepted:
    """Run the same spec, or an edited one, once more, with the credentials of that run."""
    run = await plane.storage.runs.get(run_id)
    wanted = body or RerunRequest()
    tags = run.summary.tags if wanted.tags is None else tuple(wanted.tags)
    created = await plane.runs.rerun(run_id, Asked(tags=tags, notes=wanted.notes, source=source), wanted.spec)
    return accepted(created.run, is_new=True)


@router.delete("/runs/{run_id}", responses={**_NOT_FOUND, **_CONFLICT})
async def delete_run(plane: Plane, run_id: RunId) -> Deleted:
    """Delete a run and all its history; a running one must be cancelled first."""
    await plane.runs.delete(run_id)
    return Deleted(id=run_id, message="the run is deleted")
