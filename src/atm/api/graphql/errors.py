"""Errors of GraphQL answers: codes and problems of the REST API in `extensions`, no details of unexpected errors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from graphql import GraphQLError, GraphQLSyntaxError

from atm.api.errors import INTERNAL, document, shown_problems
from atm.api.graphql.context import Context
from atm.errors import AtmError, Problem

log = logging.getLogger("atm.api")

MOST_ERRORS = 50
"""Most errors of one answer; a list of fields that all fail would repeat the same error for each."""


def shown_errors(errors: Iterable[GraphQLError], context: Context) -> list[GraphQLError]:
    """Return the errors as they are sent; server errors are logged with the id of the request."""
    return [_shown(error, context) for error in list(errors)[:MOST_ERRORS]]


def _shown(error: GraphQLError, context: Context) -> GraphQLError:
    cause = _cause(error)
    where = ".".join(map(str, error.path or ()))
    if isinstance(cause, AtmError):
        status, problems = shown_problems(cause, f"GraphQL {where}")
        return _with(error, status, problems, context)
    if cause is not None:
        log.error("GraphQL %s (request %s)", where, context.request_id, exc_info=cause)
        return _with(error, 500, [INTERNAL], context)
    if "code" in (error.extensions or {}):
        return error
    if isinstance(error, GraphQLSyntaxError):
        return _with(error, 422, [_syntax_problem(error.message)], context)
    return _with(error, 422, [Problem(error.message, "graphql_invalid", path=where)], context)


def _syntax_problem(message: str) -> Problem:
    """Return the problem of an operation that was not parsed, for one of its limits or for its syntax."""
    if "nested too deeply" in message:
        return Problem(message, "query_too_deep", hint="ask for fewer levels")
    if "contains more than" in message:
        return Problem(message, "too_many_tokens", hint="send several operations")
    return Problem(message, "graphql_syntax")


def _cause(error: GraphQLError) -> BaseException | None:
    """Return the exception of our code behind an error; None for one of the library's about the operation."""
    cause: BaseException | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _with(error: GraphQLError, status: int, problems: Sequence[Problem], context: Context) -> GraphQLError:
    answer = document(status, problems, context.request_id)
    extensions = answer.model_dump(include={"code", "status", "errors", "request_id"})
    return GraphQLError(
        answer.detail,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )
