"""A virtual user: one iteration at a time, whose steps it sends one after the other, and the request in flight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic_ns
from typing import Protocol

from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.ledger import Ledger
from atm.engine.asyncio_engine.transport.exchange import Answer, Exchange
from atm.engine.asyncio_engine.transport.redirects import REDIRECTS, Redirects
from atm.engine.asyncio_engine.users.deadlines import Deadlines
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.models.outcome import FULL_RESPONSES, Outcome
from atm.plan.load_plan import Origin
from atm.plan.pacing import NEVER


class Sender(Protocol):
    """The connections of one user."""

    def send(self, exchange: Exchange) -> None:
        """Send a request; it hears how it ended."""
        ...

    def let_go(self, origin: int) -> Answer | None:
        """Stop the request that is under way; what has come of its answer."""
        ...

    def close(self) -> None: ...


class Origins(Protocol):
    """Where requests go, by index."""

    @property
    def origins(self) -> list[Origin]: ...


OnEnd = Callable[["User", int, bool], None]
"""An iteration has ended: the user, which is free again, the moment, and whether it ended by our own fault."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all users of a run share."""

    ledger: Ledger
    deadlines: Deadlines
    redirects: Redirects
    origins: Origins
    on_end: OnEnd


class Iteration:
    """One pass through a flow. Moments: ns of the monotonic clock."""

    __slots__ = ("began", "flow", "intended", "is_warm_up", "number", "position", "steps")

    number: int
    """1-based, over the whole run."""
    flow: int
    steps: Sequence[PreparedStep]
    position: int
    """The step that is under way."""
    intended: int
    began: int
    is_warm_up: bool


class Request:
    """The request in flight, and the exchange that the transport carries. `deadline` is NEVER while there is none."""

    __slots__ = (
        "_around",
        "_figures",
        "_ledger",
        "_user",
        "actual",
        "armed_at",
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
    intended: int
    actual: int

    def __init__(self, user: User, around: Surroundings) -> None:
        self._user = user
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
        self.wants_body = step.check is not None
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
        self.origin = step.origin
        self._user.connections.send(self)

    # What the transport and the ledger read

    @property
    def is_idempotent(self) -> bool:
        return self.step.is_idempotent

    @property
    def secret_headers(self) -> frozenset[str]:
        return self.step.secret_headers

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
        if step.follows_redirects and status in REDIRECTS and self._around.redirects.follow(self, answer):
            self._user.connections.send(self)
            return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        figures = self._figures
        response = now - self.intended
        if status not in step.expected:
            outcome, message = Outcome.UNEXPECTED_STATUS, step.unexpected(status)
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
        answer = self._user.connections.let_go(self.origin)
        self.failed(Outcome.TIMEOUT, self.step.timeout_message, now, answer)

    def leave_unfinished(self) -> None:
        """The run ends while the request is in flight."""
        answer = self._user.connections.let_go(self.origin)
        if answer is not None:
            self.received += answer.received
        self._figures.left_unfinished()
        self._count()

    def _end_failed(self, outcome: Outcome, message: str, now: int, answer: Answer | None) -> None:
        ledger = self._ledger
        if now > ledger.sending_end and outcome is not Outcome.GENERATOR_ERROR:
            self._figures.drained_failed += 1
        ledger.sampler.keep_failed(self, answer, outcome, message, now)
        self._end(now)
        if outcome in FULL_RESPONSES:
            self._user.go_on(now)
        else:
            self._user.break_off(is_own_fault=outcome is Outcome.GENERATOR_ERROR)

    def _end(self, now: int) -> None:
        self._count()
        self._ledger.last_finish = now

    def _count(self) -> None:
        self.deadline = NEVER
        figures = self._figures
        figures.bytes_sent += self.sent
        figures.bytes_received += self.received
        if self.hops:
            figures.redirect_hops += self.hops


class User:
    """Sends the steps of an iteration in order, each when the one before has ended."""

    __slots__ = ("_around", "_ledger", "connections", "iteration", "request")

    def __init__(self, around: Surroundings, connections: Sender) -> None:
        self._around = around
        self._ledger = around.ledger
        self.connections = connections
        self.iteration = Iteration()
        """The current one; before the first, without fields."""
        self.request = Request(self, around)

    @property
    def is_busy(self) -> bool:
        return self.request.deadline < NEVER

    def begin(
        self, number: int, flow: int, steps: Sequence[PreparedStep], intended: int, now: int, *, is_warm_up: bool
    ) -> None:
        """Start iteration `number` at `now`."""
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        ledger.iterations[is_warm_up][flow].started += 1
        iteration = self.iteration
        iteration.number = number
        iteration.flow = flow
        iteration.steps = steps
        iteration.position = 0
        iteration.intended = intended
        iteration.began = now
        iteration.is_warm_up = is_warm_up
        step = steps[0]
        figures = (ledger.warm_up if is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, number, intended, now)

    def go_on(self, finished: int) -> None:
        """The step has had a full response at `finished`: on to the next one, or the iteration is complete."""
        iteration = self.iteration
        ledger = self._ledger
        iteration.position = position = iteration.position + 1
        if position == len(iteration.steps):
            ledger.iterations[iteration.is_warm_up][iteration.flow].completed += 1
            self._around.on_end(self, monotonic_ns(), False)
            return
        now = monotonic_ns()
        if now >= ledger.second_end:
            ledger.roll(now)
        step = iteration.steps[position]
        figures = (ledger.warm_up if iteration.is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, iteration.number, finished, now)

    def break_off(self, *, is_own_fault: bool) -> None:
        """The step had no full response, so the iteration has failed."""
        iteration = self.iteration
        self._ledger.iterations[iteration.is_warm_up][iteration.flow].failed += 1
        self._around.on_end(self, monotonic_ns(), is_own_fault)

    def leave_unfinished(self) -> None:
        """The run ends while the iteration is under way."""
        iteration = self.iteration
        self.request.leave_unfinished()
        self._ledger.iterations[iteration.is_warm_up][iteration.flow].unfinished += 1

    def close(self) -> None:
        """Close every connection; for a user without a request."""
        self.connections.close()
