"""The model of all requests of a scenario in code: the headers, limits and expectations that its settings give them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from atm.code.user import NOTHING, Body, Call, Expected
from atm.engine.asyncio_engine.transport.known_response import KnownResponse
from atm.engine.asyncio_engine.users.messages import expected_text, timeout_text
from atm.engine.asyncio_engine.users.prepared_step import PreparedStep
from atm.models.request import TOKEN, parse_status
from atm.plan.connections import Origin
from atm.plan.line_breaks import breaks_header
from atm.plan.load_plan import Header, LoadPlan
from atm.plan.template_parts import LiteralPart, SecretPart, Template
from atm.plan.templates import encoded
from atm.plan.urls import clean_target

_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})
_WRITTEN_BY_ENGINES = frozenset({"content-length", "transfer-encoding"})
_DEFAULTS = frozenset({"host", "user-agent", "accept"})
_OF_ONE_ORIGIN = frozenset({"authorization", "cookie", "proxy-authorization"})


class CodeModel(PreparedStep):
    """Renders the requests of one scenario. Its endpoint is that of requests beyond the limit of names."""

    def __init__(self, plan: LoadPlan, flow: int, secrets: Mapping[str, str]) -> None:
        self.flow = flow
        self.name = plan.flows[flow].name
        self.ranges = plan.flows[flow].steps[0].expected_statuses
        self.base = plan.origins[plan.flows[flow].steps[0].origin]
        self.wants_body = True
        self._through_proxy = plan.connections.proxy is not None
        self.heads: dict[object, Head] = {}
        """Of requests that differ in their bodies only."""
        self.steps: dict[object, CodeStep] = {}
        super().__init__(plan, plan.flows[flow].steps[0], secrets)

    def prepare(self, secrets: Mapping[str, str]) -> None:
        """Render again with these secrets; used by requests that start from now on."""
        super().prepare(secrets)
        self.heads.clear()
        step = self._step
        self.path = _text(step.target, secrets).rstrip("/")
        """Of the base_url, before that of each request."""
        # What the compiler puts after the headers of a request.
        last = [header for header in step.headers if header.name.lower() == "connection" or _is_auth(header)]
        first = [header for header in step.headers if header not in last]
        self._first = [(header.name.lower(), f"{header.name}: {_text(header.value, secrets)}") for header in first]
        self._last = "".join(f"{header.name}: {_text(header.value, secrets)}\r\n" for header in last)
        self._tail = "".join(f"{header.name}: {_text(header.value, secrets)}\r\n" for header in self._extra_headers)
        self._shared = "".join(f"{line}\r\n" for _, line in self._first)

    def head(
        self,
        step: CodeStep,
        method: str,
        target: str,
        own: Mapping[str, str] | None,
        content_type: str,
        origin: Origin | None,
    ) -> Head:
        """Render a request up to its body; `origin` is another one than that of the base_url.

        Raises ValueError for a bad header.
        """
        if own or origin is not None:
            shared = self._with_own(own or {}, origin)
            if content_type and any(name.lower() == "content-type" for name in own or ()):
                content_type = ""
        else:
            shared = self._shared
        prefix = self._prefix
        last, tail = self._last, self._tail
        if origin is not None:
            last = ""
            prefix = origin.url if self._through_proxy and origin.scheme == "http" else ""
            tail = tail if prefix else ""
        head = f"{method} {prefix}{target} HTTP/1.1\r\n{shared}"
        if content_type:
            head += f"Content-Type: {content_type}\r\n"
        head += last
        return Head(step, head.encode(), f"{tail}\r\n".encode(), has_length=method in _WITH_LENGTH)

    def _with_own(self, own: Mapping[str, str], origin: Origin | None) -> str:
        """Return the header lines with those of a request, which replace those of the scenario."""
        lines = dict(self._first)
        if origin is not None:
            lines = {name: line for name, line in lines.items() if name not in self.secret_headers | _OF_ONE_ORIGIN}
            lines["host"] = f"Host: {origin.authority}"
        for name, value in own.items():
            text = str(value)
            if not TOKEN.fullmatch(name) or name.lower() in _WRITTEN_BY_ENGINES:
                raise ValueError(f'"{name}" cannot be a header of a request')
            if character := breaks_header(text):
                raise ValueError(f"the header {name} holds {character}, which would end it")
            key = name.lower()
            if key not in _DEFAULTS:
                # As in a step, whose headers come after those of the scenario.
                lines.pop(key, None)
            lines[key] = f"{name}: {text}"
        return "".join(f"{line}\r\n" for line in lines.values())


class CodeStep:
    """What the requests of one endpoint with the same expectations share."""

    __slots__ = (
        "check",
        "closes_connection",
        "constant",
        "endpoint",
        "expected",
        "follows_redirects",
        "has_secret_body",
        "head_only",
        "is_idempotent",
        "known",
        "origin",
        "ranges",
        "secret_headers",
        "slots",
        "timeout_message",
        "timeout_ns",
        "wants_body",
    )

    def __init__(
        self, model: CodeModel, method: str, endpoint: int, timeout: float | None, expect: Expected | None, origin: int
    ) -> None:
        self.endpoint = endpoint
        self.origin = origin
        self.timeout_ns = model.timeout_ns if timeout is None else int(timeout * 1e9)
        self.timeout_message = model.timeout_message if timeout is None else timeout_text(self.timeout_ns)
        self.head_only = method == "HEAD"
        self.is_idempotent = method in _IDEMPOTENT
        self.ranges = model.ranges if expect is None else statuses(expect)
        self.expected = (
            model.expected
            if expect is None
            else frozenset(status for low, high in self.ranges for status in range(low, high + 1))
        )
        self.known = KnownResponse()
        self.check = None
        self.constant = None
        self.wants_body = True
        self.follows_redirects = model.follows_redirects
        self.slots = model.slots
        self.secret_headers = model.secret_headers
        self.has_secret_body = False
        self.closes_connection = model.closes_connection

    def render(self, request: bytes) -> bytes:
        """Return the bytes of a request, which the renderer has written."""
        return request

    def readable(self, request: bytes) -> bytes:
        """Return a request as a sample shows it."""
        return request

    def unexpected(self, status: int, *, withheld: bool = False) -> str:
        """Return the message of a full response with an unexpected status."""
        if withheld:
            return f"{status} to another origin not followed: the request body holds a secret"
        return f"{status}, expected {expected_text(self.ranges)}"


class Head:
    """The head of requests that differ in their bodies only."""

    __slots__ = ("_end", "_start", "step", "whole")

    def __init__(self, step: CodeStep, start: bytes, end: bytes, *, has_length: bool) -> None:
        """`start` and `end` are what comes before and after Content-Length, which a request without a body may have."""
        self.step = step
        self._start = start
        self._end = end
        self.whole = b"%bContent-Length: 0\r\n%b" % (start, end) if has_length else start + end
        """A request without a body."""

    def with_body(self, body: bytes) -> bytes:
        """Return a request with a body."""
        return b"%bContent-Length: %d\r\n%b%b" % (self._start, len(body), self._end, body)


def statuses(expect: Expected) -> tuple[tuple[int, int], ...]:
    """Return ranges of status codes. Raises ValueError."""
    several = [expect] if isinstance(expect, int | str) else expect
    return tuple(sorted({parse_status(status) for status in several}))


def body_of(call: Call) -> tuple[bytes | None, str]:
    """Return the body of a request and its content type, which is empty for bytes and texts. Raises ValueError."""
    if call.json is not NOTHING:
        if call.body is not None:
            raise ValueError("a request has one body, and this one has json and data")
        return _encode(call.json).encode(), "application/json"
    body: Body | None = call.body
    if body is None or isinstance(body, bytes):
        return body, ""
    if isinstance(body, str):
        return body.encode(), ""
    return _query(body).encode(), "application/x-www-form-urlencoded"


def target_of(path: str, params: Mapping[str, Any] | None) -> str:
    """Return the target of a path, with parameters."""
    target = _clean(path)
    if params:
        target += ("&" if "?" in target else "?") + _query(params)
    return target


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_clean = lru_cache(maxsize=4096)(clean_target)


def _query(values: Mapping[str, Any]) -> str:
    return urlencode(values, doseq=True).replace("+", "%20")


def _is_auth(header: Header) -> bool:
    """Return whether the header is that of `auth`."""
    slots = [part.slot for part in header.value if isinstance(part, SecretPart)]
    return any(slot == "auth" or (slot.startswith("scenarios.") and slot.endswith(".auth")) for slot in slots)


def _text(template: Template, secrets: Mapping[str, str]) -> str:
    """Render a template of literals and secrets."""
    texts: list[str] = []
    for part in template:
        if isinstance(part, LiteralPart):
            texts.append(part.text)
        elif isinstance(part, SecretPart):
            texts.append(encoded(secrets[part.slot], part.encoding))
        else:
            raise ValueError("headers and base_url of a scenario in code have no values that differ per request")
    return "".join(texts)
