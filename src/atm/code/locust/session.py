"""The clients of users: the interface of a session of requests, on the connections of the user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from atm.code.locust.body import basic, encoded, quoted, with_params, without_credentials
from atm.code.locust.cookies import Cookies
from atm.code.locust.exception import CatchResponseError, LocustError, ResponseError
from atm.code.locust.headers import Headers
from atm.code.locust.response import Response, exception_of
from atm.code.locust.switch import current_user
from atm.code.user import NOTHING

if TYPE_CHECKING:
    from atm.code.locust.user import User
    from atm.code.response import Response as CodeResponse

_WHOLE_URL = re.compile(r"https?://", re.IGNORECASE)
_NO_CONTEXT: dict[str, Any] = {}


class HttpSession:
    """Sends requests; keeps headers, credentials and cookies."""

    name_has_params = True

    def __init__(self, base_url: str, user: User) -> None:
        self.base_url, credentials = without_credentials(base_url)
        self.user = user
        self.auth: Any = credentials
        self.headers = Headers()
        self.params: Any = None
        self.cookies = Cookies(current_user())
        self.request_name: str | None = None
        self.verify = True
        self.trust_env = False
        self._listeners = user.environment.events.request.listeners
        self._code_user = current_user()
        self._greenlet: Any = getcurrent()
        self._is_base = self.base_url.rstrip("/") == user.environment.base_url.rstrip("/")

    def request(
        self,
        method: str,
        url: str,
        name: str | None = None,
        data: Any = None,
        catch_response: bool = False,
        context: dict[str, Any] = _NO_CONTEXT,
        *,
        json: Any = None,
        params: Any = None,
        headers: Any = None,
        auth: Any = None,
        timeout: Any = None,
        allow_redirects: bool = True,
        **others: Any,
    ) -> Any:
        """Send a request and return its response."""
        if others:
            _refuse(others)
        started = time() if self._listeners else 0.0
        if params or self.params:
            url = with_params(with_params(url, self.params), params)
        url = quoted(url)
        given = name or self.request_name
        is_plain = not (headers or auth or self.auth or len(self.headers))
        if is_plain and not data:
            # The engine encodes JSON itself.
            own, body, document = None, None, NOTHING if json is None else json
        else:
            body, content_type = encoded(data, json)
            own, document = self._headers(headers, auth, content_type), NOTHING
        call = self._code_user.request(
            method,
            url if self._is_base and url.startswith("/") else self._whole(url),
            name=given or f"{method} {self._default_name(url)}",
            headers=own,
            json=document,
            data=body,
            timeout=None if timeout is None else _seconds(timeout),
        )
        if not allow_redirects:
            call.follows_redirects = False
        call.holds = catch_response
        received: CodeResponse = self._greenlet.parent.switch(call)
        response = Response(received, call, self if catch_response else None)
        if self._listeners:
            response.meta = (given or self._default_name(url), self._whole(url), started, context)
            if not catch_response:
                self._fire(response)
        return response

    def get(self, url: str, **options: Any) -> Any:
        """Send a GET request."""
        return self.request("GET", url, **options)

    def head(self, url: str, **options: Any) -> Any:
        """Send a HEAD request."""
        return self.request("HEAD", url, **{"allow_redirects": False, **options})

    def options(self, url: str, **options: Any) -> Any:
        """Send an OPTIONS request."""
        return self.request("OPTIONS", url, **options)

    def delete(self, url: str, **options: Any) -> Any:
        """Send a DELETE request."""
        return self.request("DELETE", url, **options)

    def post(self, url: str, data: Any = None, json: Any = None, **options: Any) -> Any:
        """Send a POST request."""
        return self.request("POST", url, data=data, json=json, **options)

    def put(self, url: str, data: Any = None, **options: Any) -> Any:
        """Send a PUT request."""
        return self.request("PUT", url, data=data, **options)

    def patch(self, url: str, data: Any = None, **options: Any) -> Any:
        """Send a PATCH request."""
        return self.request("PATCH", url, data=data, **options)

    @contextmanager
    def rename_request(self, name: str) -> Iterator[None]:
        """Give the requests inside a block a name."""
        self.request_name = name
        try:
            yield
        finally:
            self.request_name = None

    def _whole(self, url: str) -> str:
        return url if _WHOLE_URL.match(url) else f"{self.base_url}{url}"

    def _default_name(self, url: str) -> str:
        """Return the path with the query, as requests has it."""
        whole = self._whole(url)
        path = whole.partition("#")[0].partition("://")[2]
        return "/" + path.partition("/")[2]

    def _headers(self, own: Any, auth: Any, content_type: str | None) -> dict[str, str] | None:
        """Return the headers of a request: those of the session, its own, and what body and credentials need."""
        auth = auth or self.auth
        if not self.headers and not own and not content_type and not auth:
            return None
        headers = Headers(self.headers)
        for name, value in dict(own or {}).items():
            if value is not None:
                headers[name] = value if isinstance(value, str) else value.decode("latin-1")
            elif name in headers:
                del headers[name]
        if content_type:
            headers.setdefault("Content-Type", content_type)
        if auth:
            headers["Authorization"] = basic(auth)
        return dict(headers)

    def settle(self, response: Response) -> None:
        """Count a request as its block has decided."""
        verdict, received = response.verdict, response.received
        if verdict is True:
            received.succeed()
        elif verdict is not None:
            received.fail(_reason(verdict))
        response.call.count(received)
        if self._listeners:
            self._fire(response)

    def _fire(self, response: Response) -> None:
        """Tell the listeners of `request`."""
        name, url, started, context = response.meta
        self.user.environment.events.request.fire(
            request_type=response.call.method,
            name=name,
            response_time=response.received.elapsed * 1000,
            response_length=len(response.content),
            response=response,
            context={**self.user.context(), **context},
            exception=exception_of(response),
            start_time=started,
            url=url,
        )


class FastHttpSession(HttpSession):
    """Names requests by their URL as it was given, as the fast client does."""

    def _default_name(self, url: str) -> str:
        return url


def _reason(verdict: Any) -> str:
    """Return the message of a failure: what the block has said, or the exception that has left it."""
    text = str(verdict)
    if isinstance(verdict, CatchResponseError | ResponseError) and text:
        return text
    return f"{type(verdict).__name__}: {text}" if text else type(verdict).__name__


_REMEDIES = {
    "verify": "use `--insecure` to skip the verification of certificates",
    "cert": "write `tls` in a spec",
    "proxies": "write `proxy` in a spec",
    "cookies": "set the header Cookie",
    "files": "encode the body yourself and give it as data=",
}


def _refuse(options: dict[str, Any]) -> None:
    """Raise an error for options that do nothing here; those that ask for what happens anyway are accepted."""
    for name, value in options.items():
        if value is None or (name == "verify" and value is True) or (name == "stream" and not value):
            continue
        hint = _REMEDIES.get(name, "remove it")
        raise LocustError(f"{name}= is not supported by API Test Machine: {hint}")


def _seconds(timeout: Any) -> float | None:
    """Return one limit for the whole request; requests takes one for the connection and one for each read."""
    if isinstance(timeout, tuple | list):
        limits = [limit for limit in timeout if limit is not None]
        return float(sum(limits)) if limits else None
    return None if timeout is None else float(timeout)
