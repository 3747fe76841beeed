"""The record of the target server: one row per request, and the counts over all of them.

The server's recorder fills these types, and `TargetServer` returns them to tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from atm.dataclass import dataclass


class Outcome(StrEnum):
    """How a request ended, as seen by the server."""

    IN_PROGRESS = "in_progress"
    """Received, not settled yet: its body, its delay or the writing of its response is in progress."""
    COMPLETED = "completed"
    """A full, valid response was handed to the kernel (with TLS: to the TLS layer) to its last byte."""
    ABORTED = "aborted"
    """The client closed or reset the connection first."""
    BROKEN = "broken"
    """The server sent no full, valid response on purpose (`/close`, `/half`, `/garbage`, ...)."""


OUTCOMES: tuple[Outcome, ...] = tuple(Outcome)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request as the server saw it. Times are CLOCK_MONOTONIC in ns, comparable between processes on Linux."""

    number: int
    """1-based, in the order in which the request heads were completed."""
    route: str
    """The path as sent (`/orders/{id}` for orders), or the query parameter `as`."""
    route_number: int
    """1-based within the route; the argument of the seeded routes."""
    connection: int
    """1-based number of its connection."""
    arrived_ns: int
    """When the first bytes of the request were read."""
    answered_ns: int | None
    """When the last byte of the response was handed over; for broken and aborted requests, when that was certain."""
    status: int | None
    """The status sent, or None."""
    outcome: Outcome
    client_number: int | None
    """The request's `X-Request-Number` header, if it is a number."""
    body_bytes: int
    """Bytes of the request's body, without chunk framing."""
    sent_bytes: int
    """Bytes of the response written, including head and framing."""

    @property
    def service_ns(self) -> int | None:
        """From arrival to the last byte of the response in ns; None unless it was completed."""
        if self.outcome is not Outcome.COMPLETED or self.answered_ns is None:
            return None
        return self.answered_ns - self.arrived_ns

    @classmethod
    def from_json(cls, row: Sequence[Any]) -> RequestRow:
        """Parse one of the `rows` of `GET /__record__`."""
        number, route, route_number, connection, arrived, answered, status, outcome, client, body, sent = row
        return cls(
            number, route, route_number, connection, arrived, answered, status, Outcome(outcome), client, body, sent
        )


@dataclass(frozen=True, slots=True)
class RouteStats:
    """The counts of one route: `received = completed + aborted + broken + in_progress`, always."""

    received: int
    completed: Mapping[int, int]
    """Full responses by status."""
    aborted: int
    broken: int

    @property
    def completed_total(self) -> int:
        """Full responses of any status."""
        return sum(self.completed.values())

    @property
    def in_progress(self) -> int:
        """Received and not settled yet."""
        return self.received - self.completed_total - self.aborted - self.broken


@dataclass(frozen=True, slots=True)
class Stats:
    """The counts since the start or the last reset, without measurement routes."""

    received: int
    completed: int
    aborted: int
    broken: int
    in_progress: int
    bad_requests: int
    """Answered with 400 because the bytes were not an HTTP request; not in `received`."""
    statuses: Mapping[int, int]
    """Full responses by status."""
    routes: Mapping[str, RouteStats]
    connections_accepted: int
    """Connections that carried at least one counted request, or none at all; without those of `stats()` itself."""
    connections_open: int
    tokens_issued: int
    stalls: int
    rows: int
    """Requests with a row in the record."""
    rows_dropped: int
    """Requests beyond `max_rows`: counted, without a row."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Stats:
        """Parse the response of `GET /__stats__`."""
        fields = dict(document)
        fields["statuses"] = {int(status): count for status, count in document["statuses"].items()}
        fields["routes"] = {
            name: RouteStats(
                route["received"],
                {int(status): count for status, count in route["completed"].items()},
                route["aborted"],
                route["broken"],
            )
            for name, route in document["routes"].items()
        }
        return cls(**fields)
