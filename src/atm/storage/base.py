"""`StorageInterface`: what every storage can do, in small protocols, each with its contract.

    StorageInterface
    ├── runs       RunStore         runs as they are created, listed, annotated, deleted
    ├── leases     LeaseStore       who may write to a running run; claims, expiry, cancel requests, the end
    ├── series     SeriesStore      second by second: intervals, windows, events, samples
    ├── tests      TestConfigStore  tests that are kept to be run again
    ├── keys       ApiKeyStore      API keys, by their hash
    ├── sessions   SessionStore     browsers that were let in by a key (`access.py`)
    ├── audit      AuditStore       who did what (`access.py`)
    ├── schedules  ScheduleStore    schedules and their firings (`scheduling.py`)
    ├── deliveries DeliveryStore    notifications on their way (`scheduling.py`)
    └── upkeep     Upkeep           retention and status

Holds for all of them: a method that returns has committed, so that kill -9 a moment later loses nothing. Errors are
those of `atm.errors`: StorageUnavailableError where nothing could be written or read (any method; try again later),
CorruptDataError where what was read makes no sense. Several processes may use one storage at the same time; an object
belongs to one event loop. Nothing reads a clock: times are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from atm.metrics.interval import HISTOGRAMS, Interval
from atm.models.outcome import RunStatus
from atm.models.run import RunResult, SampledExchange
from atm.storage.access import AuditStore, SessionStore
from atm.storage.records import (
    ApiKey,
    CancelRequest,
    Created,
    Finish,
    Lease,
    LeaseState,
    NewRun,
    PruneReport,
    RetentionPolicy,
    Run,
    RunControl,
    RunEvent,
    RunPage,
    RunQuery,
    SampleQuery,
    StorageStatus,
    TestConfig,
    TestInHistory,
)
from atm.storage.schedules import DeliveryStore, ScheduleStore
from atm.storage.series.rows import GeneratorPoint, IntervalPoint
from atm.storage.series.windows import Window

MAXIMUM_PAGE = 1000
"""The most that one call lists; larger limits are cut to it."""


class RunStore(Protocol):
    """Runs as they are created, listed, annotated and deleted."""

    async def create(self, run: NewRun) -> Created:
        """Store a pending run.

        The same idempotency key with the same digest gives the run that it made before, however often and from however
        many processes at once. Raises ConflictError: `idempotency_conflict` (same key, another digest), `run_exists`
        (same id), `invalid_id`.
        """
        ...

    async def get(self, run_id: str) -> Run:
        """The run. Raises NotFoundError."""
        ...

    async def result(self, run_id: str) -> RunResult | None:
        """What the run left behind; null while it has not ended, or could not measure. Raises NotFoundError."""
        ...

    async def find(self, prefix: str, limit: int = 10) -> tuple[str, ...]:
        """Ids that begin with `prefix`, in their order; what people type is the start of an id."""
        ...

    async def page(self, query: RunQuery) -> RunPage:
        """Runs by creation (and id), newest first unless asked otherwise. Reads no document."""
        ...

    async def annotate(self, run_id: str, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Run:
        """Replace notes or tags (null: as they are). Tags are kept sorted, each once. Raises NotFoundError."""
        ...

    async def delete(self, run_id: str) -> None:
        """Delete the run and all its history. Raises NotFoundError, and ConflictError `run_is_running`."""
        ...

    async def counts(self) -> dict[RunStatus, int]:
        """How many runs there are of every status, also 0."""
        ...

    async def restore(self, run: Run, result: RunResult | None, history: Iterable[RunSeries]) -> None:
        """Store a run that has ended, with its history, all or nothing: imports, and runs of the command line.

        `history` comes in parts, in order, and is read once, in a thread: a long one is never in memory as a whole. It
        is not read where the run is there already.
        Raises ConflictError `run_exists` or `run_not_finished`.
        """
        ...


@dataclass(frozen=True, slots=True)
class RunSeries:
    """The second-by-second history of a run, or the next part of it."""

    intervals: tuple[Interval, ...] = ()
    events: tuple[RunEvent, ...] = ()
    samples: tuple[SampledExchange, ...] = ()
    """Of a run that has no result; a result brings its own."""


class LeaseStore(Protocol):
    """Who may write to a running run.

    Claiming is one transaction over all processes. What is claimed is `running`; its `started_at` is null until the
    load begins. There is no clock in here: whoever watches judges by its own when a beat has stood still for too long.
    """

    async def claim(self, owner: str, token: str, maximum: int) -> Run | None:
        """Make the oldest pending run running, owned by `token`; null when none is pending or `maximum` are running.

        Tokens are chosen by the caller and never used twice. With any number of callers at once no run is given out
        twice, and never do more than `maximum` run.
        """
        ...

    async def begin(self, run: NewRun, owner: str, token: str) -> Run:
        """Store a run that is running already, owned by `token`, outside the queue. Raises as `RunStore.create`."""
        ...

    async def renew(self, lease: Lease) -> RunControl:
        """Raise the beat by one. Raises StaleLeaseError."""
        ...

    async def control(self, run_id: str) -> RunControl:
        """What a runner asks for several times a second; one small read. Raises NotFoundError."""
        ...

    async def started(self, lease: Lease, at: datetime, engine: str) -> None:
        """The load has begun. Raises StaleLeaseError."""
        ...

    async def finish(self, lease: Lease, finish: Finish) -> None:
        """The end of the run; the lease ends with it. Raises StaleLeaseError (also when it had ended before)."""
        ...

    async def states(self) -> tuple[LeaseState, ...]:
        """All running runs, for those who watch them."""
        ...

    async def expire(self, seen: LeaseState, reason: str, at: datetime) -> bool:
        """End the run as failed with this reason, if token and beat are still as they were seen; false if not.

        Every later write with that token is refused. What was written stays.
        """
        ...

    async def request_cancel(self, run_id: str, how: CancelRequest, at: datetime) -> RunStatus:
        """Ask a running run to end; a pending one is cancelled at once. Gives the status after it.

        Of a run that has ended nothing changes. Raises NotFoundError.
        """
        ...


@dataclass(frozen=True, slots=True)
class Batch:
    """What a runner writes at once, all or nothing on a database.

    Intervals and samples are numbered from 0, events from 1, each without gaps. What is stored already is left out, so
    a spool can be replayed from anywhere.
    """

    first_interval: int = 0
    intervals: tuple[Interval, ...] = ()
    events: tuple[RunEvent, ...] = ()
    first_sample: int = 0
    samples: tuple[SampledExchange, ...] = ()
    requests_completed: int | None = None
    """So far in all; null leaves it as it is."""


@dataclass(frozen=True, slots=True)
class Written:
    """How far a run is written: the numbers of the next interval and the next sample, and of the last event."""

    next_interval: int
    last_event: int
    next_sample: int


class SeriesStore(Protocol):
    """Second by second: intervals and what is answered from them, events, samples. A missing run has none of them."""

    async def append(self, lease: Lease, batch: Batch) -> Written:
        """Append what is not stored yet.

        Raises StaleLeaseError, and ConflictError `sequence_gap` when something between what is stored and this batch is
        missing; then nothing was written.
        """
        ...

    async def written(self, run_id: str) -> Written:
        """Where to go on. Raises NotFoundError."""
        ...

    async def intervals(self, run_id: str, start: int = 0, end: int | None = None) -> list[Interval]:
        """The seconds of [start, end) without samples, endpoints in order, warm-up first; none where pruned."""
        ...

    async def points(
        self,
        run_id: str,
        resolution: int,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
    ) -> list[IntervalPoint]:
        """Figures for plots in rows of `resolution` (1, 10, 60, or 0: over the whole run) that begin in [start, end).

        `endpoints` are indices into the plan's; null gives all endpoints together (`ALL`, which may be among them). Of
        a running run the last row may be incomplete. Raises ValueError for another resolution.
        """
        ...

    async def generator(
        self, run_id: str, resolution: int, start: int = 0, end: int | None = None
    ) -> list[GeneratorPoint]:
        """The same about the load generator itself."""
        ...

    async def window(
        self,
        run_id: str,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
        histograms: Sequence[str] = HISTOGRAMS,
    ) -> Window:
        """Counts and histograms merged over [start, end): any percentile over any window, within 0.1 % of a sample.

        `histograms` names those that are needed: the fewer, the faster.
        """
        ...

    async def events(self, run_id: str, after: int = 0, limit: int = MAXIMUM_PAGE) -> list[RunEvent]:
        """The events after that sequence number, in order."""
        ...

    async def samples(self, run_id: str, query: SampleQuery | None = None) -> list[SampledExchange]:
        """The kept samples: of a finished run those of its result, before that those appended so far."""
        ...


class TestConfigStore(Protocol):
    """Tests that are kept to be run again; ids and names are unique."""

    async def add(self, config: TestConfig) -> None:
        """Raises ConflictError `name_taken`, `invalid_id`."""
        ...

    async def get(self, config_id: str) -> TestConfig:
        """By id. Raises NotFoundError."""
        ...

    async def named(self, name: str) -> TestConfig | None:
        """By name."""
        ...

    async def all(self) -> tuple[TestConfig, ...]:
        """All, by name."""
        ...

    async def replace(self, config: TestConfig) -> None:
        """By id. Raises NotFoundError, ConflictError `name_taken`."""
        ...

    async def delete(self, config_id: str) -> None:
        """Raises NotFoundError."""
        ...

    async def in_history(self) -> tuple[TestInHistory, ...]:
        """Each test name that occurs in the history, by name, with its newest run."""
        ...


class ApiKeyStore(Protocol):
    """API keys, by their hash: a copy of the storage opens nothing."""

    async def add(self, key: ApiKey) -> None:
        """Raises ConflictError `name_taken` (by a key that is not revoked and looks the same), `invalid_id`."""
        ...

    async def by_hash(self, key_hash: str) -> ApiKey | None:
        """The key with this hash, unless it is revoked."""
        ...

    async def all(self) -> tuple[ApiKey, ...]:
        """All, revoked ones too, by creation."""
        ...

    async def used(self, key_id: str, at: datetime) -> None:
        """Note the use; of a key that is gone nothing is noted."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> None:
        """From now on `by_hash` does not find it; a second time changes nothing. Raises NotFoundError."""
        ...

    async def is_closed(self) -> bool:
        """Whether nobody is let in without a key: from the first key on until `release`, also when all are revoked."""
        ...

    async def release(self, at: datetime) -> None:
        """Open the installation again to those without a key. Raises ConflictError `keys_in_use` while there is one."""
        ...


Reseal = Callable[[bytes], bytes | None]
"""Sealed credentials under the key that seals now; null where they are so already."""


class Upkeep(Protocol):
    """Retention, status, and another key for all that is sealed."""

    async def reseal(self, reseal: Reseal) -> int:
        """Replace every sealed value by what `reseal` makes of it; how many were replaced.

        Each is replaced by itself, so a process that is killed leaves some as they were: calling again goes on. A value
        that others have changed meanwhile is left to them. Raises what `reseal` raises.
        """
        ...

    async def prune(self, policy: RetentionPolicy, now: datetime, *, dry_run: bool = False) -> PruneReport:
        """Remove what the policy does not keep. Runs that have not ended are never touched."""
        ...

    async def status(self) -> StorageStatus:
        """Kind, place, size and number of runs. It reads the storage, so it also says whether that works."""
        ...


class StorageInterface(Protocol):
    """One storage; see the drawing above. Made by `atm.storage.open_storage`, closed by `close`."""

    @property
    def runs(self) -> RunStore: ...
    @property
    def leases(self) -> LeaseStore: ...
    @property
    def series(self) -> SeriesStore: ...
    @property
    def tests(self) -> TestConfigStore: ...
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
        """Let go of files and connections. What was not written is not written now."""
        ...
