"""JSON that comes with a request, looked at before anything is made of it: depth, text, numbers, number of fields.

What is beyond these bounds is refused with 422 here, once for all routes, so that no route has to survive it: nesting
that ends recursion, text that is no Unicode and cannot be stored, numbers that no float holds, and objects with so many
unknown fields that listing them would be the larger part of the work.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atm.api.errors import response
from atm.errors import Problem

MAXIMUM_DEPTH = 64
MAXIMUM_FIELDS = 200
"""Of the outermost object; no request has a tenth of them. Objects inside of a spec have limits of their own."""
_SMALL_BYTES = 16_384
"""What is looked at on the event loop; the rest in a thread."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


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
        except ClientDisconnect:
            return
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
        document = json.loads(body, parse_float=_number, parse_int=_integer, parse_constant=_constant)
    except RecursionError:
        return _too_deep()
    except _NumberError as error:
        return Problem(str(error), "number_out_of_range", path="body")
    except ValueError:
        return None
    if isinstance(document, dict) and len(document) > MAXIMUM_FIELDS:
        what = f"the body has {len(document):,} fields; no request has more than {MAXIMUM_FIELDS}"
        return Problem(what, "too_many_fields", path="body")
    if _is_deeper(document, MAXIMUM_DEPTH):
        return _too_deep()
    if _SURROGATE.search(body) and not _is_unicode(document):
        return Problem("half of a surrogate pair is no text", "not_unicode", path="body", hint="send UTF-8")
    return None


class _NumberError(Exception):
    """Not a ValueError: those are what JSON that cannot be read raises."""


def _integer(text: str) -> int:
    if len(text) > 400:
        raise _NumberError(f"a number of {len(text)} digits is too large")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _NumberError(f"the number {text[:40]} is too large")
    return value


def _constant(text: str) -> Any:
    raise _NumberError(f"{text} is no number in JSON")


def _is_deeper(document: Any, most: int) -> bool:
    """Level by level, without recursion."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(most):
        inner = (item for outer in level for item in (outer.values() if isinstance(outer, dict) else outer))
        level = [item for item in inner if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _is_unicode(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> Problem:
    return Problem(f"the body is nested deeper than {MAXIMUM_DEPTH} levels", "too_deep", path="body")
