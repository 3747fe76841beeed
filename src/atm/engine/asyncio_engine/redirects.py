"""Following redirects (RFC 9110, section 15.4): one request with one outcome, its last."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from atm.engine.asyncio_engine.job import authority
from atm.engine.asyncio_engine.response_head import response_head
from atm.plan.load_plan import SecretPart

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.connection import Connection
    from atm.engine.asyncio_engine.run import Run
    from atm.engine.asyncio_engine.user import User

_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization"})
_OF_A_BODY = frozenset({"content-length", "content-type", "content-encoding", "content-language", "transfer-encoding"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Redirects:
    """Sends a request on to where its answer points."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._limit = run.plan.connections.redirects
        self._through_proxy = run.plan.connections.proxy is not None

    def withholds(self, user: User, connection: Connection, status: int) -> bool:
        """Whether following would take a body that holds a secret to another origin; then the answer is judged."""
        place = self._place(user, connection)
        if place is None or not any(isinstance(part, SecretPart) for part in user.job.step.body or ()):
            return False
        head, _, body = user.request.partition(b"\r\n\r\n")
        origin = self._run.dialer.origins[user.origin]
        here = (origin.scheme, origin.host, origin.port)
        method = head.partition(b" ")[0].decode("latin-1")
        return place[:3] != here and bool(body) and not _becomes_get(status, method)

    def follow(self, user: User, connection: Connection, status: int) -> bool:
        """Send `user`'s request on; False where the redirect is the answer (at the limit, or leading nowhere)."""
        place = self._place(user, connection)
        if place is None:
            return False
        scheme, hostname, port, target = place
        dialer = self._run.dialer
        index = dialer.origin_of(scheme, hostname, port)
        if self._through_proxy and scheme == "http":
            target = f"http://{authority(hostname, port, 80)}{target}"
        host = authority(hostname, port, _DEFAULT_PORTS[scheme])
        user.request = self._rewritten(user, status, target.replace(" ", "%20"), host, crosses=index != user.origin)
        user.hops += 1
        user.origin = index
        following = user.connections.get(index)
        if following is None:
            user.dial = dialer.dial(user, index)
        else:
            following.send(user, user.request)
        return True

    def _place(self, user: User, connection: Connection) -> tuple[str, str, int, str] | None:
        """Scheme, host, port and target of where the answer points, while it may be followed."""
        location = response_head(connection.raw).get("location")
        if not location or user.hops >= self._limit:
            return None
        origin = self._run.dialer.origins[user.origin]
        base = f"{origin.scheme}://{authority(origin.host, origin.port, _DEFAULT_PORTS[origin.scheme])}"
        try:
            url = urlsplit(urljoin(base + _target(user.request, base), location))
            port = url.port or _DEFAULT_PORTS.get(url.scheme, 0)
        except ValueError:
            return None
        if url.scheme not in _DEFAULT_PORTS or not url.hostname or not location.isprintable():
            return None
        return url.scheme, url.hostname, port, (url.path or "/") + (f"?{url.query}" if url.query else "")

    def _rewritten(self, user: User, status: int, target: str, host: str, *, crosses: bool) -> bytes:
        head, _, body = user.request.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method = lines[0].partition(" ")[0]
        dropped = set(_CREDENTIALS | self._secret_headers(user)) if crosses else set()
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

    def _secret_headers(self, user: User) -> set[str]:
        return {
            header.name.lower()
            for header in user.job.step.headers
            if any(isinstance(part, SecretPart) for part in header.value)
        }


def _becomes_get(status: int, method: str) -> bool:
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")


def _target(request: bytes, base: str) -> str:
    target = request.split(b" ", 2)[1].decode("latin-1")
    return target.removeprefix(base)
