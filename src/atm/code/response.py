"""A response, as the code of a user sees it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from atm.models.outcome import Outcome


class RequestFailedError(Exception):
    """A request did not succeed; raised by `Response.raise_for_status`."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.error)
        self.response = response


class AlreadyCountedError(RuntimeError):
    """The outcome of a response was changed after it had been counted."""


class Response(ABC):
    """The response to a request, or its failure.

    The outcome is counted at the next `await` of the code. Until then, a check that does not pass makes it
    `check_failed`, and `fail` and `succeed` change it. `async with user.get(…) as response:` counts it at the end of
    the block instead.
    """

    __slots__ = ("_json", "elapsed", "is_counted", "message", "outcome", "redirects", "status", "url")

    def __init__(self, url: str, status: int, outcome: Outcome, message: str, elapsed: float) -> None:
        self._json: Any = _NOT_READ
        self.url = url
        self.status = status
        """The status code; 0 without a full response."""
        self.outcome = outcome
        """How the request ended: `ok`, `unexpected_status`, `timeout`, …."""
        self.message = message
        self.elapsed = elapsed
        """Seconds from the intended start to the last byte."""
        self.redirects = 0
        """How many redirects were followed."""
        self.is_counted = False

    @property
    def ok(self) -> bool:
        """Whether the request succeeded: a full response with an expected status, and every check passed so far."""
        return self.outcome is Outcome.OK

    @property
    def error(self) -> str:
        """Why it did not succeed: `503, expected 200`; empty if it did."""
        return "" if self.outcome is Outcome.OK else self.message or self.outcome.value.replace("_", " ")

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers by their names in lower case; several lines of one name are joined by a comma."""
        headers: dict[str, str] = {}
        for name, value in self._header_lines():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return headers

    @property
    def body(self) -> bytes:
        """The body, decompressed; at most 4 MiB of it."""
        return self._content()

    @property
    def text(self) -> str:
        """The body as text."""
        return self._text()

    def json(self) -> Any:
        """Return the body as JSON. Raises ValueError if it is none."""
        if self._json is _NOT_READ:
            self._json = read_json(self._content())
        return self._json

    def check(self, name: str, passed: object) -> bool:
        """Count a check by its name, and return whether it passed.

        One that did not makes the request `check_failed`, if its outcome is not counted yet.
        """
        is_passed = bool(passed)
        self._count_check(name, is_passed)
        if not is_passed and not self.is_counted and self.outcome is Outcome.OK:
            self.outcome = Outcome.CHECK_FAILED
            self.message = f"check failed: {name}"
        return is_passed

    def fail(self, message: str) -> None:
        """Make the request fail with a message. Raises AlreadyCountedError after its outcome was counted."""
        self._require_not_counted("fail")
        if self.status:
            self.outcome = Outcome.CHECK_FAILED
            self.message = message

    def succeed(self) -> None:
        """Accept a full response with any status. Raises AlreadyCountedError after its outcome was counted."""
        self._require_not_counted("succeed")
        if self.status:
            self.outcome = Outcome.OK
            self.message = ""

    def raise_for_status(self) -> Response:
        """Return the response; raise RequestFailedError if the request did not succeed."""
        if self.outcome is not Outcome.OK:
            raise RequestFailedError(self)
        return self

    # What the engine knows

    @abstractmethod
    def _content(self) -> bytes:
        """Return the body without its framing, decompressed."""

    @abstractmethod
    def _header_lines(self) -> tuple[tuple[str, str], ...]: ...

    @abstractmethod
    def _text(self) -> str:
        """Return the body as text, by the charset of the response."""

    @abstractmethod
    def _count_check(self, name: str, is_passed: bool) -> None: ...

    def _require_not_counted(self, name: str) -> None:
        if self.is_counted:
            raise AlreadyCountedError(
                f"{name}() comes too late: the outcome was counted at the await after the response. Call it before "
                "that, or write `async with user.get(…) as response:`, which counts it at the end of the block"
            )

    def __repr__(self) -> str:
        return f"<Response {self.status or self.outcome.value} {self.url}>"


_NOT_READ = object()
_scan: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]


def read_json(body: bytes) -> Any:
    """Return a body as JSON. Raises ValueError if it is none."""
    if body[:1] in (b"{", b"["):
        # Without the encodings and the white space that json looks for: JSON over HTTP is UTF-8 (RFC 8259).
        text = body.decode()
        try:
            value, end = _scan(text, 0)
        except StopIteration:
            pass
        else:
            if end == len(text):
                return value
        return json.loads(text)
    return json.loads(body)
