"""Choose samples: the first requests of an endpoint, the first failures of each kind, the slowest requests."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappush, heappushpop
from typing import Protocol

from atm.engine.asyncio_engine.ledger.masker import Masker
from atm.engine.asyncio_engine.responses import dechunked, decoded, response_head
from atm.metrics.sample import Exchanged, Sample
from atm.models.outcome import Outcome
from atm.plan.connections import Origin
from atm.plan.load_plan import Sampling

BEYOND_CUT = 4_096
"""Bytes of a body stored beyond the limit until it has been masked."""

_ALWAYS = -1
_SAMPLES_PER_SECOND = 200
"""Limit for first requests and failures, over all endpoints, because a plan may have thousands of endpoints."""


class SampledResponse(Protocol):
    """The part of a response that has been received."""

    first_byte: int
    """Time of the first byte; 0 while nothing was received."""
    received: int
    body_bytes: int

    @property
    def raw(self) -> bytes: ...

    @property
    def head_status(self) -> int | None: ...


class SampledRequest(Protocol):
    """A request that has ended. Times: ns of the monotonic clock."""

    intended: int
    actual: int

    @property
    def number(self) -> int: ...

    @property
    def endpoint(self) -> int: ...

    @property
    def position(self) -> int:
        """The position of its step in the flow; in a scenario, of the request in the iteration."""
        ...

    @property
    def is_warm_up(self) -> bool: ...

    @property
    def slots(self) -> frozenset[str]:
        """The secret slots that it was rendered from."""
        ...

    @property
    def shown(self) -> bytes:
        """The request as it was last sent, as text, without the secret values that are known by their place."""
        ...

    @property
    def secret_values(self) -> Sequence[str]:
        """Secret values of its user; empty outside scenarios."""
        ...

    @property
    def destination(self) -> Origin: ...


class Sampler:
    """Selects by one comparison per ok request; samples are built once a second."""

    def __init__(self, sampling: Sampling, endpoints: int, masker: Masker) -> None:
        self._masker = masker
        self.epoch = 0
        """The start of the run."""
        self._body_bytes = sampling.body_bytes
        self._slowest = sampling.slowest
        self._firsts_left = [sampling.first_per_endpoint] * endpoints
        self._first_per_endpoint = sampling.first_per_endpoint
        self._failures_left: dict[tuple[int, Outcome], int] = {}
        self._failures_per_kind = sampling.failures_per_kind
        self._bound = _ALWAYS
        """The shortest response time among the slowest requests; a slower request replaces that one."""
        self._heap: list[tuple[int, int, int, int]] = []
        self._candidates: dict[tuple[int, int, int], PendingSample] = {}
        self._pending: list[PendingSample] = []
        self.slower_than: list[int] = [self._limit(endpoint) for endpoint in range(endpoints)]
        """Per endpoint: an ok request with a longer response time (ns) is a candidate."""

    def add_endpoint(self) -> None:
        """Make room for an endpoint that is used first."""
        self._firsts_left.append(self._first_per_endpoint)
        self.slower_than.append(self._limit(len(self.slower_than)))

    def keep_ok(self, request: SampledRequest, response: SampledResponse, now: int) -> None:
        """Consider an ok request for sampling."""
        self._keep(request, response, Outcome.OK, "", now)

    def keep_failed(
        self, request: SampledRequest, response: SampledResponse | None, outcome: Outcome, message: str, now: int
    ) -> None:
        """Sample a failure while there are few of its kind, or if it is among the slowest."""
        kind = (request.endpoint, outcome)
        left = self._failures_left.get(kind, self._failures_per_kind)
        if left > 0 and len(self._pending) < _SAMPLES_PER_SECOND:
            self._failures_left[kind] = left - 1
            self._pending.append(PendingSample(self.epoch, request, response, outcome, message, now, "failure"))
        elif outcome is not Outcome.GENERATOR_ERROR:
            self._keep(request, response, outcome, message, now)

    def take(self) -> list[Sample]:
        """Return the samples of the second that has ended."""
        pending = [*self._pending, *self._candidates.values()]
        self._pending = []
        self._candidates = {}
        return [request.sample(self._masker, self._body_bytes) for request in pending]

    def _keep(
        self, request: SampledRequest, response: SampledResponse | None, outcome: Outcome, message: str, now: int
    ) -> None:
        endpoint = request.endpoint
        if self._firsts_left[endpoint] > 0 and len(self._pending) < _SAMPLES_PER_SECOND:
            self._firsts_left[endpoint] -= 1
            self._pending.append(PendingSample(self.epoch, request, response, outcome, message, now, "first"))
            self.slower_than[endpoint] = self._limit(endpoint)
            return
        response_time = now - request.intended
        if request.is_warm_up or response_time <= self._bound or not self._slowest:
            return
        # Iterations of two lanes have the same numbers, but different endpoints.
        key = (request.number, request.position, endpoint)
        if len(self._heap) < self._slowest:
            heappush(self._heap, (response_time, *key))
        else:
            self._candidates.pop(heappushpop(self._heap, (response_time, *key))[1:], None)
        self._candidates[key] = PendingSample(self.epoch, request, response, outcome, message, now, "slowest")
        if len(self._heap) == self._slowest:
            self._bound = self._heap[0][0]
            self.slower_than = [self._limit(endpoint) for endpoint in range(len(self.slower_than))]

    def _limit(self, endpoint: int) -> int:
        if self._firsts_left[endpoint] > 0:
            return _ALWAYS
        return self._bound if self._slowest else 1 << 62


class PendingSample:
    """References to the parts of a sample; nothing is copied until the second has ended."""

    __slots__ = ("_body_bytes", "_data", "_fields", "_first_byte", "_origin", "_raw", "_secrets", "_slots", "_status")

    def __init__(
        self,
        epoch: int,
        request: SampledRequest,
        response: SampledResponse | None,
        outcome: Outcome,
        message: str,
        now: int,
        reason: str,
    ) -> None:
        has_response = response is not None and response.received > 0
        self._data = request.shown
        self._secrets = request.secret_values
        self._slots = request.slots
        self._origin = request.destination
        self._raw = response.raw if response and has_response else None
        self._body_bytes = response.body_bytes if response else 0
        self._first_byte = response.first_byte - epoch if response and response.first_byte else None
        self._status = response.head_status if response and has_response else None
        self._fields = (
            request.number, request.endpoint, request.is_warm_up, reason, outcome, message,
            request.intended - epoch, request.actual - epoch, now - epoch,
        )  # fmt: skip

    def sample(self, masker: Masker, body_bytes: int) -> Sample:
        if self._secrets:
            masker = masker.with_values(self._secrets)
        url, request = _request(self._data, self._origin, self._slots, masker, body_bytes)
        response = None
        if self._raw is not None:
            response = _response(self._raw, self._body_bytes, masker, body_bytes)
        number, endpoint, warm_up, reason, outcome, message, intended, actual, finish = self._fields
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
    headers = [line.partition(":") for line in lines[1:]]
    target = line.split(" ", 2)[1]
    return target if target.startswith("http://") else origin.url + target, Exchanged(
        line,
        tuple(
            (name.strip(), masker.header(name.strip(), masker.request_text(value.strip(), slots)))
            for name, _, value in headers
        ),
        masker.request_text(body.decode(errors="replace"), slots)[:body_bytes],
        _declared_length(lines, len(body)),
    )


def _declared_length(lines: Sequence[str], shown: int) -> int:
    """Return the length of a body that was sent, which is not that of one shown masked or not compressed."""
    lengths = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("content-length:")]
    return int(lengths[-1]) if lengths and lengths[-1].isdigit() else shown


def _response(raw: bytes, whole: int, masker: Masker, body_bytes: int) -> Exchanged:
    head = response_head(raw)
    body = raw[head.body_at :]
    if head.is_chunked:
        body = dechunked(body)
    # Mask before truncating, so that no partial secret remains at the end.
    body = decoded(body, head.get("content-encoding"), body_bytes + BEYOND_CUT)
    return Exchanged(
        masker.text(head.status_line),
        tuple((name, masker.header(name, masker.text(value))) for name, value in head.headers),
        masker.text(body.decode(errors="replace"))[:body_bytes],
        whole,
    )
