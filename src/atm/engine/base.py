"""The seam between a plan and whatever sends its requests: the `Engine` protocol, and `Control`, its steering wheel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan


class Capability(StrEnum):
    """What a plan may need beyond plain HTTP/1.1 with keep-alive; a plan lists these in `needs`."""

    TLS = "tls"
    CLIENT_CERTIFICATE = "client_certificate"
    PROXY = "proxy"
    REDIRECTS = "redirects"
    BODY_CHECKS = "body_checks"
    HTTP2 = "http2"
    MULTI_STEP = "multi_step"
    SOURCE_ADDRESSES = "source_addresses"
    RE_RESOLUTION = "re_resolution"
    TARGET_RULES = "target_rules"


class Command(StrEnum):
    """What the outside may ask of a running engine."""

    STOP = "stop"
    CANCEL = "cancel"


class Listener(Protocol):
    """What an engine offers to its `Control`; called from any thread, and must not block."""

    def command(self, command: Command) -> None: ...

    def set_secret(self, slot: str, value: str) -> None: ...


class Control:
    """Steers one run from any thread: stop, cancel, renew a secret. What is said before the engine listens is kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        self._command: Command | None = None
        self._secrets: dict[str, str] = {}
        self.stop_reason: StopReason | None = None
        """Why the run was asked to end; None while nobody asked. The engine reports it as its stop reason."""

    def stop(self, reason: StopReason = StopReason.STOPPED) -> None:
        """No new starts; what is in flight may finish within the plan's graceful stop. A second changes nothing."""
        self._send(Command.STOP, reason)

    def cancel(self) -> None:
        """No new starts, and every connection closed within 100 ms; what was in flight is unfinished."""
        self._send(Command.CANCEL, StopReason.CANCELLED)

    def set_secret(self, slot: str, value: str) -> None:
        """Requests rendered from now on use `value` in `slot`."""
        with self._lock:
            self._secrets[slot] = value
            if self._listener:
                self._listener.set_secret(slot, value)

    def listen(self, listener: Listener) -> None:
        """Called once by the engine; delivers what was said before."""
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
class EngineReport:
    """What an engine says at the end, beside its intervals. Times are ns since the start of the run."""

    started_at: datetime
    """Wall time of the start of the run (the first intended start), UTC."""
    stop_reason: StopReason
    window_start_ns: int
    """The first measured intended start (the end of warm-up)."""
    window_end_ns: int
    """The end of sending, as docs/concepts (Window) defines it; barrier time is not taken out of it."""
    last_finish_ns: int
    """When the last request finished, or the moment of cancel."""
    barrier_ns: int = 0
    """Time spent at the barriers of sequential selection; not part of the window."""
    worker_lost: str = ""
    """The message of a load thread that died; empty when none did."""


class Engine(Protocol):
    """Runs plans. Implementations face one contract suite, tests/contract."""

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
    ) -> EngineReport:
        """Send the plan's load and return when the last request has ended.

        `on_interval` is called on the event loop that awaits this, once for every second of the run in order, without
        gaps, the last (partial) one included. `plan.origins` carry addresses. Samples and failure messages in intervals
        have their secrets masked already. Raises EngineError when the load could not be run at all.
        """
        ...
