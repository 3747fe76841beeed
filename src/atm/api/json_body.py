"""Middleware that checks bounds of JSON bodies: depth, Unicode, numbers, number of fields.

It rejects with 422, before any route, nesting that exceeds the recursion limit, text that is not valid Unicode and
cannot be stored, numbers that no float can hold, and objects with too many fields: reporting the unknown ones would
dominate the work.
"""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atm.api.errors import response
from atm.api.paths import route_path
from atm.api.request_head import is_file_upload
from atm.errors import Problem
from atm.models.bounded_json import JsonBoundsError, load_bounded

MAXIMUM_FIELDS = 200
"""Limit for the outermost object, ten times what any request has. Objects in a spec have their own limits."""
_SMALL_BYTES = 16_384
"""Bodies up to this size are checked on the event loop, larger ones in a thread."""


class JsonBody:
    """Middleware behind the guard, which has already limited the size of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS") or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        if is_file_upload(scope["method"], route_path(scope)):
            # A JSON file of a test is only stored, and never in memory as a whole.
            await self._app(scope, receive, send)
            return
        try:
            body = await Request(scope, receive).body()
        except HTTPException as error:
            # The guard's limit, for a body without Content-Length.
            refused = Problem(str(error.detail), "body_too_large")
            await response(error.status_code, [refused])(scope, receive, send)
            return
        small = len(body) <= _SMALL_BYTES
        problem = problem_of(body) if small else await asyncio.to_thread(problem_of, body)
        if problem is not None:
            request_id = str(scope.get("state", {}).get("request_id", ""))
            await response(422, [problem], request_id)(scope, receive, send)
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


def _is_json(scope: Scope) -> bool:
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return not kinds or any(b"json" in kind.lower() for kind in kinds)


def problem_of(body: bytes) -> Problem | None:
    """Return the bound that a body exceeds; None if it is fine, or invalid JSON, which the route reports."""
    try:
        document = load_bounded(body)
    except JsonBoundsError as error:
        return Problem(f"the body: {error}", error.code, path="body")
    except ValueError:
        return None
    if isinstance(document, dict) and len(document) > MAXIMUM_FIELDS:
        what = f"the body has {len(document):,} fields; no request has more than {MAXIMUM_FIELDS}"
        return Problem(what, "too_many_fields", path="body")
    return None
