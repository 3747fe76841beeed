"""What can be asked about runs: accept one, cancel it, run it again, delete it, annotate it.

Everything here answers after it is in storage; who carries a run out is the supervisor's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from atm.clock import Clock, SystemClock
from atm.config import Settings
from atm.engine.choose import choose_engine
from atm.engine.executor import new_run_id
from atm.models.outcome import RunStatus
from atm.off_loop import off_loop
from atm.plan.compile import CompiledTest
from atm.plan.forecast import concurrency_of
from atm.plan.spec_mask import shown_url
from atm.runs import credentials
from atm.runs.policy import Policy
from atm.storage import StorageInterface
from atm.storage.records import CancelRequest, Created, NewRun, Run, RunBatch, RunSource, checked_tags
from atm.storage.seal import Sealer


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for with a new run, beside its spec."""

    tags: Sequence[str] = ()
    notes: str = ""
    idempotency_key: str | None = None
    source: RunSource = RunSource.API
    batch: RunBatch | None = None
    """The runs that it is started together with."""


class RunService:
    """Runs, as the front doors ask for them."""

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
        """`on_pending` is called when a run waits to be claimed (see `Supervisor.notify`)."""
        self._storage = storage
        self._sealer = sealer
        self._policy = Policy.of(settings)
        self._on_pending = on_pending
        self._environment = os.environ if environment is None else environment
        self._clock = clock or SystemClock()

    def compile(self, spec: Mapping[str, Any]) -> CompiledTest:
        """Check a spec as `create` does. Raises SpecError with every problem, and CapabilityError."""
        test = self._policy.compile(spec, self._environment, secrets.randbits(32))
        choose_engine(test.plan)
        return test

    async def create(self, spec: Mapping[str, Any], request: Request | None = None) -> Created:
        """Accept a run: it is stored as pending.

        Raises SpecError and CapabilityError for the spec, ConflictError (`idempotency_conflict`) for a key that came
        with something else before.
        """
        created = await self._storage.runs.create(await off_loop(self.prepare, spec, request))
        if created.is_new:
            self._on_pending()
        return created

    def prepare(self, spec: Mapping[str, Any], request: Request | None = None) -> NewRun:
        """The run that `create` would store, for whoever stores it together with something else.

        Raises SpecError and CapabilityError for the spec.
        """
        credentials.reject_masks(spec)
        test = self.compile(spec)
        return self._new_run(test, test.spec.to_data(), request or Request())

    async def rerun(
        self, run_id: str, request: Request | None = None, edited: Mapping[str, Any] | None = None
    ) -> Created:
        """The same spec once more, with the credentials of that run; or an edited one, in which `***` stands for them.

        Raises NotFoundError, and as `create`.
        """
        run = await self._storage.runs.get(run_id)
        asked = request or Request(tags=run.summary.tags)
        if edited is None:
            return await self.create(credentials.unseal(self._sealer, run.spec, run.sealed), asked)
        known = credentials.known(self._sealer, run.spec, run.sealed)
        return await self.create(await off_loop(credentials.restored, edited, known, self.compile), asked)

    async def cancel(self, run_id: str, *, graceful: bool = False) -> RunStatus:
        """Ask a run to end; a pending one is cancelled at once, one that has ended stays as it is.

        Gives the status after it. Raises NotFoundError.
        """
        how = CancelRequest.GRACEFUL if graceful else CancelRequest.NOW
        return await self._storage.leases.request_cancel(run_id, how, self._clock.now())

    async def delete(self, run_id: str) -> None:
        """Delete a run and its history. Raises NotFoundError, ConflictError `run_is_running`."""
        await self._storage.runs.delete(run_id)

    async def annotate(self, run_id: str, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Run:
        """Replace notes or tags (None: as they are). Raises NotFoundError, ConflictError `invalid_tag`."""
        return await self._storage.runs.annotate(run_id, notes=notes, tags=None if tags is None else checked_tags(tags))

    def _new_run(self, test: CompiledTest, whole: Mapping[str, Any], asked: Request) -> NewRun:
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
            total_requests=plan.total_requests,
            concurrency=concurrency_of(test.plan),
            source=asked.source,
            tags=checked_tags(asked.tags),
            notes=asked.notes,
            batch=asked.batch,
            sealed=credentials.seal(self._sealer, whole),
            idempotency_key=asked.idempotency_key,
            request_digest=_digest(whole, asked) if asked.idempotency_key else "",
        )


def _digest(spec: Mapping[str, Any], asked: Request) -> str:
    document = [spec, sorted(asked.tags), asked.notes]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
