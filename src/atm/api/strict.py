"""Refuse what a route does not know: unknown query parameters everywhere, and fields in a body where none is read.

Bodies that are read refuse unknown fields by themselves (`atm.models.control.base.Request`).
"""

from __future__ import annotations

import json
from difflib import get_close_matches

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute
from starlette.requests import HTTPConnection, Request

from atm.api.errors import ApiError
from atm.errors import Problem


async def refuse_unknown(connection: HTTPConnection) -> None:
    """A dependency of every route. Raises ApiError 422 naming everything that is not known."""
    route = connection.scope.get("route")
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return
    known = sorted(_query_parameters(route.dependant))
    given = dict.fromkeys(name for name, _ in connection.query_params.multi_items())
    problems = [_unknown("query parameter", "query", name, known) for name in given if name not in known]
    if isinstance(connection, Request) and isinstance(route, APIRoute) and _reads_no_body(route):
        problems += [_unknown("field", "body", name, ()) for name in await _fields(connection)]
    if problems:
        raise ApiError(422, problems)


def _query_parameters(dependant: Dependant) -> set[str]:
    """The names that a route and everything it depends on read from the query."""
    found = {each.alias for each in dependant.query_params}
    return found.union(*map(_query_parameters, dependant.dependencies))


def _unknown(what: str, place: str, name: str, known: list[str] | tuple[()]) -> Problem:
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}" if known else "there is none here"
    code = "unknown_parameter" if place == "query" else "extra_forbidden"
    return Problem(f"there is no {what} {name[:64]!r}", code, path=f"{place}.{name[:64]}", hint=hint)


def _reads_no_body(route: APIRoute) -> bool:
    # A route that reads the request as a stream describes its body itself.
    return route.body_field is None and "requestBody" not in (route.openapi_extra or {})


async def _fields(request: Request) -> list[str]:
    """The names of the fields that were sent; a body that is no object is one of its own."""
    content = await request.body()
    if not content.strip():
        return []
    try:
        document = json.loads(content)
    except ValueError:
        return ["(no JSON)"]
    if document is None:
        return []
    return [str(name) for name in document] if isinstance(document, dict) else ["(no object)"]
