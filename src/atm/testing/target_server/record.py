"""What the target server remembers, as nouns: one row per request, and the counts over all of them.

Both sides speak these: the server's recorder fills them, `TargetServer` hands them to tests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """Where a request that the server received has ended, seen from the server."""

    IN_PROGRESS = "in_progress"
    """Received, not settled yet: its body is still coming, its delay runs, or its answer is being written."""
    COMPLETED = "completed"
    """A full, valid answer was handed to the kernel (with TLS: to the TLS layer) to its last byte."""
    ABORTED = "aborted"
    """The client closed or reset the connection first."""
    BROKEN = "broken"
    """The server left it without a full, valid answer on purpose (`/close`, `/half`, `/garbage`, ...)."""


OUTCOMES: tuple[Outcome, ...] = tuple(Outcome)


@dataclass(frozen=True, slots=True)
class RequestRow:
    """One request as the server saw it. Times are CLOCK_MONOTONIC in ns, comparable between processes on Linux."""

    number: int
    """1-based, in the order in which the heads of the requests were complete."""
    route: str
    """The path as sent (`/orders/{id}` for orders), or what the query said by `as=`."""
    route_number: int
    """1-based within the route; the argument of the seeded routes."""
    connection: int
    """1-based number of the connection that it came on."""
    arrived_ns: int
    """When the bytes that began the request were read."""
    answered_ns: int | None
    """When the last byte of the answer was handed over; for broken and aborted ones when that was certain."""
    status: int | None
    """The status that was sent, or None if none was."""
    outcome: Outcome
    client_number: int | None
    """The value of the request's `X-Request-Number` header, if it had one that is a number."""
    body_bytes: int
    """Bytes of the request's body, without chunk framing."""
    sent_bytes: int
    """Bytes of the answer, head and framing included, that were written."""

    @property
    def service_ns(self) -> int | None:
        """From arrival to the last byte of the answer in ns; None unless the answer was completed."""
        if self.outcome is not Outcome.COMPLETED or self.answered_ns is None:
            return None
        return self.answered_ns - self.arrived_ns

    @classmethod
    def from_json(cls, row: Sequence[Any]) -> RequestRow:
        """The inverse of what `GET /__record__` puts into its `rows`."""
        number, route, route_number, connection, arrived, answered, status, outcome, client, body, sent = row
        return cls(
            number, route, route_number, connection, arrived, answered, status, Outcome(outcome), client, body, sent
        )


@dataclass(frozen=True, slots=True)
class RouteStats:
    """The counts of one route: `received = completed + aborted + broken + in_progress`, always."""

    received: int
    completed: Mapping[int, int]
    """Full answers by status."""
    aborted: int
    broken: int

    @property
    def completed_total(self) -> int:
        """Full answers of any status."""
        return sum(self.completed.values())

    @property
    def in_progress(self) -> int:
        """Received and not settled yet."""
        return self.received - self.completed_total - self.aborted - self.broken


@dataclass(frozen=True, slots=True)
class Stats:
    """The counts over everything since the start or the last reset; measurement routes are in none of them."""

    received: int
    completed: int
    aborted: int
    broken: int
    in_progress: int
    bad_requests: int
    """Answered 400 because the bytes were no HTTP request; not in `received`."""
    statuses: Mapping[int, int]
    """Full answers by status."""
    routes: Mapping[str, RouteStats]
    connections_accepted: int
    """Connections that carried at least one counted request, or none at all; not those of `stats()` itself."""
    connections_open: int
    tokens_issued: int
    stalls: int
    rows: int
    """Requests that have a row in the record."""
    rows_dropped: int
    """Requests beyond `max_rows`: counted, without a row."""

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Stats:
        """The inverse of what `GET /__stats__` answers."""
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
