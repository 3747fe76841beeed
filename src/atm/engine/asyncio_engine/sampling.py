"""Requests that are kept whole: the first of each endpoint, the first few of each failure, the slowest."""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import TYPE_CHECKING

from atm.engine.asyncio_engine.bodies import decoded
from atm.engine.asyncio_engine.job import authority
from atm.engine.asyncio_engine.masking import Masker
from atm.engine.asyncio_engine.response_head import dechunked, response_head
from atm.metrics.interval import Exchanged, Sample
from atm.models.outcome import Outcome
from atm.plan.load_plan import Origin

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.connection import Connection
    from atm.engine.asyncio_engine.run import Run
    from atm.engine.asyncio_engine.user import User

BEYOND_CUT = 4_096
"""Bytes kept beyond the cut of a body until it has been masked."""

_ALWAYS = -1
_KEPT_PER_SECOND = 200
"""Firsts and failures, over all endpoints: a plan with thousands of endpoints must not become a plan of samples."""


class Sampler:
    """Decides by one comparison per ok request; samples are put together once a second."""

    def __init__(self, run: Run, masker: Masker) -> None:
        self._run = run
        self._masker = masker
        sampling = run.plan.sampling
        endpoints = len(run.plan.endpoints)
        self._body_bytes = sampling.body_bytes
        self._slowest = sampling.slowest
        self._firsts_left = [sampling.first_per_endpoint] * endpoints
        self._failures_left: dict[tuple[int, Outcome], int] = {}
        self._failures_per_kind = sampling.failures_per_kind
        self._bound = _ALWAYS
        """The response time that the least of the slowest has; what is slower takes its place."""
        self._heap: list[tuple[int, int]] = []
        self._candidates: dict[int, _Kept] = {}
        self._kept: list[_Kept] = []
        self.slower_than: list[int] = [self._limit(endpoint) for endpoint in range(endpoints)]
        """Per endpoint: an ok request with a response time above this (ns) is of interest."""

    def keep_ok(self, user: User, connection: Connection, now: int) -> None:
        """Keep a request that is ok and of interest."""
        self._keep(user, connection, Outcome.OK, "", now)

    def keep_failed(self, user: User, connection: Connection | None, outcome: Outcome, message: str, now: int) -> None:
        """Keep a failure while there are few of its kind, or where it is among the slowest."""
        kind = (user.cell.endpoint, outcome)
        left = self._failures_left.get(kind, self._failures_per_kind)
        if left > 0 and len(self._kept) < _KEPT_PER_SECOND:
            self._failures_left[kind] = left - 1
            self._kept.append(_Kept(self._run, user, connection, outcome, message, now, "failure"))
        elif outcome is not Outcome.GENERATOR_ERROR:
            self._keep(user, connection, outcome, message, now)

    def take(self) -> list[Sample]:
        """The samples of the second that has ended."""
        kept = [*self._kept, *self._candidates.values()]
        self._kept = []
        self._candidates = {}
        return [each.sample(self._masker, self._body_bytes) for each in kept]

    def _keep(self, user: User, connection: Connection | None, outcome: Outcome, message: str, now: int) -> None:
        endpoint = user.cell.endpoint
        if self._firsts_left[endpoint] > 0 and len(self._kept) < _KEPT_PER_SECOND:
            self._firsts_left[endpoint] -= 1
            self._kept.append(_Kept(self._run, user, connection, outcome, message, now, "first"))
            self.slower_than[endpoint] = self._limit(endpoint)
            return
        response = now - user.intended
        if user.cell.warm_up or response <= self._bound or not self._slowest:
            return
        entry = (response, user.number)
        if len(self._heap) < self._slowest:
            heappush(self._heap, entry)
        else:
            self._candidates.pop(heappushpop(self._heap, entry)[1], None)
        self._candidates[user.number] = _Kept(self._run, user, connection, outcome, message, now, "slowest")
        if len(self._heap) == self._slowest:
            self._bound = self._heap[0][0]
            self.slower_than = [self._limit(each) for each in range(len(self.slower_than))]

    def _limit(self, endpoint: int) -> int:
        if self._firsts_left[endpoint] > 0:
            return _ALWAYS
        return self._bound if self._slowest else 1 << 62


class _Kept:
    """References to what a sample is made of; nothing is copied until the second has ended."""

    __slots__ = ("_body_bytes", "_connection_raw", "_first_byte", "_origin", "_status", "fields", "request", "slots")

    def __init__(
        self, run: Run, user: User, connection: Connection | None, outcome: Outcome, message: str, now: int, reason: str
    ) -> None:
        epoch = run.epoch
        answered = connection is not None and connection.received > 0
        self.request = user.request
        self.slots = user.job.slots
        self._origin = run.dialer.origins[user.origin]
        self._connection_raw = connection.raw if connection and answered else None
        self._body_bytes = connection.body_bytes if connection else 0
        self._first_byte = connection.first_byte - epoch if connection and connection.first_byte else None
        self._status = connection.answered_status if connection and answered else None
        self.fields = (
            user.number, user.cell.endpoint, user.cell.warm_up, reason, outcome, message,
            user.intended - epoch, user.actual - epoch, now - epoch,
        )  # fmt: skip

    def sample(self, masker: Masker, body_bytes: int) -> Sample:
        url, request = _request(self.request, self._origin, self.slots, masker, body_bytes)
        response = None
        if self._connection_raw is not None:
            response = _response(self._connection_raw, self._body_bytes, masker, body_bytes)
        number, endpoint, warm_up, reason, outcome, message, intended, actual, finish = self.fields
        return Sample(
            number, endpoint, warm_up, reason, outcome, masker.text(message), intended, actual, finish,
            self._first_byte, self._status, url, request, response,
        )  # fmt: skip


def _request(
    raw: bytes, origin: Origin, slots: frozenset[str], masker: Masker, body_bytes: int
) -> tuple[str, Exchanged]:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode(errors="replace").split("\r\n")
    line = masker.request_text(lines[0], slots)
    headers = [each.partition(":") for each in lines[1:]]
    base = f"{origin.scheme}://{authority(origin.host, origin.port, 443 if origin.scheme == 'https' else 80)}"
    target = line.split(" ", 2)[1]
    return target if target.startswith("http://") else base + target, Exchanged(
        line,
        tuple(
            (name.strip(), masker.header(name.strip(), masker.request_text(value.strip(), slots)))
            for name, _, value in headers
        ),
        masker.request_text(body.decode(errors="replace"), slots)[:body_bytes],
        len(body),
    )


def _response(raw: bytes, whole: int, masker: Masker, body_bytes: int) -> Exchanged:
    head = response_head(raw)
    body = raw[head.body_at :]
    if head.is_chunked:
        body = dechunked(body)
    # Masked before it is cut, so that no half of a secret is left at the end.
    body = decoded(body, head.get("content-encoding"), body_bytes + BEYOND_CUT)
    return Exchanged(
        masker.text(head.status_line),
        tuple((name, masker.header(name, masker.text(value))) for name, value in head.headers),
        masker.text(body.decode(errors="replace"))[:body_bytes],
        whole,
    )
