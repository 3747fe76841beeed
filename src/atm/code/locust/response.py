"""Responses as a locustfile sees them: the interface of those of requests, and the verdict of a `with` block."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

from atm.code.locust.exception import CatchResponseError, LocustError, ResponseError
from atm.code.locust.headers import Headers

if TYPE_CHECKING:
    from atm.code.response import Response as CodeResponse
    from atm.code.user import Call


class HTTPError(IOError):
    """A response with a status from 400 on, raised by `raise_for_status`."""


class RequestConnectionError(IOError):
    """There is no full response."""


class Counts(Protocol):
    """Counts a request as the block around it has decided."""

    def settle(self, response: Response) -> None:
        """Count it."""
        ...


class Response:
    """The response to a request; status 0 and an `error` if there is none.

    In a `with` block of a request with `catch_response=True`, `success` and `failure` decide how it is counted.
    """

    js: Any
    meta: tuple[str, str, float, dict[str, Any]]
    """Name, URL, start and context, for listeners of `request`."""

    def __init__(self, received: CodeResponse, call: Call, counts: Counts | None) -> None:
        self.received = received
        self.call = call
        """What was sent."""
        self._counts = counts
        """Counts the request at the end of a `with` block; None without `catch_response`."""
        self.verdict: bool | Exception | None = None
        """What the block has decided."""
        self._is_entered = False
        self.status_code = received.status
        self.url = received.url
        self.encoding: str | None = None

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"response.{name} is not supported in a locustfile")

    @property
    def ok(self) -> bool:
        """Whether there is a response with a status below 400."""
        return 0 < self.status_code < 400

    @property
    def error(self) -> Exception | None:
        """Why there is no full response."""
        return None if self.status_code else _error_class("ConnectionError")(self.received.error)

    @property
    def content(self) -> bytes:
        """The body."""
        return self.received.body

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(self.encoding, "replace") if self.encoding else self.received.text

    @property
    def headers(self) -> Headers:
        """The headers, by names in any case."""
        return Headers(self.received.headers)

    @property
    def reason(self) -> str:
        """The usual phrase of the status."""
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def elapsed(self) -> timedelta:
        """How long the request took."""
        return timedelta(seconds=self.received.elapsed)

    @property
    def request(self) -> Any:
        """What was sent: method, url, headers and body."""
        sent = self.call
        return SimpleNamespace(method=sent.method, url=sent.url, headers=sent.headers or {}, body=sent.body)

    @property
    def history(self) -> Any:
        """True if redirects were followed; the responses between are not kept."""
        return [None] * self.received.redirects

    @property
    def is_redirect(self) -> bool:
        """Whether it points to another address."""
        return self.status_code in (301, 302, 303, 307, 308) and "location" in self.received.headers

    def json(self, **options: Any) -> Any:
        """Return the body as JSON. Raises ValueError."""
        return json.loads(self.content, **options) if options else self.received.json()

    def raise_for_status(self) -> None:
        """Raise an exception unless there is a response with a status below 400, or the block has decided."""
        if isinstance(self.verdict, Exception):
            raise self.verdict
        if self.verdict is None and (error := self.failed()) is not None:
            raise error

    def failed(self) -> Exception | None:
        """Return why the request has failed by itself."""
        if error := self.error:
            return error
        if self.status_code < 400:
            return None
        side = "Client" if self.status_code < 500 else "Server"
        return _error_class("HTTPError")(f"{self.status_code} {side} Error: {self.reason} for url: {self.url}")

    def success(self) -> None:
        """Count the request as successful."""
        self._decide(True)

    def failure(self, exc: Any) -> None:
        """Count the request as failed, for a reason or an exception."""
        self._decide(exc if isinstance(exc, Exception) else CatchResponseError(exc))

    def _decide(self, verdict: bool | Exception) -> None:
        if not self._is_entered:
            raise LocustError(
                "success() and failure() belong into a block: with self.client.get(…, catch_response=True) as response:"
            )
        self.verdict = verdict

    def __enter__(self) -> Response:
        if self._counts is None:
            raise LocustError("a request in a with block needs catch_response=True")
        self._is_entered = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        decided = self.verdict is not None
        if not decided and isinstance(error, Exception):
            self.verdict = error
        assert self._counts is not None
        self._counts.settle(self)
        return error is None or (not decided and isinstance(error, ResponseError))

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"


def exception_of(response: Response) -> Exception | None:
    """Return why a request counts as failed: what its block has decided, or else its status."""
    verdict = response.verdict
    if verdict is None:
        return response.failed()
    return verdict if isinstance(verdict, Exception) else None


def _error_class(name: str) -> Callable[[str], Exception]:
    """Return the class of requests, where a locustfile has imported it and may catch it, or ours."""
    requests = sys.modules.get("requests")
    own = HTTPError if name == "HTTPError" else RequestConnectionError
    return own if requests is None else getattr(requests.exceptions, name, own)
