"""The requests of an iteration, kept until it has ended, since only then is it known whether it is sampled."""

from __future__ import annotations

from atm.engine.asyncio_engine.ledger.iteration_sampler import EndedRequest
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.models.outcome import Outcome

MOST_STEPS = 100
"""Number of requests kept for each iteration."""
MOST_TRACES = 1_000
"""Number of iterations that can be traced at the same time."""
_MOST_BYTES = 65_536
_LEAST_BYTES = 1_024
"""Bytes of responses kept for each iteration, and of each further response."""


class TracedResponse:
    """The response to a traced request: a copy of what the connection has read."""

    __slots__ = ("body_bytes", "first_byte", "head_status", "raw", "received")

    def __init__(self, response: Response, most_bytes: int) -> None:
        self.first_byte = response.first_byte
        self.received = response.received
        self.body_bytes = response.body_bytes
        self.head_status = response.head_status if response.received else None
        self.raw = response.raw[:most_bytes] if response.received else b""


class Trace:
    """The requests of one iteration so far."""

    __slots__ = ("_bytes", "has_failure", "left_out", "requests")

    def __init__(self) -> None:
        self.requests: list[EndedRequest] = []
        self.left_out = 0
        """Requests beyond `MOST_STEPS`."""
        self.has_failure = False
        """A request failed."""
        self._bytes = 0

    def has_place(self, outcome: Outcome) -> bool:
        """Record the outcome of a request; return whether the request can be added."""
        if outcome is not Outcome.OK:
            self.has_failure = True
        if len(self.requests) < MOST_STEPS:
            return True
        self.left_out += 1
        return False

    def takes(self, size: int) -> bool:
        """Return whether a response of a size can be kept as it is; count it if so."""
        whole = self._bytes + size
        if whole > _MOST_BYTES:
            return False
        self._bytes = whole
        return True

    def copy_of(self, response: Response | None) -> TracedResponse | None:
        """Return the response to the next request to add, as far as it is kept."""
        if response is None:
            return None
        copy = TracedResponse(response, max(_MOST_BYTES - self._bytes, _LEAST_BYTES))
        self._bytes += len(copy.raw)
        return copy
