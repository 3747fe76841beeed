"""Follow redirects (RFC 9110, section 15.4): a request and its redirects have one outcome, the last."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urljoin, urlsplit

from atm.engine.asyncio_engine.responses import response_head
from atm.engine.asyncio_engine.transport.exchange import Exchange, Response
from atm.plan.connections import DEFAULT_PORTS, Origin
from atm.plan.load_plan import LoadPlan

REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_OF_A_BODY = frozenset({"content-length", "content-type", "content-encoding", "content-language", "transfer-encoding"})


class Origins(Protocol):
    """The plan's origins, and those added by redirects."""

    @property
    def origins(self) -> list[Origin]: ...

    def origin_of(self, scheme: str, host: str, port: int) -> int:
        """Return the index of an origin, which may be new."""
        ...


class Redirects:
    """Rewrites a request for the location of its response."""

    def __init__(self, plan: LoadPlan, origins: Origins) -> None:
        self._origins = origins
        self._limit = plan.connections.redirects
        self._through_proxy = plan.connections.proxy is not None

    def withholds(self, exchange: Exchange, response: Response) -> bool:
        """Return whether following would send a secret in the body to another origin; then the response is judged."""
        if not exchange.has_secret_body:
            return False
        place = self._place(exchange, response)
        if place is None:
            return False
        head, _, body = exchange.data.partition(b"\r\n\r\n")
        here = self._origins.origins[exchange.origin]
        method = head.partition(b" ")[0].decode("latin-1")
        crosses = place[:3] != (here.scheme, here.host, here.port)
        return crosses and bool(body) and not _becomes_get(response.status, method)

    def follow(self, exchange: Exchange, response: Response) -> bool:
        """Rewrite the request for the caller to send; return False if the redirect is the final response.

        That is the case at the limit of redirects, and where the location cannot be followed.
        """
        place = self._place(exchange, response)
        if place is None:
            return False
        scheme, host, port, target = place
        index = self._origins.origin_of(scheme, host, port)
        origin = self._origins.origins[index]
        if self._through_proxy and scheme == "http":
            target = origin.url + target
        secret = _CREDENTIALS | exchange.secret_headers if index != exchange.origin else frozenset()
        exchange.data = self._rewritten(
            exchange.data, response.status, target.replace(" ", "%20"), origin.authority, secret
        )
        exchange.hops += 1
        exchange.origin = index
        return True

    def _place(self, exchange: Exchange, response: Response) -> tuple[str, str, int, str] | None:
        """Return scheme, host, port and target of the response's location, if it may be followed."""
        location = response_head(response.raw).get("location")
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
        rewritten = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        for line in lines[1:]:
            name = line.partition(":")[0].lower()
            if name != "host" and (name not in dropped or (name == "proxy-authorization" and self._through_proxy)):
                rewritten.append(line)
        return "\r\n".join((*rewritten, "", "")).encode("latin-1") + body


def _becomes_get(status: int, method: str) -> bool:
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")


def _target(request: bytes, base: str) -> str:
    target = request.split(b" ", 2)[1].decode("latin-1")
    return target.removeprefix(base)
