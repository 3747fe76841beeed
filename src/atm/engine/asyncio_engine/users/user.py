"""A virtual user: one iteration at a time, whose steps it sends one after the other, and the request in flight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Protocol

from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.ledger import IterationBooks, Ledger
from atm.engine.asyncio_engine.transport.exchange import Answer, Exchange
from atm.engine.asyncio_engine.transport.redirects import REDIRECTS, Redirects
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.models.outcome import FULL_RESPONSES, Outcome
from atm.plan.load_plan import Origin
from atm.plan.pacer import NEVER


class Carrier(Protocol):
    """A connection that is free."""

    def send(self, exchange: Exchange) -> None: ...


class Connections(Protocol):
    """The connections of one user."""

    @property
    def kept(self) -> Mapping[int, Carrier]:
        """The open ones, by origin."""
        ...

    def dial(self, exchange: Exchange, origin: int) -> None:
        """Send a request on a new connection."""
        ...

    def let_go(self, origin: int) -> Answer | None:
        """Stop the request that is under way; what has come of its answer."""
        ...

    def close(self) -> None: ...


class Origins(Protocol):
    """Where requests go, by index."""

    @property
    def origins(self) -> list[Origin]: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all users of a run share."""

    flows: Sequence[Sequence[PreparedStep]]
    ledger: Ledger
    deadlines: Deadlines
    redirects: Redirects
    origins: Origins
    on_end: Callable[[User, int], None]
    """An iteration has ended at a moment, and its user is free again."""
    on_own_fault: Callable[[User, int], None]
    """The same, but for an iteration that ended by our own fault."""


class Iteration:
    """One pass through a flow. Moments: ns of the monotonic clock."""

    __slots__ = ("flow", "intended", "is_warm_up", "number", "position", "steps")

    number: int
    """1-based, over the whole run."""
    flow: int
    steps: Sequence[PreparedStep]
    position: int
    """The step that is under way."""
    intended: int
    is_warm_up: bool


class Request:
    """The request in flight, and the exchange that the transport carries. `deadline` is NEVER while there is none."""

    __slots__ = (
        "_around",
        "_connections",
        "_figures",
        "_kept",
        "_ledger",
        "_user",
        "actual",
        "armed_at",
        "closes_connection",
        "data",
        "deadline",
        "has_redialled",
        "head_only",
        "hops",
        "intended",
        "origin",
        "received",
        "sent",
        "step",
        "wants_body",
    )

    _figures: EndpointFigures
    step: PreparedStep
    data: bytes
    origin: int
    head_only: bool
    wants_body: bool
    closes_connection: bool
    intended: int
    actual: int

    def __init__(self, user: User, around: Surroundings, connections: Connections) -> None:
        self._user = user
        self._connections = connections
        self._kept = connections.kept
        self._around = around
        self._ledger = around.ledger
        self.deadline = NEVER
        self.armed_at = NEVER
        self.has_redialled = False
        self.hops = 0
        self.sent = 0
        self.received = 0

    def begin(self, step: PreparedStep, figures: EndpointFigures, number: int, intended: int, now: int) -> None:
        """Send the request of `step` in iteration `number` at `now`."""
        figures.started += 1
        self.step = step
        self._figures = figures
        self.intended = intended
        self.actual = now
        self.head_only = step.head_only
        self.wants_body = step.wants_body
        self.closes_connection = step.closes_connection
        self.has_redialled = False
        self.hops = 0
        self.sent = 0
        self.received = 0
        self.deadline = deadline = now + step.timeout_ns
        if deadline < self.armed_at:
            self._around.deadlines.arm(self, deadline)
        data = step.constant
        if data is None:
            data = step.render(number)
        self.data = data
        self.origin = origin = step.origin
        connection = self._kept.get(origin)
        if connection is None:
            self._connections.dial(self, origin)
        else:
            connection.send(self)

    # What the transport and the ledger read

    @property
    def is_idempotent(self) -> bool:
        return self.step.is_idempotent

    @property
    def secret_headers(self) -> frozenset[str]:
        return self.step.secret_headers

    @property
    def has_secret_body(self) -> bool:
        return self.step.has_secret_body

    @property
    def number(self) -> int:
        return self._user.iteration.number

    @property
    def position(self) -> int:
        return self._user.iteration.position

    @property
    def endpoint(self) -> int:
        return self._figures.endpoint

    @property
    def is_warm_up(self) -> bool:
        return self._figures.warm_up

    @property
    def slots(self) -> frozenset[str]:
        return self.step.slots

    @property
    def destination(self) -> Origin:
        return self._around.origins.origins[self.origin]

    # What the transport reports

    def redialled(self) -> None:
        """The server had closed the kept connection: once more on a new one, which happens once per request."""
        self.has_redialled = True
        self._figures.redialled += 1
        self._figures.touched = True

    def answered(self, answer: Answer, now: int) -> None:
        """A full response has been read at `now`."""
        step = self.step
        status = answer.status
        withheld = False
        if step.follows_redirects and status in REDIRECTS:
            withheld = self._around.redirects.withholds(self, answer)
            if not withheld and self._around.redirects.follow(self, answer):
                self._send_on()
                return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        figures = self._figures
        response = now - self.intended
        if status not in step.expected:
            outcome, message = Outcome.UNEXPECTED_STATUS, step.unexpected(status, withheld=withheld)
        elif step.check is not None and (failure := step.check(answer)):
            outcome, message = Outcome.CHECK_FAILED, failure
        else:
            figures.answered_ok(status, response, now - self.actual, answer.first_byte - self.actual)
            if now > ledger.sending_end:
                figures.drained_ok += 1
            if response > ledger.sampler.slower_than[figures.endpoint]:
                ledger.sampler.keep_ok(self, answer, now)
            self._end(now)
            self._user.go_on(now)
            return
        at = now - ledger.epoch
        first_byte = answer.first_byte - self.actual
        figures.answered_badly(outcome, message, status, response, now - self.actual, first_byte, at)
        self._end_failed(outcome, message, now, answer)

    def _send_on(self) -> None:
        connection = self._kept.get(self.origin)
        if connection is None:
            self._connections.dial(self, self.origin)
        else:
            connection.send(self)

    def failed(self, outcome: Outcome, message: str, now: int, answer: Answer | None = None) -> None:
        """The request has ended without a full response; `answer` is what has come of one."""
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        if answer is not None:
            self.received += answer.received
        if outcome is Outcome.TIMEOUT:
            self._figures.gave_up(message, now - self.intended, now - self.actual, now - ledger.epoch)
        else:
            self._figures.ended(outcome, message, now - self.intended, now - ledger.epoch)
        self._end_failed(outcome, message, now, answer)

    # What the loop reports

    def time_out(self, now: int) -> None:
        """The request has run out of time."""
        answer = self._connections.let_go(self.origin)
        self.failed(Outcome.TIMEOUT, self.step.timeout_message, now, answer)

    def leave_unfinished(self) -> None:
        """The run ends while the request is in flight."""
        answer = self._connections.let_go(self.origin)
        if answer is not None:
            self.received += answer.received
        self._figures.left_unfinished()
        self._end(self._ledger.last_finish)

    def _end_failed(self, outcome: Outcome, message: str, now: int, answer: Answer | None) -> None:
        ledger = self._ledger
        if now > ledger.sending_end and outcome is not Outcome.GENERATOR_ERROR:
            self._figures.drained_failed += 1
        ledger.sampler.keep_failed(self, answer, outcome, message, now)
        self._end(now)
        if outcome in FULL_RESPONSES:
            self._user.go_on(now)
        else:
            self._user.give_up(is_own_fault=outcome is Outcome.GENERATOR_ERROR)

    def _end(self, now: int) -> None:
        """The request has ended at `now`, or was left when the run ended."""
        self.deadline = NEVER
        self._ledger.last_finish = now
        figures = self._figures
        figures.bytes_sent += self.sent
        figures.bytes_received += self.received
        if self.hops:
            figures.redirect_hops += self.hops


class User:
    """Sends the steps of an iteration in order, each when the one before has ended."""

    __slots__ = ("_around", "_connections", "_ledger", "iteration", "request")

    def __init__(self, around: Surroundings, connections: Connections) -> None:
        self._around = around
        self._ledger = around.ledger
        self._connections = connections
        self.iteration = Iteration()
        """The current one, or the last; before the first, without fields."""
        self.request = Request(self, around, connections)

    @property
    def is_busy(self) -> bool:
        return self.request.deadline < NEVER

    def begin(self, number: int, flow: int, intended: int, now: int, is_warm_up: bool) -> None:
        """Start iteration `number` at `now`."""
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        if ledger.counts_iterations:
            ledger.books(flow, is_warm_up=is_warm_up).started += 1
        iteration = self.iteration
        iteration.number = number
        iteration.flow = flow
        iteration.intended = intended
        iteration.is_warm_up = is_warm_up
        iteration.position = 0
        iteration.steps = steps = self._around.flows[flow]
        step = steps[0]
        figures = (ledger.warm_up if is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, number, intended, now)

    def go_on(self, finished: int) -> None:
        """The step has had a full response at `finished`: on to the next one, or the iteration is complete."""
        iteration = self.iteration
        iteration.position = position = iteration.position + 1
        steps = iteration.steps
        now = monotonic_ns()
        if position == len(steps):
            if self._ledger.counts_iterations:
                self._books.completed += 1
            self._around.on_end(self, now)
            return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        step = steps[position]
        figures = (ledger.warm_up if iteration.is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, iteration.number, finished, now)

    def give_up(self, *, is_own_fault: bool) -> None:
        """The step had no full response, so the iteration has failed."""
        self._books.failed += 1
        if is_own_fault:
            self._around.on_own_fault(self, monotonic_ns())
        else:
            self._around.on_end(self, monotonic_ns())

    def leave_unfinished(self) -> None:
        """The run ends while the iteration is under way."""
        self.request.leave_unfinished()
        self._books.unfinished += 1

    def close(self) -> None:
        """Close every connection; for a user without a request."""
        self._connections.close()

    @property
    def _books(self) -> IterationBooks:
        return self._ledger.books(self.iteration.flow, is_warm_up=self.iteration.is_warm_up)
