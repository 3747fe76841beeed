"""What is wrong with a request (RFC 9457)."""

from __future__ import annotations

from atm.models.control.base import Answer


class ErrorEntry(Answer):
    """One thing that is wrong."""

    message: str
    code: str
    """A stable snake_case name."""
    path: str = ""
    """Where: `spec.endpoints[1].url`, `query.limit`; empty where it has no place."""
    hint: str = ""


class ErrorDocument(Answer):
    """`application/problem+json`: what was wrong, in one sentence and in full."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    """The first problem; how many more there are."""
    code: str
    errors: list[ErrorEntry]
    request_id: str = ""
