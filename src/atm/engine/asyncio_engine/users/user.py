"""A virtual user: runs one iteration at a time, sends its steps in order, and holds the request in flight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic_ns

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.lane_end import LaneEnd
from atm.engine.asyncio_engine.ledger.ledger import IterationBooks, Ledger
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.engine.asyncio_engine.transport.redirects import REDIRECTS, Redirects
from atm.engine.asyncio_engine.users.connections import Connections, Origins
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.engine.asyncio_engine.users.sent_step import SentStep
from atm.models.outcome import FULL_RESPONSES, Outcome
from atm.plan.connections import Origin
from atm.plan.pacer import NEVER


@dataclass(frozen=True, slots=True)
class UserContext:
    """Objects that all users of a lane share."""

    flows: Sequence[Sequence[PreparedStep]]
    ledger: Ledger
    sending: LaneEnd
    deadlines: Deadlines
    redirects: Redirects
    origins: Origins
    on_end: Callable[[User, int], None]
    """Called when an iteration has ended, with the time; its user is free again."""
    on_generator_error: Callable[[User, int], None]
    """The same, for an iteration that ended with a generator error."""


class Iteration:
    """One pass through a flow. Times: ns of the monotonic clock."""

    __slots__ = ("flow", "intended", "is_warm_up", "number", "position", "steps")

    number: int
    """1-based, over the whole lane."""
    flow: int
    steps: Sequence[PreparedStep]
    position: int
    """The position of the current step."""
    intended: int
    is_warm_up: bool


class Request:
    """The request in flight, and the exchange of the transport. `deadline` is NEVER while there is no request."""

    __slots__ = (
        "_by_origin",
        "_connections",
        "_context",
        "_ledger",
        "_sending",
        "_user",
        "actual",
        "armed_at",
        "closes_connection",
        "data",
        "deadline",
        "figures",
        "has_redialled",
        "head_only",
        "hops",
        "intended",
        "known",
        "origin",
        "received",
        "sent",
        "step",
        "wants_body",
    )

    figures: EndpointFigures
    step: SentStep
    data: bytes
    origin: int
    head_only: bool
    wants_body: bool
    closes_connection: bool
    known: KnownResponse
    intended: int
    actual: int

    def __init__(self, user: User, context: UserContext, connections: Connections) -> None:
        self._user = user
        self._connections = connections
        self._by_origin = connections.by_origin
        self._context = context
        self._ledger = context.ledger
        self._sending = context.sending
        self.deadline = NEVER
        self.armed_at = NEVER
        self.has_redialled = False
        self.hops = 0
        self.sent = 0
        self.received = 0

    def begin(self, step: SentStep, figures: EndpointFigures, number: object, intended: int, now: int) -> None:
        """Send the request of a step at `now`; `number` is what the step renders it from, by default the iteration."""
        figures.started += 1
        self.step = step
        self.figures = figures
        self.intended = intended
        self.actual = now
        self.head_only = step.head_only
        self.wants_body = step.wants_body
        self.closes_connection = step.closes_connection
        self.known = step.known
        self.has_redialled = False
        self.hops = 0
        self.sent = 0
        self.received = 0
        self.deadline = deadline = now + step.timeout_ns
        if deadline < self.armed_at:
            self._context.deadlines.arm(self, deadline)
        data = step.constant
        if data is None:
            data = step.render(number)
        self.data = data
        self.origin = origin = step.origin
        connection = self._by_origin.get(origin)
        if connection is None:
            self._connections.dial(self, origin)
        else:
            connection.send(self)

    # Read by the transport and the ledger

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
        return self.figures.endpoint

    @property
    def is_warm_up(self) -> bool:
        return self.figures.warm_up

    @property
    def slots(self) -> frozenset[str]:
        return self.step.slots

    @property
    def shown(self) -> bytes:
        return self.step.readable(self.data)

    @property
    def secret_values(self) -> Sequence[str]:
        return ()

    @property
    def destination(self) -> Origin:
        return self._context.origins.origins[self.origin]

    # Called by the transport

    def redialled(self) -> None:
        """Record that the server had closed the reused connection; allowed once per request."""
        self.has_redialled = True
        self.figures.redialled += 1
        self.figures.touched = True

    def responded(self, response: Response, now: int) -> None:
        """Judge a full response, read at `now`."""
        step = self.step
        status = response.status
        withheld = False
        if step.follows_redirects and status in REDIRECTS:
            withheld = self._context.redirects.withholds(self, response)
            if not withheld and self._context.redirects.follow(self, response):
                self._send_on()
                return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        figures = self.figures
        response_time = now - self.intended
        if status not in step.expected:
            outcome, message = Outcome.UNEXPECTED_STATUS, step.unexpected(status, withheld=withheld)
        elif step.check is not None and (failure := step.check(response)):
            outcome, message = Outcome.CHECK_FAILED, failure
        else:
            actual = self.actual
            figures.count_ok(status, response_time, now - actual, response.first_byte - actual)
            if now > self._sending.end:
                figures.drained_ok += 1
            if response_time > ledger.sampler.slower_than[figures.endpoint]:
                ledger.sampler.keep_ok(self, response, now)
            self._end(now)
            self._user.next_step(now)
            return
        at = now - ledger.epoch
        first_byte = response.first_byte - self.actual
        figures.count_failed_response(outcome, message, status, response_time, now - self.actual, first_byte, at)
        self._end_failed(outcome, message, now, response)

    def _send_on(self) -> None:
        connection = self._by_origin.get(self.origin)
        if connection is None:
            self._connections.dial(self, self.origin)
        else:
            connection.send(self)

    def failed(self, outcome: Outcome, message: str, now: int, response: Response | None = None) -> None:
        """End the request without a full response; `response` is the part that was received."""
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        if response is not None:
            self.received += response.received
        if outcome is Outcome.TIMEOUT:
            self.figures.count_timeout(message, now - self.intended, now - self.actual, now - ledger.epoch)
        else:
            self.figures.count_error(outcome, message, now - self.intended, now - ledger.epoch)
        self._end_failed(outcome, message, now, response)

    # Called by the loop

    def time_out(self, now: int) -> None:
        """End the request because its timeout has passed."""
        response = self._connections.abort(self.origin)
        self.failed(Outcome.TIMEOUT, self.step.timeout_message, now, response)

    def leave_unfinished(self) -> None:
        """Leave the request unfinished because the run ends."""
        response = self._connections.abort(self.origin)
        if response is not None:
            self.received += response.received
        self.figures.count_unfinished()
        self._end(self._sending.last_finish)

    def _end_failed(self, outcome: Outcome, message: str, now: int, response: Response | None) -> None:
        ledger = self._ledger
        if now > self._sending.end and outcome is not Outcome.GENERATOR_ERROR:
            self.figures.drained_failed += 1
        ledger.sampler.keep_failed(self, response, outcome, message, now)
        self._end(now)
        self._user.step_failed(outcome, now)

    def _end(self, now: int) -> None:
        """Record the end of the request at `now`, or that it was left unfinished."""
        self.deadline = NEVER
        self._sending.last_finish = now
        figures = self.figures
        figures.bytes_sent += self.sent
        figures.bytes_received += self.received
        if self.hops:
            figures.redirect_hops += self.hops


class User:
    """Sends the steps of an iteration in order, each after the previous one has ended."""

    __slots__ = ("_connections", "_context", "_ledger", "iteration", "not_before", "request")

    def __init__(self, context: UserContext, connections: Connections) -> None:
        self._context = context
        self._ledger = context.ledger
        self._connections = connections
        self.iteration = Iteration()
        """The current iteration, or the last one; has no fields before the first."""
        self.request = Request(self, context, connections)
        self.not_before = 0
        """The earliest intended start of the next iteration, by the pace of the last one; 0 without a pace."""

    @property
    def is_busy(self) -> bool:
        return self.request.deadline < NEVER

    @property
    def is_prepared(self) -> bool:
        """Whether it may start an iteration: one of a scenario may have something to do before its first."""
        return True

    def leave(self, now: int) -> bool:  # noqa: ARG002
        """Start what the user does at the end of the run, after its last iteration; return whether there is any."""
        return False

    def prepare(self, flow: int, now: int, is_warm_up: bool) -> None:
        """Start what a user of a flow does before its first iteration; never for one that is prepared."""
        raise AssertionError(f"flow {flow} has no scenario to prepare a user for: {now}, {is_warm_up}")

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
        iteration.steps = steps = self._context.flows[flow]
        step = steps[0]
        figures = (ledger.warm_up if is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, number, intended, now)

    def next_step(self, finished: int) -> None:
        """Continue after a full response at `finished`: send the next step, or complete the iteration."""
        iteration = self.iteration
        iteration.position = position = iteration.position + 1
        steps = iteration.steps
        now = monotonic_ns()
        if position == len(steps):
            if self._ledger.counts_iterations:
                time = max(finished - iteration.intended, 0)
                self._books.complete(time, time)
            self._context.on_end(self, now)
            return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        step = steps[position]
        figures = (ledger.warm_up if iteration.is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, iteration.number, finished, now)

    def step_failed(self, outcome: Outcome, finished: int) -> None:
        """Continue after a full response; without one, fail the iteration."""
        if outcome in FULL_RESPONSES:
            self.next_step(finished)
            return
        self._books.failed += 1
        iteration, ledger = self.iteration, self._ledger
        figures = ledger.warm_up if iteration.is_warm_up else ledger.measured
        for step in iteration.steps[iteration.position + 1 :]:
            figures[step.endpoint].count_not_reached()
        if outcome is Outcome.GENERATOR_ERROR:
            self._context.on_generator_error(self, monotonic_ns())
        else:
            self._context.on_end(self, monotonic_ns())

    def leave_unfinished(self) -> None:
        """Leave the iteration unfinished because the run ends."""
        self.request.leave_unfinished()
        self._books.unfinished += 1

    def close(self) -> None:
        """Close every connection of a user without a request."""
        self._connections.close()

    @property
    def _books(self) -> IterationBooks:
        return self._ledger.books(self.iteration.flow, is_warm_up=self.iteration.is_warm_up)
