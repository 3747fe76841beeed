"""A step of the plan, rendered with the current secrets and ready to be sent many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from atm.engine.asyncio_engine.responses import CHECKED_BYTES, DecodingError, decoded_whole, response_head, text_of
from atm.engine.asyncio_engine.transport.exchange import Response
from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.engine.asyncio_engine.users.bodies import readable_request
from atm.engine.asyncio_engine.users.messages import check_of, expected_text, timeout_text
from atm.engine.asyncio_engine.users.renderer import Render, renderer
from atm.engine.secrets import slots_of
from atm.plan.load_plan import BodyCheck, Flow, Header, LoadPlan, Step
from atm.plan.template_parts import LiteralPart, Part, SecretPart, ValuePart
from atm.plan.templates import encoded

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class PreparedStep:
    """The parts of a step that all its requests share."""

    def __init__(self, plan: LoadPlan, step: Step, secrets: Mapping[str, str]) -> None:
        self._seed = plan.seed
        self._step = step
        self.endpoint = step.endpoint
        self.origin = step.origin
        self.timeout_ns = step.timeout_ns
        self.timeout_message = timeout_text(step.timeout_ns)
        self.head_only = step.method == "HEAD"
        self.is_idempotent = step.method in _IDEMPOTENT
        self.expected = frozenset(status for low, high in step.expected_statuses for status in range(low, high + 1))
        self.check: Callable[[Response], str | None] | None = _check_of_response(step.checks) if step.checks else None
        """Returns the message of the first check that a response fails; None if it passes all."""
        self.wants_body = bool(step.checks)
        self.known = KnownResponse()
        self.follows_redirects = plan.connections.redirects > 0
        self.slots = slots_of(step)
        self.secret_headers = frozenset(
            header.name.lower() for header in step.headers if any(isinstance(part, SecretPart) for part in header.value)
        )
        self.has_secret_body = any(isinstance(part, SecretPart) for part in step.body or ())
        self.constant: bytes | None = None
        self.render: Render = _never
        self._extra_headers: tuple[Header, ...] = ()
        self._prefix = ""
        self._never_keeps = not plan.connections.keep_alive
        self.closes_connection = self._never_keeps
        origin = plan.origins[step.origin]
        proxy = plan.connections.proxy
        if proxy and origin.scheme == "http":
            self._prefix = origin.url
            if proxy.authorization_slot:
                self._extra_headers = (Header("Proxy-Authorization", (SecretPart(proxy.authorization_slot),)),)
                self.slots |= {proxy.authorization_slot}
        self.prepare(secrets)

    def prepare(self, secrets: Mapping[str, str]) -> None:
        """Render again with these secrets; used by requests that start from now on."""
        self._learn_connection(secrets)
        rendered = renderer(self._step, self._seed, secrets, prefix=self._prefix, extra_headers=self._extra_headers)
        if isinstance(rendered, bytes):
            self.constant = rendered
        else:
            self.render = rendered

    def _learn_connection(self, secrets: Mapping[str, str]) -> None:
        self.closes_connection = self._never_keeps or _requests_close(self._step, secrets)

    def readable(self, request: bytes) -> bytes:
        """Return a request of this step as a sample shows it: not compressed, without bytes that are not text."""
        return readable_request(request, self._step)

    def unexpected(self, status: int, *, withheld: bool = False) -> str:
        """Return the message of a full response with an unexpected status; see `Redirects.withholds`."""
        if withheld:
            return f"{status} to another origin not followed: the request body holds a secret"
        return f"{status}, expected {expected_text(self._step.expected_statuses)}"


def needs_session(flow: Flow) -> bool:
    """Return whether the iterations of a flow need the state of a user: a program, or steps with values and checks."""
    return bool(flow.program) or any(
        step.named_checks or step.extracts or any(isinstance(part, ValuePart) for part in step.parts)
        for step in flow.steps
    )


def _check_of_response(checks: tuple[BodyCheck, ...]) -> Callable[[Response], str | None]:
    check = check_of(checks)

    def check_response(response: Response) -> str | None:
        head = response_head(response.raw)
        try:
            is_whole = response.body_bytes <= CHECKED_BYTES
            body = decoded_whole(response.body, head.get("content-encoding"), CHECKED_BYTES, is_whole=is_whole)
        except DecodingError as error:
            return str(error)
        return check(text_of(body, head.get("content-type")))

    return check_response


def _requests_close(step: Step, secrets: Mapping[str, str]) -> bool:
    """Return whether a Connection header of the request has the option `close`."""
    values = [
        "".join(_text_of(part, secrets) for part in header.value)
        for header in step.headers
        if header.name.lower() == "connection"
    ]
    return any(option.strip().lower() == "close" for value in values for option in value.split(","))


def _text_of(part: Part, secrets: Mapping[str, str]) -> str:
    """Render a part, with an arbitrary placeholder for variables: none can be part of the word `close`."""
    if isinstance(part, LiteralPart):
        return part.text
    return encoded(secrets[part.slot], part.encoding) if isinstance(part, SecretPart) else "?"


def _never(_number: object) -> bytes:
    raise AssertionError("a constant request is not rendered")
