"""A step of the plan with the secrets of the moment, ready to be sent many times."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from atm.engine.asyncio_engine.responses import CHECKED_BYTES, DecodingError, decoded_whole, response_head, text_of
from atm.engine.asyncio_engine.transport.exchange import Answer
from atm.engine.asyncio_engine.users.messages import check_of, expected_text, timeout_text
from atm.engine.asyncio_engine.users.rendering import Render, renderer
from atm.engine.secrets import slots_of
from atm.plan.load_plan import BodyCheck, Header, LiteralPart, LoadPlan, Part, SecretPart, Step
from atm.plan.templates import encoded

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


class PreparedStep:
    """Everything about a step that is the same for each of its requests."""

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
        self.check: Callable[[Answer], str | None] | None = _check_of_answer(step.checks) if step.checks else None
        """The message of the first check that an answer fails; None where it passes all."""
        self.wants_body = bool(step.checks)
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
        """Render anew with these secrets; requests that begin from now on use them."""
        self.closes_connection = self._never_keeps or _says_close(self._step, secrets)
        rendered = renderer(self._step, self._seed, secrets, prefix=self._prefix, extra_headers=self._extra_headers)
        if isinstance(rendered, bytes):
            self.constant = rendered
        else:
            self.render = rendered

    def unexpected(self, status: int, *, withheld: bool = False) -> str:
        """The message of a full response with a status that is not expected; see `Redirects.withholds`."""
        if withheld:
            return f"{status} to another origin not followed: the request body holds a secret"
        return f"{status}, expected {expected_text(self._step.expected_statuses)}"


def _check_of_answer(checks: tuple[BodyCheck, ...]) -> Callable[[Answer], str | None]:
    check = check_of(checks)

    def check_answer(answer: Answer) -> str | None:
        head = response_head(answer.raw)
        try:
            is_whole = answer.body_bytes <= CHECKED_BYTES
            body = decoded_whole(answer.body, head.get("content-encoding"), CHECKED_BYTES, is_whole=is_whole)
        except DecodingError as error:
            return str(error)
        return check(text_of(body, head.get("content-type")))

    return check_answer


def _says_close(step: Step, secrets: Mapping[str, str]) -> bool:
    """Whether a Connection header of the request holds the option `close`."""
    values = [
        "".join(_text_of(part, secrets) for part in header.value)
        for header in step.headers
        if header.name.lower() == "connection"
    ]
    return any(option.strip().lower() == "close" for value in values for option in value.split(","))


def _text_of(part: Part, secrets: Mapping[str, str]) -> str:
    """No built-in variable is ever part of the word `close`, so any other text stands for it."""
    if isinstance(part, LiteralPart):
        return part.text
    return encoded(secrets[part.slot], part.encoding) if isinstance(part, SecretPart) else "?"


def _never(_number: int) -> bytes:
    raise AssertionError("a constant request is not rendered")
