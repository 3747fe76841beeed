"""The request in flight of a user with hooks, which may rewrite it, and change the outcome of its response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from atm.code.hooks import Request as RequestOfCode
from atm.dataclass import dataclass
from atm.engine.asyncio_engine.ledger.endpoint_figures import EndpointFigures
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.received_response import ReceivedResponse
from atm.engine.asyncio_engine.users.request_draft import Draft
from atm.engine.asyncio_engine.users.scenario_request import ScenarioRequest, with_cookies
from atm.engine.asyncio_engine.users.scenario_step import Judgement, ScenarioStep, cookies_of
from atm.engine.asyncio_engine.users.sent_step import SentStep
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.traced_request import TracedStep
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.models.outcome import Outcome
from atm.plan.pacer import NEVER

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class HookedOwner(Protocol):
    """The user of a request with hooks."""

    def has_response(self, held: HeldResponse) -> None:
        """Call `after_response`, then count the response with `HookedRequest.settle`."""
        ...


@dataclass(frozen=True, slots=True)
class HeldResponse:
    """A full response whose outcome is not counted yet."""

    session: Session
    seen: ReceivedResponse
    """What the hook sees."""
    judgement: Judgement
    now: int
    """When it was read."""


class HookedRequest(ScenarioRequest):
    """Sends what `before_request` has made of a step's request."""

    __slots__ = ("_hidden", "draft", "held", "holds_responses", "of_hook")

    draft: Draft | None
    """What to send instead of the step's request."""
    held: HeldResponse | None
    holds_responses: bool
    """There is a hook `after_response`."""
    of_hook: frozenset[str]
    """Names of headers that the hook has set; they are not sent on to another origin."""
    _hidden: Sequence[str]

    def __init__(self, user: User, context: UserContext, connections: Connections, scope_context: Context) -> None:
        super().__init__(user, context, connections, scope_context)
        self.draft = None
        self.held = None
        self.holds_responses = False
        self.of_hook = frozenset()
        self._hidden = ()

    def drafted(self, step: ScenarioStep, name: str, session: Session) -> RequestOfCode:
        """Render the request of a step for the hook, without the cookies of the jar."""
        rendered = step.constant if step.constant is not None else step.render(session)
        self._hidden = ()
        if session.rendered is not None:
            self._hidden = step.template.secret_values(session.rendered)
            rendered = step.template.without_cookies(session.rendered)
            # What is sent is no longer what the template wrote.
            session.rendered = None
        origin = self._context.origins.origins[step.origin]
        self.draft = draft = Draft.of(rendered, origin, name)
        return draft.request

    def begin(self, step: SentStep, figures: EndpointFigures, number: object, intended: int, now: int) -> None:
        """Send the request at `now`, as the hook has left it."""
        draft = self.draft
        if draft is None:
            super().begin(step, figures, number, intended, now)
            return
        figures.started += 1
        self.step = step
        self.figures = figures
        self.intended = intended
        self.actual = now
        self.head_only = draft.request.method == "HEAD"
        self.wants_body = step.wants_body
        self.closes_connection = step.closes_connection
        # The hook may have changed the method, on which it depends where a response ends.
        self.known = KnownResponse()
        self.has_redialled = False
        self.hops = self.sent = self.received = 0
        self.deadline = deadline = now + step.timeout_ns
        if deadline < self.armed_at:
            self._context.deadlines.arm(self, deadline)
        self._bare = draft.written
        self.origin = draft.origin
        self.of_hook = draft.changed
        self.data = self._with_cookies(cast("Session", number), draft.written)
        self._send_on()

    def _with_cookies(self, session: Session, bare: bytes) -> bytes:
        jar = session.jar
        if jar is None:
            return bare
        origin = self.destination
        target = bare.split(b" ", 2)[1].removeprefix(origin.url.encode())
        return with_cookies(bare, cookies_of(jar, origin, target, self._scope_context))

    @property
    def is_idempotent(self) -> bool:
        return self.step.is_idempotent if self.draft is None else self.draft.request.method in _IDEMPOTENT

    @property
    def secret_headers(self) -> frozenset[str]:
        return self.step.secret_headers | self.of_hook

    @property
    def shown(self) -> bytes:
        return super().shown if self.draft is None else self.step.readable(self.data)

    @property
    def secret_values(self) -> Sequence[str]:
        return (*super().secret_values, *self._hidden)

    def _follow(self, session: Session, step: ScenarioStep, response: Response) -> bool:
        if self.draft is None:
            return super()._follow(session, step, response)
        sent, self.data = self.data, self._bare
        if not self._context.redirects.follow(self, response):
            self.data = sent
            return False
        self._bare = self.data
        self.data = self._with_cookies(session, self.data)
        return True

    def _trace(self, session: Session, response: Response | None, outcome: Outcome, message: str, now: int) -> None:
        kept = 0 if session.trace is None else len(session.trace.requests)
        super()._trace(session, response, outcome, message, now)
        if self._hidden and session.trace is not None and len(session.trace.requests) > kept:
            cast("TracedStep", session.trace.requests[-1]).hide(self._hidden)

    # `after_response`

    def _count(self, session: Session, response: Response, judgement: Judgement, now: int) -> None:
        if not self.holds_responses:
            super()._count(session, response, judgement, now)
            return
        # It has ended in time, whatever the hook takes.
        self.deadline = NEVER
        url = self.draft.request.url if self.draft is not None else self._url()
        outcome, message, seconds = judgement.outcome, judgement.message, (now - self.intended) / 1e9
        seen = ReceivedResponse(self._ledger, self.figures, response, url, response.status, outcome, message, seconds)
        seen.redirects = self.hops
        self.held = held = HeldResponse(session, seen, judgement, now)
        cast("HookedOwner", self._user).has_response(held)

    def _url(self) -> str:
        origin = self.destination.url
        target = self.data.split(b" ", 2)[1].decode("latin-1")
        return target if target.startswith(origin) else origin + target

    def settle(self) -> None:
        """Count the response that was held back, as the hook has left it."""
        held, self.held = self.held, None
        assert held is not None
        held.seen.is_counted = True
        judgement = held.judgement._replace(
            outcome=held.seen.outcome,
            message=held.seen.message,
            checks=(*held.judgement.checks, *held.seen.checks),
        )
        super()._count(held.session, cast("Response", held.seen), judgement, held.now)
