"""The `Clock` protocol: passed to testable code, which must not read the system clock itself."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Monotonic nanoseconds for durations, wall time (UTC, timezone-aware) for labels."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a monotonic clock; only differences are meaningful."""
        ...

    def now(self) -> datetime:
        """Return the wall time, UTC and timezone-aware; for labels, not for durations."""
        ...


class SystemClock:
    """The clock of this machine."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def now(self) -> datetime:
        return datetime.now(UTC)
