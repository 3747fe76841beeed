"""Run operations: create, cancel, rerun, delete, annotate.

Each returns once its change is in storage; the supervisor starts the runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from atm.clock import Clock, SystemClock
from atm.config import Settings
from atm.dataclass import dataclass
from atm.engine.executor import new_run_id
from atm.models.outcome import RunStatus
from atm.off_loop import off_loop
from atm.plan.compile import CompiledTest
from atm.plan.forecast import concurrency_of
from atm.plan.spec_mask import shown_url
from atm.runs import credentials
from atm.runs.spec_compiler import SpecCompiler
from atm.runs.test_files import TestFiles
from atm.storage import StorageInterface
from atm.storage.records import CancelRequest, Created, NewRun, Run, RunBatch, RunSource, checked_tags
from atm.storage.seal import Sealer


@dataclass(frozen=True, slots=True)
class Request:
    """The options of a new run besides its spec."""

    tags: Sequence[str] = ()
    notes: str = ""
    idempotency_key: str | None = None
    source: RunSource = RunSource.API
    batch: RunBatch | None = None
    """The batch of runs that it is started with."""
    batch_options: str = ""
    """What else a repeated request for the batch must have in common."""
    files: TestFiles | None = None
    """The files that the spec may name."""


class RunService:
    """The operations on runs, shared by the API and the scheduler."""

    def __init__(
        self,
        storage: StorageInterface,
        settings: Settings,
        sealer: Sealer,
        *,
        on_pending: Callable[[], None] = lambda: None,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """`on_pending` is called when a run is pending (see `Supervisor.notify`)."""
        self._storage = storage
        self._sealer = sealer
        self.compiler = SpecCompiler(settings, os.environ if environment is None else environment)
        self._on_pending = on_pending
        self._clock = clock or SystemClock()

    async def files_of(self, test_id: str) -> TestFiles:
        """Return the present files of a saved test."""
        files = await self._storage.files.of_test(test_id)
        return self._files({file.name: file.digest for file in files})

    def _files(self, versions: Mapping[str, str]) -> TestFiles:
        return TestFiles(versions, self._storage.files.read, asyncio.get_running_loop())

    def compile(self, spec: Mapping[str, Any], files: TestFiles | None = None) -> CompiledTest:
        """Check a spec as `create` does. Raises SpecError with every problem, and CapabilityError."""
        return self.compiler.check(spec, files).test

    async def create(self, spec: Mapping[str, Any], request: Request | None = None) -> Created:
        """Store a new run as pending.

        Raises SpecError and CapabilityError for the spec, ConflictError (`idempotency_conflict`) for a key that was
        used with another request.
        """
        created = await self._storage.runs.create(await off_loop(self.prepare, spec, request))
        if created.is_new:
            self._on_pending()
        return created

    def prepare(self, spec: Mapping[str, Any], request: Request | None = None) -> NewRun:
        """Return the run that `create` would store, for callers that store it in a larger transaction.

        Raises SpecError and CapabilityError for the spec.
        """
        credentials.reject_masks(spec)
        request = request or Request()
        checked = self.compiler.check(spec, request.files)
        return self._new_run(checked.test, checked.test.spec.to_data(), checked.used_files, request)

    async def rerun(
        self, run_id: str, request: Request | None = None, edited: Mapping[str, Any] | None = None
    ) -> Created:
        """Create a run from the spec of another, or from an edited copy in which `***` refers to its credentials.

        Raises NotFoundError, and as `create`.
        """
        run = await self._storage.runs.get(run_id)
        options = request or Request(tags=run.summary.tags)
        if run.files:
            options = replace(options, files=self._files(run.files))
        if edited is None:
            return await self.create(credentials.unseal(self._sealer, run.spec, run.sealed), options)
        before = credentials.known_spec(self._sealer, run.spec, run.sealed)
        return await self.create(
            await off_loop(credentials.restored, edited, before, partial(self.compile, files=options.files)), options
        )

    async def cancel(self, run_id: str, *, graceful: bool = False) -> RunStatus:
        """Request the end of a run and return its status; a pending run is cancelled at once, an ended one unchanged.

        Raises NotFoundError.
        """
        how = CancelRequest.GRACEFUL if graceful else CancelRequest.NOW
        return await self._storage.leases.request_cancel(run_id, how, self._clock.now())

    async def delete(self, run_id: str) -> None:
        """Delete a run and its history. Raises NotFoundError, ConflictError `run_is_running`."""
        await self._storage.runs.delete(run_id)

    async def annotate(self, run_id: str, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Run:
        """Replace notes or tags (None: unchanged). Raises NotFoundError, ConflictError `invalid_tag`."""
        return await self._storage.runs.annotate(run_id, notes=notes, tags=None if tags is None else checked_tags(tags))

    def _new_run(
        self, test: CompiledTest, full_spec: Mapping[str, Any], files: Mapping[str, str], request: Request
    ) -> NewRun:
        spec = test.spec
        first = spec.endpoints[0] if spec.endpoints else spec
        plan = test.plan
        return NewRun(
            id=new_run_id(),
            name=spec.name,
            url=shown_url(first.url or "", spec.variables),
            method=first.method,
            created_at=self._clock.now(),
            spec=test.data,
            total_requests=plan.total,
            concurrency=concurrency_of(test.plan),
            source=request.source,
            tags=checked_tags(request.tags),
            notes=request.notes,
            batch=request.batch,
            sealed=credentials.seal(self._sealer, full_spec),
            idempotency_key=request.idempotency_key,
            request_digest=_request_digest(full_spec, files, request) if request.idempotency_key else "",
            files=files,
        )


def _request_digest(spec: Mapping[str, Any], files: Mapping[str, str], request: Request) -> str:
    document = [spec, sorted(request.tags), request.notes, *([dict(files)] if files else [])]
    document += [request.batch_options] if request.batch_options else []
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
