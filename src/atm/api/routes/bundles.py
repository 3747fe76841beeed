"""Export and import of runs as bundle files."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from typing import IO, Annotated

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from atm.api.deps import Plane, RunId
from atm.api.late_route import Routes
from atm.models.control.runs import RunView
from atm.runs.views import run_view
from atm.storage.bundle import FROM_OTHERS, bundle_name, export_run, import_run

router = Routes("runs")

IMPORT = "/import/bundle"
IN_MEMORY_BYTES = 4 * 1024**2
"""A larger bundle is buffered in a file."""
_PIECE = 64 * 1024
_BUNDLE: dict[int | str, dict[str, object]] = {
    200: {
        "description": "The bundle: gzip of JSON Lines",
        "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
    },
    404: {"description": "The run does not exist"},
    409: {"description": "The run has not ended"},
}


@router.get("/runs/{run_id}/bundle", response_class=StreamingResponse, responses=_BUNDLE)
async def export_bundle(plane: Plane, run_id: RunId) -> StreamingResponse:
    """Export a run that has ended as one file: spec, environment, result, intervals, samples; no credentials."""
    run = await plane.storage.runs.get(run_id)
    # Write the whole file before the response starts, so that a failure is an error and not half a file.
    file = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 (closed after sending)
    try:
        await export_run(plane.storage, run_id, file)
    except BaseException:
        file.close()
        raise
    name = bundle_name(run.summary.name, run_id)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Content-Length": str(file.tell())}
    file.seek(0)
    return StreamingResponse(_pieces(file), media_type="application/gzip", headers=headers)


async def _pieces(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := file.read(_PIECE):
            yield piece


@router.post(
    IMPORT,
    status_code=201,
    responses={409: {"description": "A run with this id already exists"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_bundle(
    plane: Plane,
    request: Request,
    id: Annotated[
        str | None,
        Query(pattern="^[A-Za-z0-9_-]{1,64}$", description="Store the run under this id instead of its own."),
    ] = None,
) -> RunView:
    """Import the run of a bundle, atomically."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
        async for piece in request.stream():
            file.write(piece)
        file.seek(0)
        return run_view(await import_run(plane.storage, file, new_id=id, place="bundle", limits=FROM_OTHERS))
