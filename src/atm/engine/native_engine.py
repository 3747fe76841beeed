"""Adapter from the `Engine` protocol to `atm_engine`, the Rust extension, whose threads never touch Python.

A separate thread waits for intervals, so that the caller's loop is not blocked. `choose` calls `load_native_engine`,
which returns None where the extension is not installed or was built for another plan format.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from atm.engine.base import Capability, Command, Control, EngineReport, LaneReport
from atm.engine.secrets import require_secrets, require_sendable
from atm.engine.thread_bridge import ThreadBridge
from atm.errors import EngineError, Problem
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.connections import Origin
from atm.plan.load_plan import PLAN_FORMAT, LoadPlan

if TYPE_CHECKING:
    import atm_engine

_IntervalT = TypeVar("_IntervalT")
_PATIENCE_SECONDS = 3600.0
"""Longest wait for one interval. One arrives every second, so this only limits the damage of a defect."""


class NativeEngine:
    """Sends a plan's load from native threads; see `Engine` for the contract."""

    name = "native"

    def __init__(self, threads: int | None = None) -> None:
        """`threads`: of each lane that may have several; None chooses by its load, up to `most_threads`.

        Raises ImportError where `atm_engine` is not installed.
        """
        import atm_engine

        self._module = atm_engine
        self._threads = threads
        self.most_threads: int | None = None
        """The most load threads of a run; a low load has fewer, each lane has one. None is half of the cores."""
        names = {capability.value for capability in Capability}
        self._capabilities = frozenset(Capability(name) for name in atm_engine.capabilities if name in names)

    @property
    def version(self) -> str:
        return self._module.version

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._capabilities

    @property
    def plan_format(self) -> int:
        """The plan format that the installed extension reads."""
        return self._module.PLAN_FORMAT

    def refusal(self, plan: LoadPlan) -> str:
        """Return why this engine cannot run `plan` although it has every capability needed; empty when it can.

        The names in the plan may still be unresolved, because an engine is chosen before that.
        """
        try:
            self._module.check(_as_if_resolved(plan).to_bytes())
        except self._module.PlanRefused as refused:
            return str(refused)
        return ""

    async def run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
        control: Control,
        starts_at_ns: int | None = None,
    ) -> EngineReport:
        return await self._run(plan, secrets, Interval.from_bytes, on_interval, control, starts_at_ns)

    async def run_encoded(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[bytes], None],
        control: Control,
        starts_at_ns: int | None = None,
    ) -> EngineReport:
        """Do as `run`, and pass each interval on as the bytes that `Interval.from_bytes` reads."""
        return await self._run(plan, secrets, bytes, on_interval, control, starts_at_ns)

    async def _run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        read: Callable[[bytes], _IntervalT],
        on_interval: Callable[[_IntervalT], None],
        control: Control,
        starts_at_ns: int | None,
    ) -> EngineReport:
        require_secrets(plan, secrets)
        try:
            native = self._module.Run(
                plan.to_bytes(),
                dict(secrets),
                threads=self._threads,
                most_threads=self.most_threads,
                starts_at_ns=_native_time(starts_at_ns),
            )
        except self._module.PlanRefused as refused:
            raise EngineError(Problem(str(refused), "plan_refused")) from refused
        handover = ThreadBridge(on_interval, native.cancel)

        def collect() -> None:
            try:
                report = _collected(native, lambda data: handover.deliver(read(data)), control)
            except Exception as error:  # noqa: BLE001  # no frame above a thread: the caller raises it
                native.cancel()
                handover.fail(_died(error))
            else:
                handover.succeed(report)

        control.listen(_Listener(native))
        threading.Thread(target=collect, name="atm-native", daemon=True).start()
        return await handover.report()


def _native_time(at_ns: int | None) -> int | None:
    """Convert a time of `time.monotonic_ns` to the engine's clock, which is another one on macOS: it counts sleep."""
    return None if at_ns is None else at_ns + time.clock_gettime_ns(time.CLOCK_MONOTONIC) - time.monotonic_ns()


def _as_if_resolved(plan: LoadPlan) -> LoadPlan:
    def placeholder(origin: Origin) -> Origin:
        return origin if origin.addresses else replace(origin, resolve_error="not resolved yet")

    connections = plan.connections
    if connections.proxy:
        connections = replace(
            connections, proxy=replace(connections.proxy, origin=placeholder(connections.proxy.origin))
        )
    return replace(plan, origins=tuple(placeholder(origin) for origin in plan.origins), connections=connections)


class _Listener:
    """Pass commands on to the extension; called from any thread, never blocks."""

    def __init__(self, native: atm_engine.Run) -> None:
        self._native = native

    def command(self, command: Command) -> None:
        if command is Command.CANCEL:
            self._native.cancel()
        else:
            self._native.stop()

    def set_secret(self, slot: str, value: str) -> None:
        require_sendable(slot, value)
        self._native.set_secret(slot, value)


def _collected(native: atm_engine.Run, deliver: Callable[[bytes], object], control: Control) -> EngineReport:
    """Deliver every interval and return the report."""
    while True:
        interval = native.next_interval(_PATIENCE_SECONDS)
        if interval is not None:
            deliver(interval)
        elif (report := native.report()) is not None:
            return _report(json.loads(report), control)


def _report(document: Mapping[str, Any], control: Control) -> EngineReport:
    def reason_of(part: Mapping[str, Any]) -> StopReason:
        reason = StopReason(part["stop_reason"])
        # The engine knows that it was stopped, the control knows why.
        return control.stop_reason or reason if reason is StopReason.STOPPED else reason

    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return EngineReport(
        started_at=epoch + timedelta(microseconds=document["started_at_ns"] // 1000),
        stop_reason=reason_of(document),
        window_start_ns=document["window_start_ns"],
        window_end_ns=document["window_end_ns"],
        last_finish_ns=document["last_finish_ns"],
        lanes=tuple(
            LaneReport(
                name=lane["name"],
                window_start_ns=lane["window_start_ns"],
                window_end_ns=lane["window_end_ns"],
                stop_reason=reason_of(lane),
                barrier_ns=lane["barrier_ns"],
            )
            for lane in document["lanes"]
        ),
        barrier_ns=document["barrier_ns"],
        worker_lost=document["worker_lost"],
    )


def _died(error: Exception) -> EngineError:
    failure = EngineError(Problem(f"the native engine died: {type(error).__name__}: {error}", "engine_died"))
    failure.__cause__ = error
    return failure


def load_native_engine() -> NativeEngine | None:
    """Return the engine, or None where it is not installed or cannot read this version's plans (see `absence`)."""
    try:
        engine = NativeEngine()
    except ImportError:
        return None
    return engine if engine.plan_format == PLAN_FORMAT else None


def absence() -> str:
    """Return why `load_native_engine` returns None; empty where it does not."""
    try:
        engine = NativeEngine()
    except ImportError:
        return "the native engine is not installed"
    if engine.plan_format == PLAN_FORMAT:
        return ""
    return (
        f"the installed native engine ({engine.version}) reads plan format {engine.plan_format}, "
        f"this version writes {PLAN_FORMAT}"
    )
