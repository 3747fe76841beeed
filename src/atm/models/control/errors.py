"""Problem documents (RFC 9457)."""

from __future__ import annotations

from atm.models.control.base import Answer


class ErrorEntry(Answer):
    """One problem."""

    message: str
    code: str
    """A stable snake_case name."""
    path: str = ""
    """The path: `spec.endpoints[1].url`, `query.limit`; empty if there is none."""
    hint: str = ""


class ErrorDocument(Answer):
    """`application/problem+json`: the problems of a request, as a sentence and as a list."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    """The first problem, and the number of others."""
    code: str
    errors: list[ErrorEntry]
    request_id: str = ""
