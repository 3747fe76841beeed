"""Runs: create, list, read, annotate, cancel, rerun, delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from atm.api.deps import Key, Plane, RunId, Source
from atm.api.errors import ApiError
from atm.api.late_route import Routes
from atm.api.routes.tests import files_of_test
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
from atm.runs.live_workers import live_workers
from atm.runs.service import Request as RunRequest
from atm.runs.views import run_view, summary_view
from atm.storage.records import FINAL, Order, Run, RunQuery

router = Routes("runs")

MOST_SAMPLES = 100
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The run does not exist"}}
_CONFLICT: dict[int | str, dict[str, object]] = {409: {"description": "The state of the run does not allow this"}}


@router.post("/runs", status_code=202, responses={409: {"description": "The key was used with another request"}})
async def create_run(
    plane: Plane, body: NewRunRequest, response: Response, source: Source, idempotency_key: Key = None
) -> RunAccepted:
    """Create a run: the spec is validated, and the run is queued."""
    files = await files_of_test(plane, body.test)
    request = RunRequest(tuple(body.tags), body.notes, idempotency_key, source, files=files)
    created = await plane.runs.create(body.spec, request)
    response.headers["Location"] = f"runs/{created.run.id}"
    return accepted(created.run, is_new=created.is_new)


@router.get("/runs")
async def list_runs(
    plane: Plane,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    cursor: Annotated[str | None, Query(max_length=300, description="`next` of the previous page.")] = None,
    id: Annotated[
        str | None, Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="Only runs whose ids start with this.")
    ] = None,
    name: Annotated[str | None, Query(max_length=256, description="Only runs with exactly this name.")] = None,
    tag: Annotated[str | None, Query(max_length=128)] = None,
    batch: Annotated[str | None, Query(max_length=64, description="Only runs of the batch with this id.")] = None,
    status: RunStatus | None = None,
    passed: bool | None = None,
    outcome: Annotated[RunOutcome | None, Query(description="Only runs with this outcome.")] = None,
    measurement: Annotated[Measurement | None, Query(description="Only runs with this measurement verdict.")] = None,
    since: Annotated[Moment | None, Query(description="Only runs created at or after this time.")] = None,
    until: Annotated[Moment | None, Query(description="Only runs created before this time.")] = None,
    text: Annotated[
        str | None, Query(max_length=256, description="Only runs with this text in name or URL, ignoring case.")
    ] = None,
    order: Order = Order.NEWEST,
) -> RunList:
    """List runs; filters are combined with AND. With `id`, all other filters are ignored."""
    if id is not None:
        matches = [await plane.storage.runs.get(run_id) for run_id in await plane.storage.runs.find(id, limit)]
        runs = [summary_view(run.summary) for run in matches]
        return RunList(runs=runs, total=None, limit=limit, offset=0, next=None)
    query = RunQuery(
        name=name,
        tag=tag,
        batch=batch,
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
    """Read a run: spec, outcome and reasons, sampled requests, and figures; during the run, those so far."""
    run = await plane.storage.runs.get(run_id)
    samples = await plane.storage.series.samples(run_id)
    view = await detailed_view(plane, run)
    is_shared = run.status is RunStatus.RUNNING and run.spec.get("fleet")
    return RunDetail(
        **dict(view),
        sampled_requests=[sampled_request(sample) for sample in samples[:MOST_SAMPLES]],
        workers=await live_workers(plane.storage, run_id) if is_shared else (),
    )


async def detailed_view(plane: ControlPlane, run: Run) -> RunView:
    """Return a run with its figures; during the run, those so far."""
    view = run_view(run)
    if run.metrics is not None or run.summary.status in FINAL:
        # Do not add up intervals of a run that ended without a result: hours of them take too long.
        return view
    metrics, endpoints = await plane.live_figures.of(run)
    shown = [endpoint_view(endpoint) for endpoint in endpoints]
    return view.model_copy(update={"metrics": metrics, "endpoint_metrics": shown})


@router.get("/runs/{run_id}/result", responses={**_NOT_FOUND, **_CONFLICT})
async def read_result(plane: Plane, run_id: RunId) -> RunResult:
    """Read the full result, as `atm run --json` prints it."""
    result = await plane.storage.runs.result(run_id)
    if result is not None:
        return result
    run = await plane.storage.runs.get(run_id)
    outcome = run_view(run).outcome
    if run.status in FINAL:
        what, code = f"run {run_id} has no result: it ended before it measured anything ({outcome})", "no_result"
    else:
        what, code = f"run {run_id} has no result yet: it is {outcome}", "run_not_finished"
    raise ApiError(409, Problem(what, code))


@router.patch("/runs/{run_id}", responses=_NOT_FOUND)
async def annotate_run(plane: Plane, run_id: RunId, body: AnnotateRequest) -> RunView:
    """Replace tags or notes."""
    return await detailed_view(plane, await plane.runs.annotate(run_id, notes=body.notes, tags=body.tags))


@router.post("/runs/{run_id}/cancel", responses=_NOT_FOUND)
async def cancel_run(
    plane: Plane,
    run_id: RunId,
    graceful: Annotated[
        bool, Query(description="Stop the run instead of cancelling it: requests in flight may finish.")
    ] = False,
) -> RunAccepted:
    """Cancel or stop a run. A queued run ends at once; a run that has ended is not changed."""
    status = await plane.runs.cancel(run_id, graceful=graceful)
    if status is RunStatus.RUNNING:
        message = "the run is stopping" if graceful else "the run is being cancelled"
    elif status is RunStatus.CANCELLED:
        message = "the run is cancelled"
    else:
        outcome = run_view(await plane.storage.runs.get(run_id)).outcome
        message = f"the run had already ended: {outcome}"
    return RunAccepted(id=run_id, status=status, message=message)


@router.post("/runs/{run_id}/rerun", status_code=202, responses=_NOT_FOUND)
async def rerun(plane: Plane, run_id: RunId, source: Source, body: RerunRequest | None = None) -> RunAccepted:
    """Start a run with the same or an edited spec, and with the credentials of the earlier run."""
    run = await plane.storage.runs.get(run_id)
    body = body or RerunRequest()
    tags = run.summary.tags if body.tags is None else tuple(body.tags)
    created = await plane.runs.rerun(run_id, RunRequest(tags=tags, notes=body.notes, source=source), body.spec)
    return accepted(created.run, is_new=True)


@router.delete("/runs/{run_id}", responses={**_NOT_FOUND, **_CONFLICT})
async def delete_run(plane: Plane, run_id: RunId) -> Deleted:
    """Delete a run with its intervals and samples. Cancel a run in progress first."""
    await plane.runs.delete(run_id)
    return Deleted(id=run_id, message="the run is deleted")
