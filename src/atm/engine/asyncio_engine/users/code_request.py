"""A request of code in flight. Its outcome is counted when the code has seen the response (`CodeRequest.settle`)."""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import Protocol, cast

from atm.code.response import Response
from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.ledger.ledger import Ledger
from atm.engine.asyncio_engine.ledger.sampler import SampledResponse
from atm.engine.asyncio_engine.responses import CHECKED_BYTES, decoded, response_head, text_of
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.transport.exchange import Response as Answer
from atm.engine.asyncio_engine.transport.redirects import REDIRECTS
from atm.engine.asyncio_engine.users.code_model import CodeStep
from atm.engine.asyncio_engine.users.connections import Connections
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


class Received:
    """A copy of what a connection has read, which is reused before the code is done with the response."""

    __slots__ = (
        "_content",
        "_figures",
        "_is_decoded",
        "_ledger",
        "body_bytes",
        "checks",
        "first_byte",
        "head_status",
        "raw",
        "received",
    )

    def __init__(self, ledger: Ledger, figures: EndpointFigures, answer: Answer | None) -> None:
        self._ledger = ledger
        self._figures = figures
        self.checks: list[tuple[int, bool]] = []
        """The run's checks that judged it, and whether each passed."""
        self._is_decoded = True
        if answer is not None and answer.received:
            self._is_decoded = not answer.is_encoded
            self.first_byte = answer.first_byte
            self.received = answer.received
            self.body_bytes = answer.body_bytes
            self.head_status = answer.head_status
            self.raw = answer.raw
            self._content = answer.body
        else:
            self.first_byte = self.received = self.body_bytes = 0
            self.head_status = None
            self.raw = self._content = b""

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self.raw) + len(self._content)

    @property
    def body(self) -> bytes:
        """The body, decompressed."""
        if not self._is_decoded:
            self._is_decoded = True
            encoding = response_head(self.raw).get("content-encoding")
            if encoding:
                self._content = decoded(self._content, encoding, CHECKED_BYTES)
        return self._content

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Return the header lines."""
        return response_head(self.raw).headers if self.raw else ()

    def text(self) -> str:
        """Return the body as text."""
        return text_of(self.body, response_head(self.raw).get("content-type") if self.raw else None)

    def count_check(self, name: str, *, passed: bool) -> None:
        """Count a check of the code."""
        figures = self._figures
        index = self._ledger.count_code_check(name, figures.endpoint, passed=passed, is_warm_up=figures.warm_up)
        if index is not None:
            self.checks.append((index, passed))


class CodeRequest(Request):
    """One of the requests of a user of code, who may have several in flight."""

    __slots__ = (
        "_bare",
        "_code_user",
        "_finish",
        "_future",
        "_received",
        "_response",
        "_trace",
        "at",
        "code",
        "holds",
        "is_free",
        "url",
    )

    step: CodeStep

    def __init__(self, user: CodeOwner, context: UserContext, connections: Connections) -> None:
        super().__init__(cast("User", user), context, connections)
        self._code_user = user
        self._future: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._received: Received | None = None
        self._trace: Trace | None = None
        self._bare = b""
        self._finish = 0
        self.at = 0
        """The position of the request in its iteration."""
        self.holds = False
        """Its outcome is counted when the code says so."""
        self.is_free = True
        self.code: IterationCode | None = None
        """The coroutine of the iteration, if that has sent it itself, and not a task that it has started."""
        self.url = ""

    def reserve(
        self, code: IterationCode | None, future: asyncio.Future[Response] | None, at: int, *, holds: bool
    ) -> None:
        """Take the request at a position of its iteration for the code, or else the future, that awaits its response.

        `holds`: its outcome is counted when the code says so.
        """
        self.is_free = False
        self.code = code
        self._future = future
        self.at = at
        self.holds = holds

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

    def send(self, step: CodeStep, data: bytes, bare: bytes, url: str, intended: int, now: int) -> None:
        """Send a request at `now`; `bare` is the same without the cookies of the jar."""
        ledger, user = self._ledger, self._code_user
        self._trace = user.trace
        self._bare = bare
        self.url = url
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
        message = step.judged(response, withheld=withheld)
        outcome = Outcome.UNEXPECTED_STATUS if message else Outcome.OK
        self._seen(outcome, message, now, response, response.status)

    def failed(self, outcome: Outcome, message: str, now: int, response: Answer | None = None) -> None:
        """Pass an end without a full response to the code."""
        if response is not None:
            self.received += response.received
        self._seen(outcome, message, now, response, 0)

    def _seen(self, outcome: Outcome, message: str, now: int, answer: Answer | None, status: int) -> None:
        self._received = received = Received(self._ledger, self._figures, answer)
        self._finish = now
        self._response = response = Response(received, self.url, status, outcome, message, (now - self.intended) / 1e9)
        if self.hops:
            response.redirects = self.hops
        self._end(now)
        self._code_user.has_response(self, response)
        future = self._future
        if future is not None and not future.done():
            future.set_result(response)

    def settle_unless_held(self, now: int) -> None:
        """Count the outcome, unless that was done or the code holds it back."""
        if self._response is not None and not self.holds:
            self.settle(now)

    def settle(self, at: int) -> None:
        """Count the outcome at a time, as the code has left it; the request can be used again."""
        response, received = self._response, self._received
        assert response is not None
        assert received is not None
        self._response = self._received = self._future = self.code = None
        self.holds = False
        self.is_free = True
        response.is_counted = True
        ledger, figures, now = self._ledger, self._figures, self._finish
        if at >= ledger.second_end:
            ledger.roll(at)
        outcome, message = response.outcome, response.message
        sample = received if received.received else None
        response_time, service = now - self.intended, now - self.actual
        is_drained = now > self._sending.end
        if outcome is Outcome.OK:
            figures.count_ok(response.status, response_time, service, received.first_byte - self.actual)
            figures.drained_ok += is_drained
            if response_time > ledger.sampler.slower_than[figures.endpoint]:
                ledger.sampler.keep_ok(self, received, now)
        else:
            at = now - ledger.epoch
            if outcome in FULL_RESPONSES:
                first_byte = received.first_byte - self.actual
                figures.count_failed_response(outcome, message, response.status, response_time, service, first_byte, at)
            elif outcome is Outcome.TIMEOUT:
                figures.count_timeout(message, response_time, service, at)
            else:
                figures.count_error(outcome, message, response_time, at)
            figures.drained_failed += is_drained and outcome is not Outcome.GENERATOR_ERROR
            ledger.sampler.keep_failed(self, sample, outcome, message, now)
        trace = self._trace
        if trace is not None and trace.has_place(outcome):
            kept: SampledResponse | None = sample
            if sample is not None and not trace.takes(sample.size):
                kept = trace.copy_of(cast("Answer", sample))
            trace.requests.append(TracedRequest(self, kept, outcome, message, now, received.checks))

    def abandon(self) -> None:
        """End the request because its iteration has ended: count its outcome, or leave it unfinished."""
        if self._response is not None:
            self.settle(monotonic_ns())
        elif not self.is_free:
            self._future = self.code = None
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
