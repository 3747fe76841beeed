"""JSON that comes with a request, looked at before anything is made of it: depth, text, numbers, number of fields.

What is beyond these bounds is refused with 422 here, once for all routes, so that no route has to survive it: nesting
that ends recursion, text that is no Unicode and cannot be stored, numbers that no float holds, and objects with so many
unknown fields that listing them would be the larger part of the work.
"""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atm.api.errors import response
from atm.errors import Problem
from atm.models.bounded_json import JsonBoundsError, load_bounded

MAXIMUM_FIELDS = 200
"""Of the outermost object; no request has a tenth of them. Objects inside of a spec have limits of their own."""
_SMALL_BYTES = 16_384
"""What is looked at on the event loop; the rest in a thread."""


class JsonBody:
    """Middleware behind the guard, which has bounded the body already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS") or not _is_json(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await Request(scope, receive).body()
        except HTTPException as error:
            # The guard's limit on a body whose length was not announced.
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
    """What is wrong with a body beyond being no JSON, which the route says in its own words."""
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
