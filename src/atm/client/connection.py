"""HTTP connection to one server, with responses and errors translated to our types."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from atm.errors import (
    ApiRefusedError,
    AtmError,
    ConflictError,
    NotFoundError,
    Problem,
    ServerUnreachableError,
    SpecError,
    StorageUnavailableError,
)
from atm.models.control.base import SOURCE_HEADER
from atm.models.control.errors import ErrorDocument
from atm.version import VERSION

PREFIX = "/api/v1"
TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
_KINDS: Mapping[int, type[AtmError]] = {
    404: NotFoundError,
    409: ConflictError,
    422: SpecError,
    503: StorageUnavailableError,
}
ResponseModel = TypeVar("ResponseModel", bound=BaseModel)
Query = Mapping[str, Any]


def base_of(url: str) -> str:
    """Normalise a server address, given with or without `/api/v1`. Raises ApiRefusedError."""
    text = url.strip().rstrip("/").removesuffix(PREFIX)
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        what = f"{url!r} is not a server address"
        raise ApiRefusedError(Problem(what, "bad_server_url", hint="For example `http://127.0.0.1:8000`"))
    return text


class Connection:
    """Sends requests to one server; bound to one event loop."""

    def __init__(self, url: str, key: str | None, timeout: float = TIMEOUT_SECONDS, source: str = "api") -> None:
        """Raises ApiRefusedError for an invalid URL. Sends nothing."""
        self.base = base_of(url)
        headers = {"User-Agent": f"atm/{VERSION}", "Accept": "application/json"}
        if source != "api":
            headers[SOURCE_HEADER] = source
        if key:
            headers["X-API-Key"] = key
        # Do not follow redirects: they could send the key to another host.
        self._http = httpx.AsyncClient(
            base_url=self.base + PREFIX,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            follow_redirects=False,
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, kind: type[ResponseModel], path: str, query: Query | None = None) -> ResponseModel:
        """GET a resource. Raises ServerUnreachableError, and the error that the response maps to."""
        return self._read(kind, await self._request("GET", path, query=query))

    async def send(
        self,
        kind: type[ResponseModel],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ResponseModel:
        """Send a change and read the response. Raises as `get`."""
        return self._read(kind, await self._request(method, path, query=query, json=body, headers=headers))

    async def delete(self, path: str) -> None:
        """DELETE a resource. Raises as `get`."""
        await self._request("DELETE", path)

    async def list_of(self, kind: type[ResponseModel], path: str, query: Query | None = None) -> list[ResponseModel]:
        """GET a list. Raises as `get`."""
        response = await self._request("GET", path, query=query)
        try:
            return [kind.model_validate(item) for item in response.json()]
        except (ValueError, TypeError) as error:
            raise self._unexpected(response) from error

    async def upload(
        self, kind: type[ResponseModel], path: str, content: bytes, query: Query | None = None
    ) -> ResponseModel:
        """POST a file. Raises as `get`."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._read(kind, await self._request("POST", path, query=query, content=content, headers=headers))

    async def put_file(self, kind: type[ResponseModel], path: str, content: AsyncIterator[bytes]) -> ResponseModel:
        """PUT a file in chunks. Raises as `get`."""
        headers = {"Content-Type": "application/octet-stream"}
        return self._read(kind, await self._request("PUT", path, content=content, headers=headers))

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, silence_seconds: float = TIMEOUT_SECONDS
    ) -> AsyncIterator[httpx.Response]:
        """GET a streaming response.

        Raises as `get` until the response starts, and httpx.TransportError if it breaks off later.
        """
        timeout = httpx.Timeout(silence_seconds, connect=CONNECT_SECONDS)
        try:
            request = self._http.build_request("GET", path, headers=dict(headers or {}), timeout=timeout)
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        try:
            if response.status_code != 200:
                await response.aread()
                raise self._error(response)
            yield response
        finally:
            await response.aclose()

    @contextmanager
    def as_unreachable(self) -> Iterator[None]:
        """Raise a connection that breaks off within the block as ServerUnreachableError."""
        try:
            yield
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        json: Mapping[str, Any] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        params = {name: value for name, value in (query or {}).items() if value is not None and value != ""}
        try:
            response = await self._http.request(
                method, path, params=params, json=json, content=content, headers=dict(headers or {})
            )
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise self._error(response)
        return response

    def _read(self, kind: type[ResponseModel], response: httpx.Response) -> ResponseModel:
        try:
            return kind.model_validate_json(response.content)
        except ValidationError as error:
            raise self._unexpected(response) from error

    def _unreachable(self, error: httpx.TransportError) -> ServerUnreachableError:
        reason = _reason(error)
        hint = "Start one with `atm serve`, or name another with `--server` or ATM_API_URL"
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            reason = f"its certificate is not trusted ({_verification(str(error))})"
            hint = "SSL_CERT_FILE names the file of the authority that signed it"
        return ServerUnreachableError(Problem(f"no server at {self.base}: {reason}", "server_unreachable", hint=hint))

    def _error(self, response: httpx.Response) -> AtmError:
        """Translate an error response."""
        try:
            document = ErrorDocument.model_validate_json(response.content)
        except ValidationError:
            return self._unexpected(response)
        problems = [Problem(error.message, error.code, path=error.path, hint=error.hint) for error in document.errors]
        if not problems:
            problems = [Problem(document.detail, document.code)]
        if response.status_code >= 500 and document.request_id:
            last = problems[-1]
            problems[-1] = Problem(last.what, last.code, last.path, f"request {document.request_id}", last.hint)
        if response.status_code == 401:
            hint = "Set ATM_API_KEY to a key of that server; `atm keys create NAME` creates one there"
            problems = [Problem(problems[0].what, problems[0].code, path=self.base, hint=hint)]
        kind = _KINDS.get(response.status_code)
        return kind(problems) if kind else ApiRefusedError(problems, response.status_code)

    def _unexpected(self, response: httpx.Response) -> ApiRefusedError:
        kind = response.headers.get("content-type", "no content type").partition(";")[0]
        what = f"{self.base} responded {response.status_code} with {kind}, which is not a response of the Control API"
        hint = f"Check the address: `curl -i {self.base}{PREFIX}/health`"
        return ApiRefusedError(Problem(what, "not_the_control_api", hint=hint), response.status_code)


def _verification(text: str) -> str:
    """OpenSSL's reason: `[SSL: …] certificate verify failed: REASON (_ssl.c:1006)`."""
    return text.rpartition("verify failed: ")[2].partition(" (_ssl")[0]


def _reason(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(error, httpx.TimeoutException):
        return "no response in time"
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError):
        # httpx's message for a refused connection depends on the system.
        if re.search(r"refused|all connection attempts failed", text, re.IGNORECASE):
            return "connection refused"
        if re.search(r"name or service|nodename|resolution", text, re.IGNORECASE):
            return "the name does not exist"
    return text
