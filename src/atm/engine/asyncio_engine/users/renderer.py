"""Render a step's templates to the bytes of a request.

Literals and secrets are compiled into one format string when the step is prepared, and again when a secret changes;
only variables are filled in per request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from atm.engine.asyncio_engine.users.bodies import compressed
from atm.plan.load_plan import Header, Step
from atm.plan.randomness import random_int, uuid4
from atm.plan.template_parts import BytesPart, Encoding, LiteralPart, SecretPart, Template, VariablePart
from atm.plan.templates import encoded, percent_encoded

Render = Callable[[Any], bytes]
"""Renders the request with a given number; a request of a scenario, for a session."""

_Source = Callable[[int], bytes]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Format:
    """Builder of a bytes format (`%`), with the sources of its variables in order."""

    def __init__(self, seed: int, secrets: Mapping[str, str], wall_ns: Callable[[], int]) -> None:
        self._seed = seed
        self._wall_ns = wall_ns
        self._secrets = secrets
        self._pieces: list[bytes] = []
        self.sources: list[_Source] = []

    def literal(self, text: str) -> None:
        self.content(text.encode())

    def content(self, content: bytes) -> None:
        self._pieces.append(content.replace(b"%", b"%%"))

    def variable(self, source: _Source) -> None:
        self._pieces.append(b"%b")
        self.sources.append(source)

    def template(self, template: Template) -> None:
        for part in template:
            if isinstance(part, LiteralPart):
                self.literal(part.text)
            elif isinstance(part, BytesPart):
                self.content(part.content)
            elif isinstance(part, SecretPart):
                self.literal(encoded(self._secrets[part.slot], part.encoding))
            elif isinstance(part, VariablePart):
                self.variable(_source(part, self._seed, self._wall_ns))
            else:
                raise AssertionError("a step with values of a user is rendered by `RequestTemplate`")

    def written(self) -> bytes:
        """Return the format string."""
        return b"".join(self._pieces)

    def rendered(self, number: int) -> bytes:
        """Render at once: for a format without variables, or off the hot path."""
        return self.written() % tuple([source(number) for source in self.sources])


def renderer(
    step: Step,
    seed: int,
    secrets: Mapping[str, str],
    *,
    prefix: str = "",
    extra_headers: Iterable[Header] = (),
    wall_ns: Callable[[], int] = time.time_ns,
) -> Render | bytes:
    """Prepare a step: return its bytes if all requests are the same, else a function of the request number.

    `prefix` is put before the target (`http://host:port`, for an http proxy), `extra_headers` after Content-Length.
    `wall_ns` returns the wall time (ns since 1970) for `{{timestamp}}` and `{{timestamp_unix}}`.
    """
    head = _Format(seed, secrets, wall_ns)
    head.literal(f"{step.method} {prefix}")
    head.template(step.target)
    head.literal(" HTTP/1.1\r\n")
    for header in step.headers:
        head.literal(f"{header.name}: ")
        head.template(header.value)
        head.literal("\r\n")
    body = _Format(seed, secrets, wall_ns)
    body.template(step.body or ())
    length: Callable[[int], bytes] | None = None
    fixed = b""
    if body.sources:
        # Set below, when the body is known.
        head.literal("Content-Length: ")
        length = lambda number: b"%d" % number  # noqa: E731
        head.variable(length)
        head.literal("\r\n")
    elif step.sends_length:
        fixed = compressed(body.rendered(0)) if step.compresses else body.rendered(0)
        head.literal(f"Content-Length: {len(fixed)}\r\n")
    for header in extra_headers:
        head.literal(f"{header.name}: ")
        head.template(header.value)
        head.literal("\r\n")
    head.literal("\r\n")
    if length is None:
        return _with_fixed_body(head, fixed)
    return _with_body(head, body, head.sources.index(length), compresses=step.compresses)


def _with_fixed_body(head: _Format, body: bytes) -> Render | bytes:
    sources = tuple(head.sources)
    if not sources:
        return head.rendered(0) + body
    template = head.written() + body.replace(b"%", b"%%")
    if len(sources) == 1:
        only = sources[0]
        return lambda number: template % only(number)
    return lambda number: template % tuple([source(number) for source in sources])


def _with_body(head: _Format, body: _Format, length_at: int, *, compresses: bool) -> Render:
    before, after = tuple(head.sources[:length_at]), tuple(head.sources[length_at + 1 :])
    head_template, body_template, body_sources = head.written(), body.written(), tuple(body.sources)

    def render(number: int) -> bytes:
        content = body_template % tuple([source(number) for source in body_sources])
        if compresses:
            content = compressed(content)
        values = [source(number) for source in before]
        values.append(b"%d" % len(content))
        values.extend([source(number) for source in after])
        return head_template % tuple(values) + content

    return render


def _source(part: VariablePart, seed: int, wall_ns: Callable[[], int]) -> _Source:
    if part.name == "uuid":
        return lambda number: uuid4(seed, number).encode()
    if part.name == "random_int":
        return lambda number: b"%d" % random_int(seed, number)
    if part.name == "request_number":
        return lambda number: b"%d" % number
    if part.name == "timestamp_unix":
        return lambda _number: b"%d" % (wall_ns() // 1_000_000_000)
    if part.encoding is Encoding.PERCENT:
        return lambda _number: percent_encoded(_timestamp(wall_ns())).encode()
    return lambda _number: _timestamp(wall_ns()).encode()


def _timestamp(wall_ns: int) -> str:
    return (_EPOCH + timedelta(microseconds=wall_ns // 1000)).isoformat(timespec="microseconds")
