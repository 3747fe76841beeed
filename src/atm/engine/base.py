"""The `Engine` protocol, and `Control`, the handle that stops, cancels and updates a running engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from atm.dataclass import dataclass
from atm.metrics.interval import Interval
from atm.models.fleet_figures import FleetFigures
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan


class Capability(StrEnum):
    """A feature beyond plain HTTP/1.1 with keep-alive; a plan lists those that it requires in `needs`."""

    TLS = "tls"
    CLIENT_CERTIFICATE = "client_certificate"
    PROXY = "proxy"
    REDIRECTS = "redirects"
    BODY_CHECKS = "body_checks"
    HTTP2 = "http2"
    SOURCE_ADDRESSES = "source_addresses"
    RE_RESOLUTION = "re_resolution"
    TARGET_RULES = "target_rules"
    SCENARIOS = "scenarios"
    """Flows with a program, checks by name, extracts and values of users."""
    BEFORE_USER = "before_user"
    """Flows whose users do something before their first iteration."""
    CODE = "code"
    """Flows that a Python function runs."""


class Command(StrEnum):
    """A command to a running engine."""

    STOP = "stop"
    CANCEL = "cancel"


class Listener(Protocol):
    """The commands that an engine takes from its `Control`; called from any thread, must not block."""

    def command(self, command: Command) -> None: ...

    def set_secret(self, slot: str, value: str) -> None: ...


class Control:
    """Steer one run from any thread: stop, cancel, renew a secret. Calls before the engine listens are queued."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._command: Command | None = None
        self._secrets: dict[str, str] = {}
        self.stop_reason: StopReason | None = None
        """Why the run is to end; None while neither `stop` nor `cancel` was called. The engine reports it."""
        self.teardown_skipped_by = ""
        """Who skipped `teardown`: `Ctrl-C`; empty unless it was skipped."""

    def stop(self, reason: StopReason = StopReason.STOPPED) -> None:
        """Start no more requests; those in flight may finish within the plan's graceful stop. Idempotent."""
        self._send(Command.STOP, reason)

    def cancel(self) -> None:
        """Start no more requests and close every connection within 100 ms; requests in flight count as unfinished."""
        self._send(Command.CANCEL, StopReason.CANCELLED)

    def skip_teardown(self, who: str) -> None:
        """End `teardown` at once, or leave it out."""
        self.teardown_skipped_by = who

    def set_secret(self, slot: str, value: str) -> None:
        """Use `value` in `slot` for requests rendered from now on."""
        with self._lock:
            self._secrets[slot] = value
            if self._listener:
                self._listener.set_secret(slot, value)

    def listen(self, listener: Listener) -> None:
        """Register the engine's listener (once) and deliver the queued calls."""
        with self._lock:
            self._listener = listener
            for slot, value in self._secrets.items():
                listener.set_secret(slot, value)
            if self._command:
                listener.command(self._command)

    def _send(self, command: Command, reason: StopReason) -> None:
        with self._lock:
            if self._command == Command.CANCEL or self._command == command:
                return
            self._command = command
            self.stop_reason = reason
            if self._listener:
                self._listener.command(command)


@dataclass(frozen=True, slots=True)
class LaneReport:
    """The end of one lane. Times in ns since the start of the run."""

    name: str
    window_start_ns: int
    """The first measured intended start of the lane (the end of its warm-up)."""
    window_end_ns: int
    """The end of the lane's sending; barrier time is included."""
    stop_reason: StopReason
    barrier_ns: int = 0
    """Time spent at the lane's barriers; not part of its window."""

    @property
    def window_ns(self) -> int:
        """Length of the window; 0 for a lane that ended in its warm-up."""
        return max(self.window_end_ns - self.window_start_ns - self.barrier_ns, 0)


@dataclass(frozen=True, slots=True)
class EngineReport:
    """The engine's final report, beside its intervals. Times are ns since the start of the run."""

    started_at: datetime
    """Wall time of the start of the run (the first intended start), UTC."""
    stop_reason: StopReason
    """That of the lane that ended last; after a stop, cancel or failure, that."""
    window_start_ns: int
    """The first measured intended start (the end of warm-up), with several lanes the earliest."""
    window_end_ns: int
    """The end of sending, as docs/concepts (Window) defines it, of the last lane; barrier time is included."""
    last_finish_ns: int
    """When the last request finished, or the moment of cancel."""
    lanes: tuple[LaneReport, ...]
    """In the order of the plan."""
    barrier_ns: int = 0
    """Time spent at the barriers of sequential selection; not part of the window. 0 with several lanes, of which each
    has its own."""
    worker_lost: str = ""
    """The message of a load thread or worker that died; empty when none did."""
    fleet: FleetFigures | None = None
    """The workers of a run on several of them; None for a run in one process."""


@runtime_checkable
class Opening(Protocol):
    """An engine that has to be opened before a run, such as one that consists of several processes."""

    async def open(self, plan: LoadPlan) -> None:
        """Make everything ready that does not send requests. Raises AtmError if the plan cannot be run."""
        ...

    async def close(self) -> None:
        """End everything that `open` and `run` started. Idempotent."""
        ...


class Engine(Protocol):
    """Runs plans. All implementations pass one contract suite, tests/contract."""

    @property
    def name(self) -> str:
        """`native` or `asyncio`."""
        ...

    @property
    def version(self) -> str: ...

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    async def run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
        control: Control,
        starts_at_ns: int | None = None,
    ) -> EngineReport:
        """Send the plan's load (of a share: its part) and return when the last request has ended.

        The run starts at `starts_at_ns` of the monotonic clock (`time.monotonic_ns`), None for at once. A time that has
        passed stays the time zero of the run, and what was due since then starts late.

        `on_interval` is called on the event loop that awaits this, once for every second of the run, in order, without
        gaps, including the last (partial) one. `plan.origins` must carry addresses. Samples and failure messages in
        intervals already have their secrets masked. Raises EngineError when the load could not be run at all.
        """
        ...
