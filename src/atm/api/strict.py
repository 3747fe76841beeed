"""Reject unknown query parameters on every route, and body fields on routes without a body.

Routes with a body reject unknown fields through their models (`atm.models.control.base.Request`).
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
    """Dependency of every route. Raises ApiError 422 with every unknown name."""
    route = connection.scope.get("route")
    if not isinstance(route, APIRoute | APIWebSocketRoute):
        return
    names = sorted(_query_parameters(route.dependant))
    given = dict.fromkeys(name for name, _ in connection.query_params.multi_items())
    problems = [_unknown("query parameter", "query", name, names) for name in given if name not in names]
    if isinstance(connection, Request) and isinstance(route, APIRoute) and _reads_no_body(route):
        problems += [_unknown("field", "body", name, ()) for name in await _fields(connection)]
    if problems:
        raise ApiError(422, problems)


def _query_parameters(dependant: Dependant) -> set[str]:
    """Return the query parameters of a route and its dependencies."""
    names = {parameter.alias for parameter in dependant.query_params}
    return names.union(*map(_query_parameters, dependant.dependencies))


def _unknown(what: str, place: str, name: str, names: list[str] | tuple[()]) -> Problem:
    close = get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}" if names else "this route has none"
    code = "unknown_parameter" if place == "query" else "extra_forbidden"
    return Problem(f"unknown {what} {name[:64]!r}", code, path=f"{place}.{name[:64]}", hint=hint)


def _reads_no_body(route: APIRoute) -> bool:
    # A route that reads the request as a stream describes its body itself.
    return route.body_field is None and "requestBody" not in (route.openapi_extra or {})


async def _fields(request: Request) -> list[str]:
    """Return the names of the fields in the body; a body that is not an object counts as one field."""
    content = await request.body()
    if not content.strip():
        return []
    try:
        document = json.loads(content)
    except ValueError:
        return ["(not JSON)"]
    if document is None:
        return []
    return [str(name) for name in document] if isinstance(document, dict) else ["(not an object)"]
