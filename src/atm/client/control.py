"""`ControlClient`: answers as models, refusals as `ApiRefusedError`, streams that come back by themselves.

async with ControlClient("http://127.0.0.1:8000", key) as server:
    run = await server.create_run({"name": "shop", "url": "https://shop.example/", "duration": "30s"})
    async for event in server.watch(run.id):
        print(event.kind)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from atm.client.sse import read_events
from atm.errors import ApiRefusedError, Problem, ServerUnreachableError
from atm.models.control import (
    CompareAnswer,
    CurlAnswer,
    ErrorDocument,
    HealthView,
    IntervalsView,
    RunAccepted,
    RunList,
    RunView,
    StorageStatusView,
    TestList,
    ValidateAnswer,
)
from atm.models.events import EVENTS, AnyRunEvent, FinishedEvent, ProgressEvent
from atm.models.run import RunResult, SampledExchange

_PREFIX = "/api/v1"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_SILENCE_SECONDS = 60.0
"""The server says something every 15 s; a stream that is silent for longer is dead."""
_RETRY_SECONDS = 1.0
_SAMPLES = TypeAdapter(list[SampledExchange])
_Model = TypeVar("_Model", bound=BaseModel)


class ControlClient:
    """One server. Used as a context manager; calls may run side by side."""

    def __init__(self, url: str, key: str | None = None, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """`url` is the server's root, with or without `/api/v1`. Raises ApiRefusedError for one that is no URL."""
        self.url = url.rstrip("/").removesuffix(_PREFIX)
        if not self.url.startswith(("http://", "https://")):
            raise ApiRefusedError(
                Problem(f'"{url}" is no URL of a server', "bad_url", hint="For example http://127.0.0.1:8000")
            )
        headers = {"X-API-Key": key} if key else {}
        self._http = httpx.AsyncClient(
            base_url=f"{self.url}{_PREFIX}", headers=headers, timeout=_TIMEOUT, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def health(self) -> HealthView:
        """Whether the server is there, and its version."""
        return await self._read(HealthView, "/health")

    async def create_run(
        self,
        spec: Mapping[str, Any],
        *,
        tags: Sequence[str] = (),
        notes: str = "",
        idempotency_key: str | None = None,
    ) -> RunAccepted:
        """Have a run accepted. Raises ApiRefusedError with every problem of the spec."""
        body = {"spec": dict(spec), "tags": list(tags), "notes": notes}
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return _parsed(RunAccepted, await self._send("POST", "/runs", json=body, headers=headers))

    async def runs(self, **filters: Any) -> RunList:
        """A page of runs; filters are those of GET /runs."""
        params = {name: value for name, value in filters.items() if value is not None}
        return _parsed(RunList, await self._send("GET", "/runs", params=params))

    async def run(self, run_id: str) -> RunView:
        """One run."""
        return await self._read(RunView, f"/runs/{run_id}")

    async def result(self, run_id: str) -> RunResult:
        """The result of a run that has ended."""
        return await self._read(RunResult, f"/runs/{run_id}/result")

    async def cancel(self, run_id: str, *, graceful: bool = False) -> RunAccepted:
        """Ask a run to end."""
        path = f"/runs/{run_id}/cancel"
        return _parsed(RunAccepted, await self._send("POST", path, params={"graceful": graceful}))

    async def rerun(self, run_id: str) -> RunAccepted:
        """The same spec once more."""
        return _parsed(RunAccepted, await self._send("POST", f"/runs/{run_id}/rerun"))

    async def annotate(self, run_id: str, *, tags: Sequence[str] | None = None, notes: str | None = None) -> RunView:
        """Replace tags or notes."""
        body = {"tags": None if tags is None else list(tags), "notes": notes}
        return _parsed(RunView, await self._send("PATCH", f"/runs/{run_id}", json=body))

    async def delete(self, run_id: str) -> None:
        """Delete a run and its history."""
        await self._send("DELETE", f"/runs/{run_id}")

    async def intervals(self, run_id: str, **window: Any) -> IntervalsView:
        """Any window of a run; the arguments are those of GET /runs/{id}/intervals."""
        params = {name: value for name, value in window.items() if value is not None}
        return _parsed(IntervalsView, await self._send("GET", f"/runs/{run_id}/intervals", params=params))

    async def samples(self, run_id: str, **filters: Any) -> list[SampledExchange]:
        """The requests that were kept whole."""
        params = {name: value for name, value in filters.items() if value is not None}
        answer = await self._send("GET", f"/runs/{run_id}/samples", params=params)
        return _SAMPLES.validate_json(answer.content)

    async def compare(self, a: str, b: str) -> CompareAnswer:
        """Two runs side by side."""
        return _parsed(CompareAnswer, await self._send("GET", "/compare", params={"a": a, "b": b}))

    async def validate(self, spec: Mapping[str, Any]) -> ValidateAnswer:
        """Whether the server could run a spec."""
        return _parsed(ValidateAnswer, await self._send("POST", "/specs/validate", json={"spec": dict(spec)}))

    async def import_curl(self, command: str) -> CurlAnswer:
        """A curl command line as a spec."""
        return _parsed(CurlAnswer, await self._send("POST", "/import/curl", json={"command": command}))

    async def tests(self) -> TestList:
        """The tests that are kept."""
        return await self._read(TestList, "/tests")

    async def storage_status(self) -> StorageStatusView:
        """What the server's storage says about itself."""
        return await self._read(StorageStatusView, "/storage/status")

    async def watch(self, run_id: str, after: int = 0) -> AsyncIterator[AnyRunEvent]:
        """Every event of a run in order, without a gap, up to its end; a connection that breaks is made again.

        Raises ApiRefusedError where the server refuses, and ServerUnreachableError where it stays away for a minute.
        """
        failures = 0
        while True:
            try:
                async for event in self._stream(run_id, after):
                    failures = 0
                    if not isinstance(event, ProgressEvent):
                        after = event.sequence
                    yield event
                    if isinstance(event, FinishedEvent):
                        return
            except httpx.TransportError as error:
                failures += 1
                if failures * _RETRY_SECONDS >= _SILENCE_SECONDS:
                    raise _unreachable(self.url, error) from error
            await asyncio.sleep(_RETRY_SECONDS if failures else 0.1)

    async def _stream(self, run_id: str, after: int) -> AsyncIterator[AnyRunEvent]:
        headers = {"Last-Event-ID": str(after), "Accept": "text/event-stream"}
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=5.0)
        path = f"/runs/{run_id}/events"
        async with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
            if response.is_error:
                await response.aread()
                if response.status_code >= 500:
                    raise httpx.RemoteProtocolError(f"answered {response.status_code}", request=response.request)
                raise _refusal(response)
            async for data in read_events(response.aiter_lines()):
                yield EVENTS.validate_json(data)

    async def _read(self, model: type[_Model], path: str) -> _Model:
        return _parsed(model, await self._send("GET", path))

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error
        if not response.is_success:
            raise _refusal(response)
        return response


def _parsed(model: type[_Model], response: httpx.Response) -> _Model:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        what = f"{response.request.url} answered what this version does not understand"
        raise ApiRefusedError(Problem(what, "not_understood", hint="Is it an API Test Machine?")) from error


def _refusal(response: httpx.Response) -> ApiRefusedError:
    try:
        document = ErrorDocument.model_validate(json.loads(response.content))
    except (ValueError, ValidationError):
        what = f"{response.request.url} answered {response.status_code} {response.reason_phrase}".rstrip()
        return ApiRefusedError(Problem(what, "refused"), response.status_code)
    problems = [Problem(each.message, each.code, path=each.path, hint=each.hint) for each in document.errors]
    return ApiRefusedError(problems or Problem(document.detail, document.code), response.status_code)


def _unreachable(url: str, error: httpx.TransportError) -> ServerUnreachableError:
    why = str(error) or type(error).__name__
    hint = "Is it running? `atm serve` starts one here; ATM_API_URL and --server say where it is"
    return ServerUnreachableError(
        Problem(f"the server {url} cannot be reached: {why}", "server_unreachable", hint=hint)
    )
