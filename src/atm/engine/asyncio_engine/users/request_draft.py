"""The request that `before_request` sees: taken from the bytes of a step's, and written again as the hook left it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from atm.code.hooks import Headers, Request
from atm.dataclass import dataclass
from atm.models.request import TOKEN
from atm.plan.connections import Origin
from atm.plan.line_breaks import breaks_header
from atm.plan.urls import clean_target, split_authority

_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_SHORTEST_SECRET = 4
"""A shorter text is found everywhere by accident."""


@dataclass(slots=True)
class Destination:
    """What a draft needs to know of the engine, to be sent somewhere else."""

    origin_of: Callable[[str, str, int], int]
    origins: Callable[[], list[Origin]]
    through_proxy: bool
    secrets: Callable[[], Iterable[str]]
    """Every secret of the run."""


@dataclass(slots=True)
class Draft:
    """A request before it is sent. `write` it after the hook."""

    request: Request
    _method: str
    _url: str
    _headers: tuple[tuple[str, str], ...]
    _body: bytes
    _proxied: bool
    _sent: bytes
    written: bytes = b""
    origin: int = 0
    changed: frozenset[str] = frozenset()
    """Names of the headers that the hook has set, in lower case."""

    @classmethod
    def of(cls, rendered: bytes, origin: Origin, name: str) -> Draft:
        """Take apart the bytes of a request."""
        head, _, body = rendered.partition(b"\r\n\r\n")
        first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
        method, target, _ = first.split(" ", 2)
        proxied = target.startswith("http://")
        url = target if proxied else origin.url + target
        pairs = [(key, value.strip()) for key, _, value in (line.partition(":") for line in lines)]
        headers = tuple(pair for pair in pairs if pair[0].lower() != "content-length")
        request = Request(name, method, url, Headers(headers), body)
        return cls(request, method, url, headers, body, proxied, rendered)

    def write(self, origin: int, secret_headers: frozenset[str], has_secret_body: bool, to: Destination) -> None:
        """Write the request as the hook has left it. Raises ValueError or TypeError for what cannot be sent."""
        request = self.request
        lines = request.headers.lines()
        self.origin = origin
        if request.url == self._url:
            is_same = request.method == self._method and request.body == self._body and tuple(lines) == self._headers
            if is_same:
                self.changed, self.written = frozenset(), self._sent
                return
        before = set(self._headers)
        self.changed = frozenset(name.lower() for name, value in lines if (name, value) not in before)
        target = self._target(to)
        if self.origin != origin:
            lines = self._elsewhere(lines, secret_headers, has_secret_body, to)
        self.written = _written(request, target, lines)
        if self.origin != origin:
            self._refuse_secrets(to)

    def _target(self, to: Destination) -> str:
        url = self.request.url
        if url == self._url:
            return self._sent.split(b" ", 2)[1].decode("utf-8", "surrogateescape")
        scheme, _, rest = url.partition("://")
        authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
        scheme, host, port = split_authority(f"{scheme}://{authority}", url)
        self.origin = to.origin_of(scheme, host, port)
        target = clean_target(self.request.path)
        return to.origins()[self.origin].url + target if to.through_proxy and scheme == "http" else target

    def _elsewhere(
        self, lines: list[tuple[str, str]], secret_headers: frozenset[str], has_secret_body: bool, to: Destination
    ) -> list[tuple[str, str]]:
        """Return the headers for another origin: without the credentials of the spec, and with its own Host."""
        if has_secret_body and self.request.body == self._body and self._body:
            raise ValueError("the body holds a secret of the spec, which is not sent to another host")
        hidden = (secret_headers | _CREDENTIALS) - self.changed
        host = to.origins()[self.origin].authority
        return [
            (name, host if name.lower() == "host" and "host" not in self.changed else value)
            for name, value in lines
            if name.lower() not in hidden or (name.lower() == "proxy-authorization" and to.through_proxy)
        ]

    def _refuse_secrets(self, to: Destination) -> None:
        for secret in to.secrets():
            if len(secret) >= _SHORTEST_SECRET and secret.encode("utf-8", "surrogateescape") in self.written:
                if to.through_proxy and b"proxy-authorization" in self.written.lower():
                    continue
                raise ValueError("the request holds a secret of the spec, which is not sent to another host")


def _written(request: Request, target: str, lines: list[tuple[str, str]]) -> bytes:
    # The code of users may have assigned anything.
    method: object = request.method
    if not isinstance(method, str) or not TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        raise ValueError(f"{method!r} cannot be the method of a request")
    parts = [f"{method} {target} HTTP/1.1"]
    pairs: list[tuple[object, object]] = [*lines]
    for name, value in pairs:
        if not isinstance(name, str) or not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a header")
        if not isinstance(value, str):
            raise TypeError(f"the header {name} is a text, not {type(value).__name__}")
        if breaks_header(value):
            raise ValueError(f"the header {name} has a line break or another control character")
        if name.lower() in ("content-length", "transfer-encoding"):
            continue
        parts.append(f"{name}: {value}")
    body = request.body
    if body or method in _WITH_LENGTH:
        parts.append(f"Content-Length: {len(body)}")
    return "\r\n".join((*parts, "", "")).encode("utf-8", "surrogateescape") + body
