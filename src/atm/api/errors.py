"""Error responses as problem+json (RFC 9457), without stack traces."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from atm.errors import (
    AtmError,
    BundleError,
    CapabilityError,
    ConflictError,
    CorruptDataError,
    NotFoundError,
    Problem,
    SchemaError,
    SpecError,
    StaleLeaseError,
    StorageUnavailableError,
)
from atm.models.control.errors import ErrorDocument, ErrorEntry

log = logging.getLogger("atm.api")

MEDIA_TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[AtmError], int], ...] = (
    (SpecError, 422),
    (CapabilityError, 422),
    (BundleError, 422),
    (NotFoundError, 404),
    (StaleLeaseError, 409),
    (ConflictError, 409),
    (StorageUnavailableError, 503),
    (SchemaError, 503),
    (CorruptDataError, 503),
)
_INVALID = frozenset({"invalid_id", "invalid_tag", "invalid_value", "name_like_id"})
MOST_PROBLEMS = 100
"""Most problems listed in one response."""
INTERNAL = Problem("this is a bug in the server", "internal", hint="see the server's log for this request_id")
"""What a client sees of an unexpected error."""


class ApiError(AtmError):
    """An error with an explicit HTTP status."""

    def __init__(self, status: int, problems: Problem | Sequence[Problem]) -> None:
        super().__init__(problems)
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.problems)


def bad_request(what: str, code: str, path: str, hint: str = "") -> ApiError:
    """Build a 422 for one problem of a request."""
    return ApiError(422, Problem(what, code, path=path, hint=hint))


def document(status: int, problems: Sequence[Problem], request_id: str = "") -> ErrorDocument:
    """Build the error document."""
    first = entry(problems[0])
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ErrorDocument(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=f"{first.message}{more}",
        code=first.code,
        errors=entries(problems),
        request_id=request_id,
    )


def entry(problem: Problem) -> ErrorEntry:
    """Convert a problem, with long texts truncated."""
    return ErrorEntry(
        message=_cut(problem.what), code=problem.code, path=_cut(problem.where, 300), hint=_cut(problem.hint)
    )


def entries(problems: Sequence[Problem]) -> list[ErrorEntry]:
    """Convert the first `MOST_PROBLEMS` problems and add the number of the others, to bound the response."""
    shown = [entry(problem) for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        shown.append(entry(Problem(f"and {len(problems) - MOST_PROBLEMS:,} more problems", "more_problems")))
    return shown


def _cut(text: str, most: int = 1_000) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def response(status: int, problems: Sequence[Problem], request_id: str = "", **headers: str) -> Response:
    """Build the error response."""
    body = document(status, problems, request_id).model_dump_json()
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def status_of(error: AtmError) -> int:
    """Return the HTTP status of an error."""
    if isinstance(error, ApiError):
        return error.status
    if error.problems[0].code in _INVALID:
        return 422
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    """Install the exception handlers."""
    app.add_exception_handler(AtmError, _atm_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


def shown_problems(error: AtmError, where: str) -> tuple[int, Sequence[Problem]]:
    """Return the status of an error and the problems that the client sees; log an error of the server."""
    status = status_of(error)
    if status < 500:
        return status, error.problems
    log.error("%s: %s", where, error)
    # Paths and hosts of the server appear only in its log.
    return status, tuple(replace(problem, place="") for problem in error.problems)


async def _atm_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, AtmError)
    status, problems = shown_problems(error, f"{request.method} {request.url.path}")
    # No Retry-After for corrupt data: it does not recover by itself.
    headers = {"Retry-After": "2"} if isinstance(error, StorageUnavailableError) else {}
    return response(status, problems, _id(request), **headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    details = error.errors()
    problems = [problem_of(detail) for detail in details[:MOST_PROBLEMS]]
    if len(details) > MOST_PROBLEMS:
        problems.append(Problem(f"and {len(details) - MOST_PROBLEMS:,} more problems", "more_problems"))
    return response(422, problems, _id(request))


def problem_of(detail: Mapping[str, Any]) -> Problem:
    """Convert one error of pydantic."""
    if detail["type"] == "json_invalid":
        what = f"the body is not JSON: {detail.get('ctx', {}).get('error', '')}".rstrip(": ")
        return Problem(what, "json_invalid", path="body")
    message = str(detail["msg"]).removeprefix("Value error, ")
    where = ".".join(str(part) for part in detail["loc"])
    return Problem(message[:1].lower() + message[1:], str(detail["type"]), path=where)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: f"there is no route {request.url.path}", 405: f"{request.method} is not allowed here"}
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "refused")
    message = what.get(error.status_code) if error.detail == HTTPStatus(error.status_code).phrase else None
    problem = Problem(message or str(error.detail), code)
    return response(error.status_code, [problem], _id(request), **dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    return response(500, [INTERNAL], _id(request))
