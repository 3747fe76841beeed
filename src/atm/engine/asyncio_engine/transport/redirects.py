"""Follow redirects (RFC 9110, section 15.4): a request with its redirects has one outcome, the last."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urljoin, urlsplit

from atm.engine.asyncio_engine.responses import response_head
from atm.engine.asyncio_engine.transport.exchange import Answer, Exchange
from atm.plan.load_plan import DEFAULT_PORTS, LoadPlan, Origin

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_OF_A_BODY = frozenset({"content-length", "content-type", "content-encoding", "content-language", "transfer-encoding"})


class Origins(Protocol):
    """Where requests may go: the plan's origins, and those that redirects have led to."""

    @property
    def origins(self) -> list[Origin]: ...

    def origin_of(self, scheme: str, host: str, port: int) -> int:
        """The index of an origin, which may be new."""
        ...


class Redirects:
    """Rewrites a request so that it goes where its answer points."""

    def __init__(self, plan: LoadPlan, origins: Origins) -> None:
        self._origins = origins
        self._limit = plan.connections.redirects
        self._through_proxy = plan.connections.proxy is not None

    def withholds(self, exchange: Exchange, answer: Answer) -> bool:
        """Whether following would take a body that holds a secret to another origin; then the answer is judged."""
        if not exchange.has_secret_body:
            return False
        place = self._place(exchange, answer)
        if place is None:
            return False
        head, _, body = exchange.data.partition(b"\r\n\r\n")
        here = self._origins.origins[exchange.origin]
        method = head.partition(b" ")[0].decode("latin-1")
        crosses = place[:3] != (here.scheme, here.host, here.port)
        return crosses and bool(body) and not _becomes_get(answer.status, method)

    def follow(self, exchange: Exchange, answer: Answer) -> bool:
        """Rewrite the request; the caller sends it again.

        False where the redirect is the answer: at the limit, or where it leads nowhere.
        """
        place = self._place(exchange, answer)
        if place is None:
            return False
        scheme, host, port, target = place
        index = self._origins.origin_of(scheme, host, port)
        origin = self._origins.origins[index]
        if self._through_proxy and scheme == "http":
            target = origin.url + target
        secret = _CREDENTIALS | exchange.secret_headers if index != exchange.origin else frozenset()
        exchange.data = self._rewritten(
            exchange.data, answer.status, target.replace(" ", "%20"), origin.authority, secret
        )
        exchange.hops += 1
        exchange.origin = index
        return True

    def _place(self, exchange: Exchange, answer: Answer) -> tuple[str, str, int, str] | None:
        """Scheme, host, port and target of where the answer points, while it may be followed."""
        location = response_head(answer.raw).get("location")
        if not location or exchange.hops >= self._limit:
            return None
        base = self._origins.origins[exchange.origin].url
        try:
            url = urlsplit(urljoin(base + _target(exchange.data, base), location))
            port = url.port or DEFAULT_PORTS.get(url.scheme, 0)
        except ValueError:
            return None
        if url.scheme not in DEFAULT_PORTS or not url.hostname or not location.isprintable():
            return None
        if "%" in url.hostname:
            # A zone id, as in specs.
            return None
        return url.scheme, url.hostname, port, (url.path or "/") + (f"?{url.query}" if url.query else "")

    def _rewritten(self, request: bytes, status: int, target: str, host: str, secret: frozenset[str]) -> bytes:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method = lines[0].partition(" ")[0]
        dropped = set(secret)
        if _becomes_get(status, method):
            method = "GET"
            body = b""
            dropped |= _OF_A_BODY
        kept = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        for line in lines[1:]:
            name = line.partition(":")[0].lower()
            if name != "host" and (name not in dropped or (name == "proxy-authorization" and self._through_proxy)):
                kept.append(line)
        return "\r\n".join((*kept, "", "")).encode("latin-1") + body


def _becomes_get(status: int, method: str) -> bool:
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")


def _target(request: bytes, base: str) -> str:
    target = request.split(b" ", 2)[1].decode("latin-1")
    return target.removeprefix(base)
