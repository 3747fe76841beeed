"""Health of the load generator, once a second: input of the measurement verdict."""

from __future__ import annotations

import os
import platform
import time
from collections import defaultdict
from pathlib import Path

from atm.engine.asyncio_engine.ledger.endpoint_figures import Counts, as_histogram, bucketed
from atm.metrics.interval import GeneratorInterval

STALL_NS = 10_000_000
"""A wake-up later than this counts as a stall."""
_SHORTEST_NS = 10_000_000
"""CPU shares are measured over this time at least. After a stall several seconds are taken at once: they share one."""

_IS_LINUX = platform.system() == "Linux"
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class Health:
    """Counts of the engine's thread, reset once a second."""

    def __init__(self) -> None:
        self._open_connections = 0
        self._dials = 0
        self._connections_lost = 0
        self.saturated = False
        self.thinking = 0
        """Users that wait between two operations, without a request in flight."""
        self._lag: Counts = defaultdict(int)
        self._connect: Counts = defaultdict(int)
        self._tls: Counts = defaultdict(int)
        self._dns: Counts = defaultdict(int)
        self._stalls = 0
        self._stalled = 0
        self._longest_stall = 0
        self._process = time.process_time_ns()
        self._thread = time.thread_time_ns()
        self._thread_share = 0.0
        self._taken = time.monotonic_ns()
        self._stolen, self._ticks = _steal()

    def late(self, by: int) -> None:
        """Record that the loop woke up `by` ns late."""
        if by > STALL_NS:
            self._stalls += 1
            self._stalled += by
            self._longest_stall = max(self._longest_stall, by)

    def started_late(self, by: int) -> None:
        """Record a request that had a free user but started `by` ns after its intended start."""
        bucketed(self._lag, by)

    def dialled(self) -> None:
        """Count a connection attempt."""
        self._dials += 1

    def opened(self) -> None:
        self._open_connections += 1

    def closed(self) -> None:
        self._open_connections -= 1

    def lost(self) -> None:
        """Count a connection that the target closed or reset."""
        self._connections_lost += 1

    def connected(self, duration: int) -> None:
        bucketed(self._connect, duration)

    def secured(self, duration: int) -> None:
        bucketed(self._tls, duration)

    def resolved(self, duration: int) -> None:
        bucketed(self._dns, duration)

    def take(self, users: int, in_flight: int, waiting: int) -> GeneratorInterval:
        """Return the figures since the last call."""
        now, process, thread = time.monotonic_ns(), time.process_time_ns(), time.thread_time_ns()
        stolen, ticks = _steal()
        if now - self._taken >= _SHORTEST_NS:
            # Another thread asks if code blocks that of the load, whose share is then unknown.
            self._thread_share = min(1.0, max(0, thread - self._thread) / (now - self._taken))
            self._taken, self._thread = now, thread
        figures = GeneratorInterval(
            schedule_lag=as_histogram(self._lag),
            stalls=self._stalls,
            stalled_ns=self._stalled,
            longest_stall_ns=self._longest_stall,
            cpu_seconds=(process - self._process) / 1e9,
            busiest_thread_share=self._thread_share,
            steal_share=(stolen - self._stolen) / (ticks - self._ticks) if ticks > self._ticks else 0.0,
            memory_bytes=_resident_bytes(),
            users=users,
            in_flight=in_flight,
            waiting=waiting,
            open_connections=self._open_connections,
            dials=self._dials,
            connections_lost=self._connections_lost,
            connect=as_histogram(self._connect),
            tls=as_histogram(self._tls),
            dns=as_histogram(self._dns),
            saturated=self.saturated,
        )
        self._lag, self._connect, self._tls, self._dns = (defaultdict(int) for _ in range(4))
        self._dials = self._connections_lost = self._stalls = self._stalled = self._longest_stall = 0
        self.saturated = False
        self._process = process
        self._stolen, self._ticks = stolen, ticks
        return figures


def _steal() -> tuple[int, int]:
    """Return the ticks stolen by the hypervisor from all cores, and all ticks (proc(5)); zeros where unknown."""
    if not _IS_LINUX:
        return 0, 0
    try:
        with Path("/proc/stat").open("rb") as file:
            # user nice system idle iowait irq softirq steal; guest times are included in the first two.
            ticks = [int(word) for word in file.readline().split()[1:9]]
    except OSError:
        return 0, 0
    return ticks[7], sum(ticks)


def _resident_bytes() -> int:
    if _IS_LINUX:
        try:
            return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE
        except OSError:
            return 0
    import resource

    # Other systems report only the peak, macOS in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
