"""`StorageInterface`: the contract of all storages, in small protocols.

    StorageInterface
    ├── runs       RunStore         create, list, annotate and delete runs
    ├── leases     LeaseStore       ownership of running runs: claims, expiry, cancel requests, the end
    ├── series     SeriesStore      time series: intervals, windows, events, samples
    ├── tests      TestConfigStore  saved tests
    ├── files      TestFileStore    data files of saved tests (`test_files.py`)
    ├── keys       ApiKeyStore      API keys, by their hash
    ├── sessions   SessionStore     browser sessions (`access.py`)
    ├── audit      AuditStore       the audit log (`access.py`)
    ├── schedules  ScheduleStore    schedules and their firings (`schedules.py`)
    ├── deliveries DeliveryStore    queued notifications (`schedules.py`)
    └── upkeep     Upkeep           retention, resealing and status

For all of them: a method that returns has committed, so that a kill -9 right after loses nothing. Errors are those of
`atm.errors`: any method raises StorageUnavailableError when storage cannot be read or written (retry later), and
CorruptDataError for damaged data. Several processes may use one storage concurrently; an object belongs to one event
loop. Methods do not read a clock: times are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

from atm.dataclass import dataclass
from atm.metrics.interval import HISTOGRAMS, Interval
from atm.models.outcome import RunStatus
from atm.models.run import RunResult
from atm.models.samples import SampledExchange, SampledIteration
from atm.storage.access import AuditStore, SessionStore
from atm.storage.api_keys import ApiKey
from atm.storage.records import (
    BatchPage,
    CancelRequest,
    Created,
    Finish,
    Lease,
    LeaseState,
    NewRun,
    Run,
    RunControl,
    RunEvent,
    RunPage,
    RunQuery,
    RunSummary,
    SampleQuery,
    StoredBatch,
)
from atm.storage.result import StoredSample
from atm.storage.schedules import DeliveryStore, ScheduleStore
from atm.storage.series.rows import GeneratorPoint, IntervalPoint
from atm.storage.series.scenario_rows import ScenarioPoints
from atm.storage.series.windows import Window
from atm.storage.test_configs import TestConfig, TestInHistory
from atm.storage.test_files import TestFileStore
from atm.storage.upkeep import PruneReport, RetentionPolicy, StorageStatus

MAXIMUM_PAGE = 1000
"""The maximum length of one page; larger limits are reduced to it."""


class RunStore(Protocol):
    """The store of runs."""

    async def create(self, run: NewRun) -> Created:
        """Store a pending run.

        For an idempotency key that was used with the same digest, returns the run created then, also under concurrent
        calls from several processes. Raises ConflictError: `idempotency_conflict` (same key, another digest),
        `run_exists` (same id), `invalid_id`.
        """
        ...

    async def get(self, run_id: str) -> Run:
        """Return a run. Raises NotFoundError."""
        ...

    async def get_many(self, ids: Sequence[str]) -> dict[str, Run]:
        """Return the runs with these ids, without those that do not exist."""
        ...

    async def result(self, run_id: str) -> RunResult | None:
        """Return the result of a run; None before its end, or when nothing was measured. Raises NotFoundError."""
        ...

    async def results(self, ids: Sequence[str]) -> dict[str, RunResult]:
        """Return the results of these runs, without those that have none."""
        ...

    async def find(self, prefix: str, limit: int = 10) -> tuple[str, ...]:
        """Return the ids that begin with `prefix`, sorted; users type the start of an id."""
        ...

    async def page(self, query: RunQuery) -> RunPage:
        """Return a page of runs by creation and id, newest first by default, without reading documents."""
        ...

    async def batches(self, limit: int = 50, offset: int = 0) -> BatchPage:
        """Return a page of the batches that still have runs, newest first."""
        ...

    async def batch(self, batch_id: str) -> StoredBatch | None:
        """Return a batch; None if it has no runs."""
        ...

    async def newest(self, names: Sequence[str], limit: int) -> dict[str, tuple[RunSummary, ...]]:
        """Return the newest runs with each of these names, newest first; no entry for a name without runs."""
        ...

    async def annotate(self, run_id: str, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Run:
        """Replace notes or tags (None: unchanged). Tags are sorted and deduplicated. Raises NotFoundError."""
        ...

    async def delete(self, run_id: str) -> None:
        """Delete the run and all its history. Raises NotFoundError, and ConflictError `run_is_running`."""
        ...

    async def counts(self) -> dict[RunStatus, int]:
        """Return the number of runs for every status, including 0."""
        ...

    async def restore(self, run: Run, result: RunResult | None, history: Iterable[RunSeries]) -> None:
        """Store an ended run with its history atomically, for imports and command-line runs.

        `history` comes in parts, in order, and is consumed once in a thread, so that a long one is never in memory as a
        whole. It is not read when the run exists already. Raises ConflictError `run_exists` or `run_not_finished`.
        """
        ...


@dataclass(frozen=True, slots=True)
class RunSeries:
    """The time series of a run, or the next part of it."""

    intervals: tuple[Interval, ...] = ()
    events: tuple[RunEvent, ...] = ()
    samples: tuple[StoredSample, ...] = ()
    """Samples of a run without a result; a result contains its own."""


class LeaseStore(Protocol):
    """Ownership of running runs.

    A claim is atomic across processes. A claimed run is `running`; its `started_at` is null until the load starts. The
    store has no clock: observers decide by their own clock when a lease with an unchanged beat has expired.
    """

    async def claim(self, owner: str, token: str, maximum: int) -> Run | None:
        """Claim the oldest pending run for `token`; None when none is pending or `maximum` are running.

        The caller chooses tokens, and never uses one twice. Concurrent calls never claim a run twice, or exceed
        `maximum`.
        """
        ...

    async def begin(self, run: NewRun, owner: str, token: str) -> Run:
        """Store a run as running, owned by `token`, bypassing the queue. Raises as `RunStore.create`."""
        ...

    async def renew(self, lease: Lease) -> RunControl:
        """Increment the beat. Raises StaleLeaseError."""
        ...

    async def control(self, run_id: str) -> RunControl:
        """Return the control state that recorders poll several times a second; cheap. Raises NotFoundError."""
        ...

    async def started(self, lease: Lease, at: datetime, engine: str) -> None:
        """Record the start of the load. Raises StaleLeaseError."""
        ...

    async def finish(self, lease: Lease, finish: Finish) -> None:
        """End the run and its lease. Raises StaleLeaseError (also when it had ended before)."""
        ...

    async def states(self) -> tuple[LeaseState, ...]:
        """Return the lease states of all running runs, for observers."""
        ...

    async def expire(self, seen: LeaseState, reason: str, at: datetime) -> bool:
        """Fail the run with this reason if token and beat are still as seen; return whether that was so.

        Later writes with that token are refused. Data already written stays.
        """
        ...

    async def request_cancel(self, run_id: str, how: CancelRequest, at: datetime) -> RunStatus:
        """Request the end of a running run; a pending one is cancelled at once. Return the resulting status.

        No-op for an ended run. Raises NotFoundError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """Data appended at once, atomically on a database.

    Intervals and samples are numbered from 0, events from 1, each without gaps. Data already stored is skipped, so a
    spool can be replayed from any position.
    """

    first_interval: int = 0
    intervals: tuple[Interval, ...] = ()
    events: tuple[RunEvent, ...] = ()
    first_sample: int = 0
    samples: tuple[StoredSample, ...] = ()
    requests_completed: int | None = None
    """Total so far; None leaves it unchanged."""


@dataclass(frozen=True, slots=True)
class Written:
    """The write position of a run: numbers of the next interval, the last event and the next sample."""

    next_interval: int
    last_event: int
    next_sample: int


class SeriesStore(Protocol):
    """Time series of runs: intervals and aggregates of them, events, samples; empty for a missing run."""

    async def append(self, lease: Lease, batch: Batch) -> Written:
        """Append the part of the batch that is not stored yet.

        Raises StaleLeaseError, and ConflictError `sequence_gap`, without writing, when the batch does not continue the
        stored data.
        """
        ...

    async def written(self, run_id: str) -> Written:
        """Return the write position. Raises NotFoundError."""
        ...

    async def intervals(self, run_id: str, start: int = 0, end: int | None = None) -> list[Interval]:
        """Return the intervals of [start, end) without samples, endpoints in order, warm-up first; none if pruned."""
        ...

    async def points(
        self,
        run_id: str,
        resolution: int,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
    ) -> list[IntervalPoint]:
        """Return chart points of `resolution` seconds that begin in [start, end).

        `resolution` is one of 1, 10, 60, 600 and 3600, or 0 for the whole run.
        `endpoints` are indices into the plan's endpoints; None gives all of them combined (`ALL`, which may also be in
        the list). The last row of a running run may be incomplete. Raises ValueError for another resolution.
        """
        ...

    async def generator(
        self, run_id: str, resolution: int, start: int = 0, end: int | None = None
    ) -> list[GeneratorPoint]:
        """Return the points of the load generator; otherwise as `points`."""
        ...

    async def scenarios(
        self, run_id: str, resolution: int, scenarios: int, start: int = 0, end: int | None = None
    ) -> ScenarioPoints:
        """Return the points of the first `scenarios` scenarios, of all checks, and of the metrics of the test.

        Otherwise as `points`.
        """
        ...

    async def window(
        self,
        run_id: str,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
        histograms: Sequence[str] = HISTOGRAMS,
        scenarios: int | None = None,
    ) -> Window:
        """Return counts and histograms merged over [start, end), for percentiles within 0.1 % of a sample.

        `histograms` names those of endpoints to read; fewer are faster. `scenarios` is the number of scenarios to
        merge too, with all checks and the metrics that the test declares.
        """
        ...

    async def events(self, run_id: str, after: int = 0, limit: int = MAXIMUM_PAGE) -> list[RunEvent]:
        """Return the events after a sequence number, in order."""
        ...

    async def samples(self, run_id: str, query: SampleQuery | None = None) -> list[SampledExchange]:
        """Return the sampled requests of the result of a finished run, or those appended so far."""
        ...

    async def sampled_iterations(self, run_id: str) -> list[SampledIteration]:
        """Return the sampled iterations of the result of a finished run, or those appended so far."""
        ...


class TestConfigStore(Protocol):
    """The store of saved tests; ids and names are unique."""

    async def add(self, config: TestConfig) -> None:
        """Add a test. Raises ConflictError `name_taken`, `invalid_id`."""
        ...

    async def get(self, config_id: str) -> TestConfig:
        """Return the test with this id. Raises NotFoundError."""
        ...

    async def named(self, name: str) -> TestConfig | None:
        """Return the test with this name, or None."""
        ...

    async def all(self) -> tuple[TestConfig, ...]:
        """Return all tests, ordered by name."""
        ...

    async def replace(self, config: TestConfig) -> None:
        """Replace the test with this id. Raises NotFoundError, ConflictError `name_taken`."""
        ...

    async def delete(self, config_id: str) -> None:
        """Delete a test and its files. Raises NotFoundError."""
        ...

    async def in_history(self) -> tuple[TestInHistory, ...]:
        """Return the distinct test names in the history, ordered by name, with their newest runs."""
        ...


class ApiKeyStore(Protocol):
    """The store of API keys by hash, so that a copy of the storage grants no access."""

    async def add(self, key: ApiKey) -> None:
        """Add a key. Raises ConflictError `name_taken` (an active key has a look-alike name), `invalid_id`."""
        ...

    async def by_hash(self, key_hash: str) -> ApiKey | None:
        """Return the key with this hash, or None if there is none or it is revoked."""
        ...

    async def all(self) -> tuple[ApiKey, ...]:
        """Return all keys, including revoked ones, by creation."""
        ...

    async def used(self, key_id: str, at: datetime) -> None:
        """Record a use; no-op for a deleted key."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> None:
        """Revoke a key, so that `by_hash` no longer returns it; idempotent. Raises NotFoundError."""
        ...

    async def is_closed(self) -> bool:
        """Return whether a key is required: from the first key until `release`, even when all are revoked."""
        ...

    async def release(self, at: datetime) -> None:
        """Stop requiring a key. Raises ConflictError `keys_in_use` while there is an active one."""
        ...


Reseal = Callable[[bytes], bytes | None]
"""Returns sealed credentials sealed again with the current key, or None when they are already."""


class Upkeep(Protocol):
    """Retention, storage status, and resealing with a new key."""

    async def reseal(self, reseal: Reseal) -> int:
        """Replace each sealed value by the result of `reseal`; return how many were replaced.

        Values are replaced one by one: after a kill, call again to continue. A value that was changed concurrently is
        left alone. Raises the errors of `reseal`.
        """
        ...

    async def prune(self, policy: RetentionPolicy, now: datetime, *, dry_run: bool = False) -> PruneReport:
        """Remove data beyond the limits of the policy. Runs that have not ended are never touched."""
        ...

    async def status(self) -> StorageStatus:
        """Return kind, location, size and number of runs. Reads the storage, so it also checks that it works."""
        ...


class StorageInterface(Protocol):
    """A storage, as drawn above; opened by `atm.storage.open_storage`."""

    @property
    def runs(self) -> RunStore: ...
    @property
    def leases(self) -> LeaseStore: ...
    @property
    def series(self) -> SeriesStore: ...
    @property
    def tests(self) -> TestConfigStore: ...
    @property
    def files(self) -> TestFileStore: ...
    @property
    def keys(self) -> ApiKeyStore: ...
    @property
    def sessions(self) -> SessionStore: ...
    @property
    def audit(self) -> AuditStore: ...
    @property
    def schedules(self) -> ScheduleStore: ...
    @property
    def deliveries(self) -> DeliveryStore: ...
    @property
    def upkeep(self) -> Upkeep: ...

    async def close(self) -> None:
        """Close files and connections, without writing anything."""
        ...
