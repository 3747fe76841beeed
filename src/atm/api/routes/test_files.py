"""The data files of stored tests: upload, list, preview, download, delete.

Contents may hold logins of test users, so that only operators read them.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from atm.api.deps import Plane, require_operator
from atm.api.file_preview import preview
from atm.api.late_route import Routes
from atm.api.routes.tests import Test, find_test
from atm.bootstrap import ControlPlane
from atm.models.control.test_files import TestFileDeleted, TestFileList, TestFilePreview, TestFileView
from atm.off_loop import off_loop
from atm.runs.test_files import write_content
from atm.storage.test_files import TestFile, checked_file_name, file_not_found
from atm.tables.layout import Format

router = Routes("tests")

File = Annotated[str, Path(min_length=1, max_length=256, description="Name of the file, without directories.")]
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The test or the file does not exist"}}
_FULL: dict[int | str, dict[str, object]] = {
    409: {"description": "The test has too many files, or those of all tests are too large"},
    413: {"description": "The file is too large"},
}
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get("/tests/{test}/files", responses=_NOT_FOUND)
async def list_test_files(plane: Plane, test: Test) -> TestFileList:
    """List the files of a test, which its spec may name."""
    files = await plane.storage.files.of_test((await find_test(plane, test)).id)
    return TestFileList(
        files=[_view(file) for file in files],
        most_file_bytes=plane.settings.max_file_bytes,
        most_total_bytes=plane.settings.max_files_bytes,
        total_bytes=await plane.storage.files.total_bytes(),
    )


@router.put(
    "/tests/{test}/files/{file}",
    responses={**_NOT_FOUND, **_FULL},
    openapi_extra={"requestBody": {"required": True, "content": _BINARY}},
)
async def upload_test_file(plane: Plane, test: Test, file: File, request: Request) -> TestFileView:
    """Upload a file of a test, or replace it; the body is its content, whatever its Content-Type."""
    name = checked_file_name(file)
    config = await find_test(plane, test)
    async with _received(plane, request) as (path, digest, size):
        stored = TestFile(config.id, name, digest, size, datetime.now(UTC))
        await plane.storage.files.put(stored, path, plane.settings.max_files_bytes)
    return _view(stored)


@asynccontextmanager
async def _received(plane: ControlPlane, request: Request) -> AsyncIterator[tuple[FilePath, str, int]]:
    """Write the body into a private file; return its path, digest and size. The guard limits the size."""
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(prefix=".upload-", dir=plane.settings.data_dir / "spool") as body:
        async for piece in request.stream():
            digest.update(piece)
            size += body.write(piece)
        body.flush()
        yield FilePath(body.name), digest.hexdigest(), size


@router.get(
    "/tests/{test}/files/{file}",
    response_class=StreamingResponse,
    responses={**_NOT_FOUND, 200: {"description": "The content", "content": _BINARY}},
    dependencies=[Depends(require_operator)],
)
async def download_test_file(plane: Plane, test: Test, file: File) -> StreamingResponse:
    """Download a file of a test; for operators, as it may hold logins."""
    test_file = await _find(plane, test, file)
    disposition = f"attachment; filename*=UTF-8''{quote(test_file.name, safe='')}"
    headers = {"Content-Disposition": disposition, "Content-Length": str(test_file.size)}
    content = plane.storage.files.read(test_file.digest)
    return StreamingResponse(content, media_type="application/octet-stream", headers=headers)


@router.get("/tests/{test}/files/{file}/preview", responses=_NOT_FOUND, dependencies=[Depends(require_operator)])
async def preview_test_file(
    plane: Plane,
    test: Test,
    file: File,
    rows: Annotated[int, Query(ge=1, le=100)] = 10,
    format: Annotated[Format | None, Query(description="Default: by the extension of the name.")] = None,
    separator: Annotated[str | None, Query(min_length=1, max_length=1)] = None,
    columns: Annotated[list[str] | None, Query(max_length=1000)] = None,
) -> TestFilePreview:
    """Read columns, first rows and number of rows of a file, as data of a spec would; for operators."""
    test_file = await _find(plane, test, file)
    with tempfile.TemporaryDirectory(prefix=".preview-", dir=plane.settings.data_dir / "spool") as folder:
        path = FilePath(folder) / "content"
        await write_content(plane.storage.files.read(test_file.digest), path)
        return await off_loop(
            preview, path, test_file.name, rows, format, separator, tuple(columns) if columns else None
        )


@router.delete("/tests/{test}/files/{file}", responses=_NOT_FOUND)
async def delete_test_file(plane: Plane, test: Test, file: File) -> TestFileDeleted:
    """Delete a file of a test. Runs that wait for their start still have it."""
    test_file = await _find(plane, test, file)
    await plane.storage.files.delete(test_file.test_id, test_file.name)
    return TestFileDeleted(id=test_file.test_id, name=test_file.name, message="the file is deleted")


async def _find(plane: ControlPlane, test: str, file: str) -> TestFile:
    config = await find_test(plane, test)
    test_file = next(
        (test_file for test_file in await plane.storage.files.of_test(config.id) if test_file.name == file), None
    )
    if test_file is None:
        raise file_not_found(file)
    return test_file


def _view(file: TestFile) -> TestFileView:
    return TestFileView(name=file.name, size=file.size, sha256=file.digest, updated_at=file.updated_at)
