"""The request in flight of a user of a scenario: named checks, extracts and cookies beside what every request has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from atm.engine.asyncio_engine.responses import response_head
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.transport.redirects import REDIRECTS
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.scenario_step import Judgement, ScenarioStep, cookies_of, path_of
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.traced_request import TracedStep
from atm.engine.asyncio_engine.users.user import Request, User, UserContext
from atm.models.outcome import Outcome


class SessionUser(Protocol):
    """The user of a scenario's request."""

    @property
    def session(self) -> Session | None:
        """The state of the current iteration; None in an iteration without a program."""
        ...


class ScenarioRequest(Request):
    """Sends steps of scenarios; in an iteration without a program it is a plain request."""

    __slots__ = ("_bare", "_judgement", "_scope_context", "lacks_value")

    def __init__(self, user: User, context: UserContext, connections: Connections, scope_context: Context) -> None:
        super().__init__(user, context, connections)
        self._scope_context = scope_context
        self._bare = b""
        """After a redirect: the request without the cookies of the jar."""
        self.lacks_value = False
        """The response had no value for an extract without a default."""
        self._judgement: Judgement | None = None
        """Of the full response that has just been read."""

    @property
    def shown(self) -> bytes:
        step, session = self.step, self._session
        if session is None or self.hops or not isinstance(step, ScenarioStep) or session.rendered is None:
            return super().shown
        return step.readable(step.template.masked(session.rendered))

    @property
    def secret_values(self) -> Sequence[str]:
        step, session = self.step, self._session
        if session is None or not isinstance(step, ScenarioStep):
            return ()
        sent = step.template.secret_values(session.rendered) if session.rendered else []
        return (*sent, *step.secret_slots_of(session))

    def responded(self, response: Response, now: int) -> None:
        """Judge a full response, read at `now`."""
        session = self._session
        self.lacks_value = False
        if session is None:
            super().responded(response, now)
            return
        # Iterations with a session have such steps only.
        step = cast("ScenarioStep", self.step)
        if session.jar is not None and response.sets_cookie:
            self._store_cookies(session, response)
        withheld = False
        if step.follows_redirects and response.status in REDIRECTS:
            withheld = self._context.redirects.withholds(self, response)
            if not withheld and self._follow(session, step, response):
                self._send_on()
                return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        books = ledger.checks(is_warm_up=self._figures.warm_up)
        judgement = step.judge(session, response, now - self.intended, books, withheld=withheld)
        self.lacks_value = judgement.lacks_value
        self._count(session, response, judgement, now)

    def _count(self, session: Session, response: Response, judgement: Judgement, now: int) -> None:
        """Count a full response, read at `now`, with its judgement, and continue."""
        ledger, figures = self._ledger, self._figures
        response_time = now - self.intended
        self._judgement = judgement
        # Evaluating hostile responses takes time, which is no part of the response's.
        service, first_byte = now - self.actual, response.first_byte - self.actual
        if judgement.outcome is Outcome.OK:
            figures.count_ok(response.status, response_time, service, first_byte)
            if now > self._sending.end:
                figures.drained_ok += 1
            if response_time > ledger.sampler.slower_than[figures.endpoint]:
                ledger.sampler.keep_ok(self, response, now)
            self._trace(session, response, Outcome.OK, "", now)
            self._end(now)
            self._user.next_step(now)
            return
        outcome, message = judgement.outcome, judgement.message
        at = now - ledger.epoch
        figures.count_failed_response(outcome, message, response.status, response_time, service, first_byte, at)
        self._end_failed(outcome, message, now, response)

    def _end_failed(self, outcome: Outcome, message: str, now: int, response: Response | None) -> None:
        session = self._session
        if session is not None:
            self._trace(session, response, outcome, message, now)
        super()._end_failed(outcome, message, now, response)

    def _trace(self, session: Session, response: Response | None, outcome: Outcome, message: str, now: int) -> None:
        """Add the request, which has ended, to the trace of its iteration."""
        judgement, self._judgement = self._judgement, None
        if session.trace is None:
            return
        trace = session.trace
        if trace.has_place(outcome):
            step = cast("ScenarioStep", self.step)
            kept = trace.copy_of(response)
            trace.requests.append(TracedStep(self, step, session, kept, judgement, outcome, message, now))

    @property
    def _session(self) -> Session | None:
        return cast("SessionUser", self._user).session

    def _store_cookies(self, session: Session, response: Response) -> None:
        assert session.jar is not None
        origin = self.destination
        target = self.data.split(b" ", 2)[1].removeprefix(origin.url.encode())
        now_s = self._scope_context.wall_ns() // 1_000_000_000
        for line in response_head(response.raw).all("set-cookie"):
            session.jar.store(line, host=origin.host, path=path_of(target), now_s=now_s)

    def _follow(self, session: Session, step: ScenarioStep, response: Response) -> bool:
        """Rewrite the request for a redirect, with the cookies for its new place; return whether it is followed."""
        if session.jar is None or session.rendered is None:
            return self._context.redirects.follow(self, response)
        sent = self.data
        self.data = self._bare if self.hops else step.template.without_cookies(session.rendered)
        if not self._context.redirects.follow(self, response):
            self.data = sent
            return False
        self._bare = self.data
        origin = self.destination
        target = self.data.split(b" ", 2)[1].removeprefix(origin.url.encode())
        self.data = with_cookies(self.data, cookies_of(session.jar, origin, target, self._scope_context))
        return True


def with_cookies(request: bytes, cookies: bytes) -> bytes:
    """Join cookies to the Cookie header of a request, or add one before Content-Length."""
    if not cookies:
        return request
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    names = [line.partition(b":")[0].lower() for line in lines]
    if b"cookie" in names:
        lines[names.index(b"cookie")] += b"; " + cookies
    else:
        at = names.index(b"content-length") if b"content-length" in names else len(lines)
        lines.insert(at, b"Cookie: " + cookies)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
