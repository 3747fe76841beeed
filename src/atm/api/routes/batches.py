"""Batches: list, read, cancel, and their reports. `POST /tests/run-all` starts one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Response

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.api.routes.reports import attachment, file_name
from atm.models.control.batches import BatchCancelled, BatchDetail, BatchList
from atm.models.figures import counted
from atm.models.run import RunResult
from atm.off_loop import off_loop
from atm.reports.junit import NotRun, render_suites
from atm.runs.batches import batch_detail, batch_view, cancel_batch, find_batch, runs_of

router = Routes("batches")

BatchId = Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$", description="Id of the batch.")]
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The batch does not exist"}}


@router.get("/batches")
async def list_batches(
    plane: Plane,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> BatchList:
    """List the batches, newest first."""
    page = await plane.storage.runs.batches(limit, offset)
    return BatchList(batches=[await batch_view(plane.storage, stored) for stored in page.batches], total=page.total)


@router.get("/batches/{batch}", responses=_NOT_FOUND)
async def read_batch(plane: Plane, batch: BatchId) -> BatchDetail:
    """Read a batch: its outcome, and the runs of each test."""
    return await batch_detail(plane.storage, await find_batch(plane.storage, batch))


@router.post("/batches/{batch}/cancel", responses=_NOT_FOUND)
async def end_batch(
    plane: Plane,
    batch: BatchId,
    graceful: Annotated[
        bool, Query(description="Stop the runs instead of cancelling them: requests in flight may finish.")
    ] = False,
) -> BatchCancelled:
    """Cancel or stop all runs of a batch; queued ones end at once, those that have ended are not changed."""
    await find_batch(plane.storage, batch)
    number = await cancel_batch(plane.storage, plane.runs, batch, graceful=graceful)
    verb = "are being stopped" if graceful else "are being cancelled"
    message = f"{counted(number, 'run')} {verb}" if number else "all runs had already ended"
    return BatchCancelled(id=batch, cancelled=number, message=message)


@router.get(
    "/batches/{batch}/report.xml",
    response_class=Response,
    responses={200: {"content": {"application/xml": {}}}, **_NOT_FOUND},
)
async def read_batch_junit(plane: Plane, batch: BatchId) -> Response:
    """Read the verdicts of a batch as JUnit XML, with a suite for each run."""
    await find_batch(plane.storage, batch)
    suites: list[RunResult | NotRun] = []
    for run in await runs_of(plane.storage, batch):
        result = await plane.storage.runs.result(run.id)
        if result is None:
            suites.append(NotRun(run.name, run.error_message or ""))
        else:
            # JUnit has neither plots nor samples, and a thousand results with them would not fit into memory.
            parts: dict[str, object] = {"timeline": [], "samples": [], "sampled_iterations": [], "histograms": {}}
            suites.append(result.model_copy(update=parts))
    text = await off_loop(render_suites, suites)
    return attachment(text, "application/xml; charset=utf-8", file_name("batch", batch, "xml"))


@router.get(
    "/batches/{batch}/report.md",
    response_class=Response,
    responses={200: {"content": {"text/markdown": {}}}, **_NOT_FOUND},
)
async def read_batch_markdown(plane: Plane, batch: BatchId) -> Response:
    """Read a batch as Markdown: a table of tests and repetitions."""
    from atm.reports.batch_markdown import render_batch

    detail = await batch_detail(plane.storage, await find_batch(plane.storage, batch))
    return attachment(render_batch(detail), "text/markdown; charset=utf-8", file_name("batch", batch, "md"))
