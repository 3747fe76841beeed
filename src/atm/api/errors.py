"""Everything that goes wrong, as problem+json (RFC 9457): what, where, and what to do. Never a stack trace."""

from __future__ import annotations

import logging
from collections.abc import Sequence
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
"""So many are listed in one answer."""


class ApiError(AtmError):
    """A request that is refused with a status of its own."""

    def __init__(self, status: int, problems: Problem | Sequence[Problem]) -> None:
        super().__init__(problems)
        self.status = status

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.status, self.problems)


def bad_request(what: str, code: str, path: str, hint: str = "") -> ApiError:
    """422 for one thing that is wrong with a request."""
    return ApiError(422, Problem(what, code, path=path, hint=hint))


def document(status: int, problems: Sequence[Problem], request_id: str = "") -> ErrorDocument:
    """What a client reads."""
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
    """A problem as it is answered, its texts cut where a client made them long."""
    return ErrorEntry(
        message=_cut(problem.what), code=problem.code, path=_cut(problem.where, 300), hint=_cut(problem.hint)
    )


def entries(problems: Sequence[Problem]) -> list[ErrorEntry]:
    """The first problems as they are answered, and how many more there are: no answer outgrows its request."""
    found = [entry(problem) for problem in problems[:MOST_PROBLEMS]]
    if len(problems) > MOST_PROBLEMS:
        found.append(entry(Problem(f"and {len(problems) - MOST_PROBLEMS:,} more problems", "more_problems")))
    return found


def _cut(text: str, most: int = 1_000) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def response(status: int, problems: Sequence[Problem], request_id: str = "", **headers: str) -> Response:
    """The answer itself."""
    body = document(status, problems, request_id).model_dump_json()
    return Response(body, status, headers=headers, media_type=MEDIA_TYPE)


def status_of(error: AtmError) -> int:
    """The status that an error of ours is answered with."""
    if isinstance(error, ApiError):
        return error.status
    if error.problems[0].code in _INVALID:
        return 422
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def install(app: FastAPI) -> None:
    """Give the app these answers."""
    app.add_exception_handler(AtmError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)


def _id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, AtmError)
    status = status_of(error)
    problems = error.problems
    if status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error)
        # Files and hosts of the server are for its log.
        problems = tuple(replace(problem, place="") for problem in problems)
    # What is corrupt stays so until somebody has mended it.
    headers = {"Retry-After": "2"} if isinstance(error, StorageUnavailableError) else {}
    return response(status, problems, _id(request), **headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    problems = [_problem(each) for each in found[:MOST_PROBLEMS]]
    if len(found) > MOST_PROBLEMS:
        problems.append(Problem(f"and {len(found) - MOST_PROBLEMS:,} more problems", "more_problems"))
    return response(422, problems, _id(request))


def _problem(each: dict[str, Any]) -> Problem:
    if each["type"] == "json_invalid":
        what = f"the body is no JSON: {each.get('ctx', {}).get('error', '')}".rstrip(": ")
        return Problem(what, "json_invalid", path="body")
    message = str(each["msg"]).removeprefix("Value error, ")
    where = ".".join(str(part) for part in each["loc"])
    return Problem(message[:1].lower() + message[1:], str(each["type"]), path=where)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not possible here"}
    code = {404: "no_such_route", 405: "method_not_allowed"}.get(error.status_code, "refused")
    said = what.get(error.status_code) if error.detail == HTTPStatus(error.status_code).phrase else None
    problem = Problem(said or str(error.detail), code)
    return response(error.status_code, [problem], _id(request), **dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    problem = Problem(
        "this is a fault of the server itself", "internal", hint="its log says more, under this request_id"
    )
    return response(500, [problem], _id(request))
