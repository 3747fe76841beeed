"""Store the server's record: a row per request in columns of machine integers, and unlimited counts.

Memory is bounded: about 53 bytes per row, and `max_rows` rows. Further requests are counted without a row, as the
counts show.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.testing.target_server.record import OUTCOMES, Outcome

ROUTE_NAMES_LIMIT = 4096
OTHER_ROUTES = "(others)"
NO_ROW = -1

_CODES = {outcome: code for code, outcome in enumerate(OUTCOMES)}
_NONE = -1


@dataclass(slots=True)
class RouteCounter:
    """The counts of one route and its place in the table of names."""

    index: int
    name: str
    received: int = 0
    completed: dict[int, int] = field(default_factory=dict)
    aborted: int = 0
    broken: int = 0


class Recorder:
    """Rows and counts since the start or the last reset; a reset creates a new one, safe from late responses."""

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._counters: dict[str, RouteCounter] = {}
        self._names: list[str] = []
        self._route = array("H")
        self._route_number = array("I")
        self._connection = array("I")
        self._arrived = array("q")
        self._answered = array("q")
        self._status = array("h")
        self._outcome = array("b")
        self._client_number = array("q")
        self._body_bytes = array("q")
        self._sent_bytes = array("q")
        self.received = 0
        self.bad_requests = 0

    def counter(self, name: str) -> RouteCounter:
        """Return the counter of a route; beyond 4,096 different names, all others share `(others)`."""
        counter = self._counters.get(name)
        if counter is not None:
            return counter
        if len(self._names) >= ROUTE_NAMES_LIMIT:
            name = OTHER_ROUTES
            if name in self._counters:
                return self._counters[name]
        made = RouteCounter(len(self._names), name)
        self._counters[name] = made
        self._names.append(name)
        return made

    def arrive(self, counter: RouteCounter, connection: int, arrived_ns: int, client_number: int) -> int:
        """Record a request whose head is complete; return its row, or `NO_ROW` when the record is full."""
        self.received += 1
        counter.received += 1
        row = len(self._route)
        if row >= self._max_rows:
            return NO_ROW
        self._route.append(counter.index)
        self._route_number.append(counter.received)
        self._connection.append(connection)
        self._arrived.append(arrived_ns)
        self._answered.append(_NONE)
        self._status.append(_NONE)
        self._outcome.append(0)
        self._client_number.append(client_number)
        self._body_bytes.append(0)
        self._sent_bytes.append(0)
        return row

    def completed(self, counter: RouteCounter, row: int, status: int, at_ns: int, body: int, sent: int) -> None:
        """Record a full response, handed over at `at_ns`."""
        counts = counter.completed
        counts[status] = counts.get(status, 0) + 1
        if row >= 0:
            self._answered[row] = at_ns
            self._status[row] = status
            self._outcome[row] = 1
            self._body_bytes[row] = body
            self._sent_bytes[row] = sent

    def left(
        self, counter: RouteCounter, row: int, outcome: Outcome, status: int | None, at_ns: int, body: int, sent: int
    ) -> None:
        """Record a request without a full response: the client disconnected (`ABORTED`), or on purpose (`BROKEN`)."""
        if outcome is Outcome.ABORTED:
            counter.aborted += 1
        else:
            counter.broken += 1
        if row >= 0:
            self._answered[row] = at_ns
            self._status[row] = _NONE if status is None else status
            self._outcome[row] = _CODES[outcome]
            self._body_bytes[row] = body
            self._sent_bytes[row] = sent

    @property
    def row_count(self) -> int:
        """Rows in the record now."""
        return len(self._route)

    def rows(self, since: int, limit: int) -> Iterator[list[Any]]:
        """Return at most `limit` rows with a number above `since`, as `RequestRow.from_json` reads them."""
        for row in range(since, min(since + limit, len(self._route))):
            answered, status, client = self._answered[row], self._status[row], self._client_number[row]
            yield [
                row + 1,
                self._names[self._route[row]],
                self._route_number[row],
                self._connection[row],
                self._arrived[row],
                None if answered == _NONE else answered,
                None if status == _NONE else status,
                OUTCOMES[self._outcome[row]].value,
                None if client == _NONE else client,
                self._body_bytes[row],
                self._sent_bytes[row],
            ]

    def counts(self) -> dict[str, Any]:
        """Return the counts, as `Stats.from_json` reads them (without those that only the server has)."""
        statuses: dict[int, int] = {}
        for counter in self._counters.values():
            for status, count in counter.completed.items():
                statuses[status] = statuses.get(status, 0) + count
        completed = sum(statuses.values())
        aborted = sum(counter.aborted for counter in self._counters.values())
        broken = sum(counter.broken for counter in self._counters.values())
        return {
            "received": self.received,
            "completed": completed,
            "aborted": aborted,
            "broken": broken,
            "in_progress": self.received - completed - aborted - broken,
            "bad_requests": self.bad_requests,
            "statuses": statuses,
            "routes": {
                counter.name: {
                    "received": counter.received,
                    "completed": counter.completed,
                    "aborted": counter.aborted,
                    "broken": counter.broken,
                }
                for counter in self._counters.values()
                if counter.received
            },
            "rows": self.row_count,
            "rows_dropped": self.received - self.row_count,
        }
