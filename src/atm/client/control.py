"""`ControlClient`: the Control API as typed methods.

async with ControlClient("http://127.0.0.1:8000", key) as control:
    accepted = await control.create_run(spec)
    async for event in control.watch(accepted.id):
        ...
    result = await control.result(accepted.id)
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from pydantic import ValidationError

from atm.client.batches import BatchCalls
from atm.client.connection import TIMEOUT_SECONDS, Connection
from atm.client.events import SILENCE_SECONDS, MessageParser, follow_run, messages
from atm.client.schedules import ScheduleCalls
from atm.client.test_files import TestFileCalls
from atm.errors import ApiRefusedError, Problem
from atm.models.control.compare import CompareAnswer
from atm.models.control.first_design import SampledRequest
from atm.models.control.iterations import IterationSummary
from atm.models.control.keys import KeyCreated, KeyList, RoleName, SessionView
from atm.models.control.runs import ListChange, RunAccepted, RunList, RunSummaryView, RunView
from atm.models.control.series import IntervalsView
from atm.models.control.server import HealthView, ServerView
from atm.models.control.specs import CurlAnswer, ValidateAnswer
from atm.models.control.storage import StorageOverview, StorageStatusView
from atm.models.control.test_files import SavedTestView
from atm.models.control.tests import SyncAnswer, TestList, TestView
from atm.models.events import AnyRunEvent
from atm.models.run import RunResult, SampledExchange
from atm.models.samples import SampledIteration

PAGE = 200


class ControlClient:
    """Client of one server.

    Every method may raise ServerUnreachableError, SpecError with every problem if the server rejects the content,
    NotFoundError, ConflictError, StorageUnavailableError, and ApiRefusedError for any other error response.
    """

    def __init__(
        self, url: str, key: str | None = None, *, timeout: float = TIMEOUT_SECONDS, source: str = "api"
    ) -> None:
        """`url` with or without `/api/v1`; `timeout` in seconds per response. Raises ApiRefusedError for a bad URL.

        `source` is the origin that the history records for runs: `api`, or `mcp` for an agent.
        """
        self._connection = Connection(url, key, timeout, source)
        self.schedules = ScheduleCalls(self._connection)
        """Methods for schedules."""
        self.files = TestFileCalls(self._connection)
        """Methods for the files of stored tests."""
        self.batches = BatchCalls(self._connection)
        """Methods for batches of runs."""

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.base

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    # The server

    async def health(self) -> HealthView:
        """Return health and version."""
        return await self._connection.get(HealthView, "/health")

    async def session(self) -> SessionView:
        """Return the caller's identity and role."""
        return await self._connection.get(SessionView, "/session")

    async def storage_status(self) -> StorageStatusView:
        """Return kind, location, size and number of runs."""
        return await self._connection.get(StorageStatusView, "/storage/status")

    async def storage_overview(self, *, days: int = 30) -> StorageOverview:
        """Return the status, growth on each of the last `days` (1 to 92, UTC), the largest tests, and the retention."""
        return await self._connection.get(StorageOverview, "/storage/overview", {"days": days})

    async def server(self) -> ServerView:
        """Return version, engines and limits of the installation."""
        return await self._connection.get(ServerView, "/server")

    # Runs

    async def create_run(
        self,
        spec: Mapping[str, Any],
        *,
        tags: Sequence[str] = (),
        notes: str = "",
        test: str | None = None,
        idempotency_key: str | None = None,
    ) -> RunAccepted:
        """Start a run; with `test`, the spec may name files of that stored test.

        Requests with the same `idempotency_key` start it once; by default a new key is generated.
        """
        body = {"spec": dict(spec), "tags": list(tags), "notes": notes, "test": test}
        headers = {"Idempotency-Key": idempotency_key or secrets.token_urlsafe(16)}
        return await self._connection.send(RunAccepted, "POST", "/runs", body, headers=headers)

    async def rerun(self, run_id: str, *, tags: Sequence[str] | None = None, notes: str = "") -> RunAccepted:
        """Start a run with the spec and credentials of an earlier one; its tags unless `tags` is given."""
        body = {"tags": None if tags is None else list(tags), "notes": notes}
        return await self._connection.send(RunAccepted, "POST", f"/runs/{_segment(run_id)}/rerun", body)

    async def runs(
        self,
        *,
        limit: int = 50,
        offset: int = 0,
        cursor: str | None = None,
        begins: str | None = None,
        name: str | None = None,
        tag: str | None = None,
        status: str | None = None,
        passed: bool | None = None,
        outcome: str | None = None,
        measurement: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        text: str | None = None,
        order: str | None = None,
    ) -> RunList:
        """Return a page of runs, newest first unless `order` is `oldest`; filters are combined with AND.

        `begins` is a prefix of an id; `cursor` is `next` of the previous page.
        """
        query = {
            "limit": limit,
            "offset": offset or None,
            "cursor": cursor,
            "id": begins,
            "name": name,
            "tag": tag,
            "status": status,
            "passed": None if passed is None else str(passed).lower(),
            "outcome": outcome,
            "measurement": measurement,
            "since": since and since.isoformat(),
            "until": until and until.isoformat(),
            "text": text,
            "order": order,
        }
        return await self._connection.get(RunList, "/runs", query)

    async def all_runs(self, **filters: Any) -> AsyncIterator[RunSummaryView]:
        """Yield every run that matches the filters of `runs`, page by page, each once even if the list changes."""
        page = await self.runs(limit=PAGE, **filters)
        while True:
            for run in page.runs:
                yield run
            if page.next is None:
                return
            page = await self.runs(limit=PAGE, cursor=page.next, **filters)

    async def run(self, run_id: str) -> RunView:
        """Return a run without its intervals."""
        return await self._connection.get(RunView, f"/runs/{_segment(run_id)}")

    async def result(self, run_id: str) -> RunResult:
        """Return the result of a run. ConflictError before it has ended, or if nothing was measured."""
        return await self._connection.get(RunResult, f"/runs/{_segment(run_id)}/result")

    async def annotate(self, run_id: str, *, tags: Sequence[str] | None = None, notes: str | None = None) -> RunView:
        """Replace tags or notes."""
        given = {"tags": None if tags is None else list(tags), "notes": notes}
        body = {name: value for name, value in given.items() if value is not None}
        return await self._connection.send(RunView, "PATCH", f"/runs/{_segment(run_id)}", body)

    async def cancel(self, run_id: str, *, graceful: bool = False) -> RunAccepted:
        """Cancel a run, or with `graceful` stop it and let requests in flight finish."""
        query = {"graceful": "true"} if graceful else None
        return await self._connection.send(RunAccepted, "POST", f"/runs/{_segment(run_id)}/cancel", query=query)

    async def delete(self, run_id: str) -> None:
        """Delete a run with its intervals and samples. ConflictError while it is in progress."""
        await self._connection.delete(f"/runs/{_segment(run_id)}")

    async def compare(self, a: str, b: str) -> CompareAnswer:
        """Compare two runs."""
        return await self._connection.get(CompareAnswer, "/compare", {"a": a, "b": b})

    # Seconds, samples, events

    async def intervals(
        self,
        run_id: str,
        *,
        start: int = 0,
        end: int | None = None,
        resolution: int | None = None,
        endpoints: Sequence[str] = (),
        merge: bool = False,
    ) -> IntervalsView:
        """Return a window of a run in points of `resolution` seconds.

        One of 1, 10, 60, 600 and 3600; 0 gives one point, None chooses by the length of the window.
        """
        query = {
            "start": start or None,
            "end": end,
            "resolution": "auto" if resolution is None else str(resolution),
            "endpoint": list(endpoints) or None,
            "merge": "true" if merge else None,
        }
        return await self._connection.get(IntervalsView, f"/runs/{_segment(run_id)}/intervals", query)

    async def samples(
        self,
        run_id: str,
        *,
        endpoint: str | None = None,
        outcome: str | None = None,
        status: int | None = None,
        reason: str | None = None,
        minimum_ms: float | None = None,
        start: int = 0,
        end: int | None = None,
    ) -> list[SampledExchange]:
        """Return the sampled requests that match; `start` and `end` (exclusive) are seconds in which they finished."""
        query = {
            "endpoint": endpoint,
            "outcome": outcome,
            "status": status,
            "reason": reason,
            "minimum_ms": minimum_ms,
            "start": start or None,
            "end": end,
        }
        return await self._connection.list_of(SampledExchange, f"/runs/{_segment(run_id)}/samples", query)

    async def request(
        self, run_id: str, number: int, *, endpoint: str | None = None, nth: int | None = None
    ) -> SampledRequest:
        """Return the sampled request with this number. Raises NotFoundError.

        In a run of scenarios several have the number of their iteration: `endpoint` and `nth` (from 1) tell which one.
        """
        query = {"endpoint": endpoint, "nth": nth}
        return await self._connection.get(SampledRequest, f"/runs/{_segment(run_id)}/requests/{number}", query)

    async def iterations(
        self, run_id: str, *, scenario: str | None = None, reason: str | None = None
    ) -> list[IterationSummary]:
        """Return the sampled iterations that match, without their requests."""
        query = {"scenario": scenario, "reason": reason}
        return await self._connection.list_of(IterationSummary, f"/runs/{_segment(run_id)}/iterations", query)

    async def iteration(self, run_id: str, number: int, *, scenario: str | None = None) -> SampledIteration:
        """Return the sampled iteration with this number. Raises NotFoundError."""
        path = f"/runs/{_segment(run_id)}/iterations/{number}"
        return await self._connection.get(SampledIteration, path, {"scenario": scenario})

    def watch(self, run_id: str, after: int = 0) -> AsyncIterator[AnyRunEvent]:
        """Yield every event of a run after sequence number `after`, each once and in order; reconnects as needed."""
        return follow_run(self._connection, _segment(run_id), after)

    async def changes(self) -> AsyncIterator[ListChange]:
        """Yield the newest runs, then runs that are new, changed or deleted, until the server shuts down.

        Raises ServerUnreachableError when the connection is lost.
        """
        parser = MessageParser()
        headers = {"Accept": "text/event-stream"}
        async with self._connection.stream("/events", headers=headers, silence_seconds=SILENCE_SECONDS) as response:
            received = messages(response, parser)
            while True:
                with self._connection.as_unreachable():
                    message = await anext(received, None)
                if message is None:
                    return
                try:
                    change = ListChange.model_validate_json(message.data)
                except ValidationError as error:
                    what = f"the server sent an event {message.event!r} that this version cannot read"
                    raise ApiRefusedError(Problem(what, "unknown_event")) from error
                yield change

    # Specs

    async def validate(self, spec: Mapping[str, Any], *, test: str | None = None) -> ValidateAnswer:
        """Validate a spec on the server, with its forecast; with `test`, it may name files of that stored test."""
        body = {"spec": dict(spec), "test": test}
        return await self._connection.send(ValidateAnswer, "POST", "/specs/validate", body)

    async def import_curl(self, command: str, *, name: str | None = None) -> CurlAnswer:
        """Convert a curl command into a spec."""
        body = {"command": command, **({"name": name} if name else {})}
        return await self._connection.send(CurlAnswer, "POST", "/import/curl", body)

    # Tests

    async def tests(self) -> TestList:
        """Return the stored tests."""
        return await self._connection.get(TestList, "/tests")

    async def test(self, test: str) -> TestView:
        """Return a test by id or name."""
        return await self._connection.get(TestView, f"/tests/{_segment(test)}")

    async def create_test(
        self, spec: Mapping[str, Any], *, description: str = "", enabled: bool = True, tags: Sequence[str] = ()
    ) -> SavedTestView:
        """Store a test under the name of its spec."""
        return await self._connection.send(SavedTestView, "POST", "/tests", _test(spec, description, enabled, tags))

    async def replace_test(
        self,
        test: str,
        spec: Mapping[str, Any],
        *,
        description: str = "",
        enabled: bool = True,
        tags: Sequence[str] = (),
    ) -> SavedTestView:
        """Replace a test; its files stay, and credentials sent as `***` are unchanged."""
        body = _test(spec, description, enabled, tags)
        return await self._connection.send(SavedTestView, "PUT", f"/tests/{_segment(test)}", body)

    async def enable_test(self, test: str, *, enabled: bool = True) -> TestView:
        """Enable or disable a test."""
        return await self._connection.send(TestView, "POST", f"/tests/{_segment(test)}/enabled", {"enabled": enabled})

    async def delete_test(self, test: str) -> None:
        """Delete a test and its files. Its runs stay."""
        await self._connection.delete(f"/tests/{_segment(test)}")

    async def run_test(self, test: str) -> RunAccepted:
        """Start a run of a test."""
        return await self._connection.send(RunAccepted, "POST", f"/tests/{_segment(test)}/run")

    async def tests_report(self, *, tag: str | None = None) -> bytes:
        """Return a PDF over the stored tests, or those with a tag."""
        query = f"?tag={quote(tag, safe='')}" if tag else ""
        async with self._connection.stream(f"/tests/report{query}", headers={"Accept": "*/*"}) as response:
            return b"".join([chunk async for chunk in response.aiter_bytes()])

    async def sync_tests(self) -> SyncAnswer:
        """Store a test for each test name in the history that has none."""
        return await self._connection.send(SyncAnswer, "POST", "/tests/sync")

    # Keys: for admins

    async def keys(self) -> KeyList:
        """Return all API keys, including revoked ones."""
        return await self._connection.get(KeyList, "/keys")

    async def create_key(self, name: str, role: RoleName = "operator") -> KeyCreated:
        """Create a key. Only this response contains it."""
        return await self._connection.send(KeyCreated, "POST", "/keys", {"name": name, "role": role})

    async def revoke_key(self, key: str) -> None:
        """Revoke a key by id or name."""
        await self._connection.delete(f"/keys/{_segment(key)}")

    # Bundles

    async def export_run(self, run_id: str) -> AsyncIterator[bytes]:
        """Yield the bundle of a run that has ended, in chunks."""
        async with self._connection.stream(f"/runs/{_segment(run_id)}/bundle", headers={"Accept": "*/*"}) as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    async def import_run(self, bundle: bytes, *, new_id: str | None = None) -> RunView:
        """Store the run of a bundle on the server, under its own id or a new one."""
        return await self._connection.upload(RunView, "/import/bundle", bundle, {"id": new_id})


def _segment(text: str) -> str:
    """Quote one segment of a path."""
    return quote(text, safe="")


def _test(spec: Mapping[str, Any], description: str, enabled: bool, tags: Sequence[str]) -> dict[str, Any]:
    return {"spec": dict(spec), "description": description, "enabled": enabled, "tags": list(tags)}
