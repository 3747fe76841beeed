"""A request of code in flight. Its outcome is counted when the code has seen the response (`CodeRequest.settle`)."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import Protocol, cast

from atm.code.response import Response
from atm.code.user import Call
from atm.engine.asyncio_engine.ledger.sampler import SampledResponse
from atm.engine.asyncio_engine.responses import response_head
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.transport.exchange import Response as Answer
from atm.engine.asyncio_engine.transport.redirects import REDIRECTS
from atm.engine.asyncio_engine.users.code_model import CodeStep
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.received_response import ReceivedResponse
from atm.engine.asyncio_engine.users.scenario_request import with_cookies
from atm.engine.asyncio_engine.users.scenario_step import cookies_of, path_of
from atm.engine.asyncio_engine.users.timed_code import IterationCode
from atm.engine.asyncio_engine.users.trace import Trace
from atm.engine.asyncio_engine.users.traced_request import TracedRequest
from atm.engine.asyncio_engine.users.user import Iteration, Request, User, UserContext
from atm.models.outcome import FULL_RESPONSES, Outcome
from atm.plan.pacer import NEVER


class CodeOwner(Protocol):
    """The user of a request of code."""

    iteration: Iteration
    jar: Jar | None
    trace: Trace | None
    """The requests of the iteration, if it is traced."""
    scope: Context

    def has_response(self, request: CodeRequest, response: Response) -> None:
        """Count the outcome of a request as soon as the code has seen its response."""
        ...


class CodeRequest(Request):
    """One of the requests of a user of code, who may have several in flight."""

    __slots__ = (
        "_bare",
        "_code_user",
        "_finish",
        "_response",
        "_trace",
        "at",
        "holds",
        "is_free",
        "url",
        "waiting",
    )

    step: CodeStep

    def __init__(self, user: CodeOwner, context: UserContext, connections: Connections) -> None:
        super().__init__(cast("User", user), context, connections)
        self._code_user = user
        self._response: ReceivedResponse | None = None
        self._trace: Trace | None = None
        self._bare = b""
        self._finish = 0
        self.at = 0
        """The position of the request in its iteration."""
        self.holds = False
        """Its outcome is counted when the code says so."""
        self.is_free = True
        self.waiting: IterationCode | asyncio.Future[Response] | None = None
        """What awaits its response: the coroutine of the iteration, or the future of a task that this has started."""
        self.url = ""

    @property
    def is_in_flight(self) -> bool:
        return not self.is_free and self._response is None

    def has(self, response: Response) -> bool:
        """Return whether it is the request of a response that is not counted yet."""
        return self._response is response

    def close(self) -> None:
        """Close its connections."""
        self._connections.close()

    @property
    def position(self) -> int:
        return self.at

    def send(
        self,
        call: Call,
        rendered: tuple[CodeStep, bytes, bytes],
        at: int,
        waiting: IterationCode | asyncio.Future[Response],
        intended: int,
        now: int,
    ) -> None:
        """Send a request at `now`, rendered with and without the cookies of the jar, for what awaits its response.

        `at` is its position in the iteration.
        """
        ledger, user = self._ledger, self._code_user
        step, data, self._bare = rendered
        self.is_free = False
        self.waiting = waiting
        self.at = at
        self.holds = call.holds
        self.url = call.url
        self._trace = user.trace
        figures = (ledger.warm_up if user.iteration.is_warm_up else ledger.measured)[step.endpoint]
        self.begin(step, figures, data, intended, now)

    # Called by the transport

    def responded(self, response: Answer, now: int) -> None:
        """Pass a full response, read at `now`, to the code."""
        user, step = self._code_user, self.step
        if user.jar is not None and response.sets_cookie:
            self._store_cookies(response)
        withheld = False
        if step.follows_redirects and response.status in REDIRECTS:
            withheld = self._context.redirects.withholds(self, response)
            if not withheld and self._follow(response):
                self._send_on()
                return
        status = response.status
        if status in step.expected:
            self._seen(Outcome.OK, "", now, response, status)
        else:
            self._seen(Outcome.UNEXPECTED_STATUS, step.unexpected(status, withheld=withheld), now, response, status)

    def failed(self, outcome: Outcome, message: str, now: int, response: Answer | None = None) -> None:
        """Pass an end without a full response to the code."""
        if response is not None:
            self.received += response.received
        self._seen(outcome, message, now, response, 0)

    def _seen(self, outcome: Outcome, message: str, now: int, answer: Answer | None, status: int) -> None:
        self._finish = now
        elapsed = (now - self.intended) / 1e9
        self._response = response = ReceivedResponse(
            self._ledger, self.figures, answer, self.url, status, outcome, message, elapsed
        )
        if self.hops:
            response.redirects = self.hops
        self._end(now)
        self._code_user.has_response(self, response)

    def settle(self, at: int) -> None:
        """Count the outcome at a time, whether the code holds it back or not."""
        self.holds = False
        self.settle_unless_held(at)

    def settle_unless_held(self, at: int) -> None:
        """Count the outcome at a time, as the code has left it, unless that was done or the code holds it back.

        The request can be used again.
        """
        response = self._response
        if response is None or self.holds:
            return
        self._response = self.waiting = None
        self.is_free = True
        response.is_counted = True
        ledger, figures, now = self._ledger, self.figures, self._finish
        if at >= ledger.second_end:
            ledger.roll(at)
        outcome, message = response.outcome, response.message
        actual = self.actual
        response_time = now - self.intended
        if outcome is Outcome.OK:
            figures.count_ok(response.status, response_time, now - actual, response.first_byte - actual)
            if now > self._sending.end:
                figures.drained_ok += 1
            if response_time > ledger.sampler.slower_than[figures.endpoint]:
                ledger.sampler.keep_ok(self, response, now)
        else:
            self._count_failed(response, now)
        trace = self._trace
        if trace is not None and trace.has_place(outcome):
            kept: SampledResponse | None = response if response.received else None
            if kept is not None and not trace.takes(response.size):
                kept = trace.copy_of(cast("Answer", response))
            number = self._code_user.iteration.number
            trace.requests.append(TracedRequest(self, number, self.at, kept, outcome, message, now, response.checks))

    def _count_failed(self, response: ReceivedResponse, now: int) -> None:
        """Count a failure that was read, or noticed, at `now`."""
        ledger, figures, outcome, message = self._ledger, self.figures, response.outcome, response.message
        response_time, service, at = now - self.intended, now - self.actual, now - ledger.epoch
        if outcome in FULL_RESPONSES:
            first_byte = response.first_byte - self.actual
            figures.count_failed_response(outcome, message, response.status, response_time, service, first_byte, at)
        elif outcome is Outcome.TIMEOUT:
            figures.count_timeout(message, response_time, service, at)
        else:
            figures.count_error(outcome, message, response_time, at)
        if now > self._sending.end and outcome is not Outcome.GENERATOR_ERROR:
            figures.drained_failed += 1
        ledger.sampler.keep_failed(self, response if response.received else None, outcome, message, now)

    def abandon(self) -> None:
        """End the request because its iteration has ended: count its outcome, or leave it unfinished."""
        if self._response is not None:
            self.settle(monotonic_ns())
        elif not self.is_free:
            self.waiting = None
            self.is_free = True
            if self.deadline < NEVER:
                super().leave_unfinished()

    def _store_cookies(self, response: Answer) -> None:
        jar = self._code_user.jar
        assert jar is not None
        origin = self.destination
        target = self.data.split(b" ", 2)[1].removeprefix(origin.url.encode())
        now_s = self._code_user.scope.wall_ns() // 1_000_000_000
        for line in response_head(response.raw).all("set-cookie"):
            jar.store(line, host=origin.host, path=path_of(target), now_s=now_s)

    def _follow(self, response: Answer) -> bool:
        """Rewrite the request for a redirect, with the cookies for its new place; return whether it is followed."""
        sent = self.data
        self.data = self._bare
        if not self._context.redirects.follow(self, response):
            self.data = sent
            return False
        self._bare = self.data
        jar = self._code_user.jar
        if jar is not None:
            origin = self.destination
            target = self.data.split(b" ", 2)[1].removeprefix(origin.url.encode())
            self.data = with_cookies(self.data, cookies_of(jar, origin, target, self._code_user.scope))
        return True
