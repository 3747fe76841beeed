"""Render the requests of a scenario's step: bytes with the values of a user, and the same without its secrets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.scenario.template import part_of
from atm.engine.asyncio_engine.users.bodies import compressed
from atm.engine.asyncio_engine.users.session import RenderedRequest, Session
from atm.engine.secrets import is_secret_value
from atm.plan.load_plan import Header, Step
from atm.plan.program import Slot
from atm.plan.template_parts import BytesPart, Encoding, LiteralPart, SecretPart, Template, ValuePart
from atm.plan.templates import encoded

_MASK = b"***"


class _Pieces:
    """A part of the request: a bytes format (`%`) and the functions of its values."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._sources: list[Callable[[Session], str]] = []
        self._is_secret: list[bool] = []

    def literal(self, text: str) -> None:
        self._pieces.append(text.encode().replace(b"%", b"%%"))

    def template(self, template: Template, context: Context, secrets: Mapping[str, str], slots: Sequence[Slot]) -> None:
        for part in template:
            if isinstance(part, LiteralPart):
                self.literal(part.text)
            elif isinstance(part, BytesPart):
                self._pieces.append(part.content.replace(b"%", b"%%"))
            elif isinstance(part, SecretPart):
                self.literal(encoded(secrets[part.slot], part.encoding))
            else:
                self._pieces.append(b"%b")
                self._sources.append(part_of(part, context))
                self._is_secret.append(is_secret_value(part, slots))

    def close(self) -> None:
        """Join the format, which is complete."""
        self._pieces = [b"".join(self._pieces)]

    @property
    def varies(self) -> bool:
        return bool(self._sources)

    @property
    def has_secret(self) -> bool:
        return any(self._is_secret)

    def values(self, session: Session) -> tuple[bytes, ...]:
        return tuple([source(session).encode(errors="replace") for source in self._sources])

    def secrets_among(self, values: Sequence[bytes]) -> list[bytes]:
        return [value for value, is_secret in zip(values, self._is_secret, strict=True) if is_secret]

    def written(self, values: Sequence[bytes]) -> bytes:
        return self._pieces[0] % tuple(values)

    def masked(self, values: Sequence[bytes]) -> bytes:
        masked = [_MASK if is_secret else value for value, is_secret in zip(values, self._is_secret, strict=True)]
        return self._pieces[0] % tuple(masked)


def _encoded_for(template: Template, encoding: Encoding) -> Template:
    """Encode raw values for the line that they are in, which none may end."""
    return tuple(
        replace(part, encoding=encoding) if isinstance(part, ValuePart) and part.encoding is Encoding.RAW else part
        for part in template
    )


class RequestTemplate:
    """The request of a step: target, headers with the cookies among them, and body."""

    def __init__(
        self,
        step: Step,
        slots: Sequence[Slot],
        context: Context,
        secrets: Mapping[str, str],
        *,
        uses_cookies: bool,
        prefix: str = "",
        extra_headers: Iterable[Header] = (),
    ) -> None:
        """`prefix` is put before the target (`http://host:port`, for an http proxy)."""
        self._target, self._before, self._after, self._body, self._tail = parts = [_Pieces() for _ in range(5)]
        self._parts: list[_Pieces] = parts
        self._uses_cookies = uses_cookies
        self._line = f"{step.method} {prefix}".encode()
        self._target.template(_encoded_for(step.target, Encoding.TARGET), context, secrets, slots)
        self._joins_cookies = False
        """The step has a Cookie header of its own."""
        into = self._before
        for header in step.headers:
            into.literal(f"{header.name}: ")
            into.template(_encoded_for(header.value, Encoding.HEADER), context, secrets, slots)
            if uses_cookies and not self._joins_cookies and header.name.lower() == "cookie":
                self._joins_cookies = True
                into = self._after
            into.literal("\r\n")
        self._body.template(step.body or (), context, secrets, slots)
        self._has_length = step.sends_length
        for header in extra_headers:
            self._tail.literal(f"{header.name}: ")
            self._tail.template(header.value, context, secrets, slots)
            self._tail.literal("\r\n")
        for part in parts:
            part.close()
        self._compresses = step.compresses
        self._compressed = compressed(self._body.written(())) if step.compresses and not self._body.varies else None
        """A body that is always the same, compressed."""
        self.has_secret = any(part.has_secret for part in parts)
        self._is_recorded = uses_cookies or self.has_secret

    @property
    def constant(self) -> bytes | None:
        """The request, if it is always the same."""
        if self._uses_cookies or any(part.varies for part in self._parts):
            return None
        return self._joined(self._written([()] * len(self._parts)), b"")

    def render(self, session: Session, cookies: Callable[[bytes], bytes]) -> bytes:
        """Render the request of a user. `cookies` returns the value of the Cookie header for a target."""
        values = [part.values(session) for part in self._parts]
        written = self._written(values)
        header = cookies(written[0]) if self._uses_cookies else b""
        session.rendered = RenderedRequest(values, header) if self._is_recorded else None
        return self._joined(written, header)

    def without_cookies(self, rendered: RenderedRequest) -> bytes:
        """Write a rendered request again, without the cookies of the jar."""
        return self._joined(self._written(rendered.values), b"")

    def masked(self, rendered: RenderedRequest) -> bytes:
        """Write a rendered request again, its body not compressed, with *** for each secret value."""
        written = [part.masked(value) for part, value in zip(self._parts, rendered.values, strict=True)]
        length = len(self._sent_body(rendered.values[3]))
        return self._joined(written, rendered.cookies, length)

    def secret_values(self, rendered: RenderedRequest) -> list[str]:
        """Return the secret values of a rendered request, in the encoding of their place."""
        pairs = zip(self._parts, rendered.values, strict=True)
        return [value.decode() for part, values in pairs for value in part.secrets_among(values)]

    def _written(self, values: Sequence[Sequence[bytes]]) -> list[bytes]:
        target, before, after, _, tail = (part.written(value) for part, value in zip(self._parts, values, strict=True))
        return [target, before, after, self._sent_body(values[3]), tail]

    def _sent_body(self, values: Sequence[bytes]) -> bytes:
        if self._compressed is not None:
            return self._compressed
        body = self._body.written(values)
        return compressed(body) if self._compresses else body

    def _joined(self, written: Sequence[bytes], cookies: bytes, length: int | None = None) -> bytes:
        target, before, after, body, tail = written
        if cookies:
            cookies = b"; " + cookies if self._joins_cookies else b"Cookie: " + cookies + b"\r\n"
        size = b"Content-Length: %d\r\n" % (len(body) if length is None else length) if self._has_length else b""
        return b"".join((self._line, target, b" HTTP/1.1\r\n", before, cookies, after, size, tail, b"\r\n", body))
