"""A `Clock` that only moves when advanced, so tests of time never sleep."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """Implements `atm.clock.Clock`. Monotonic and wall time move together, only by `advance`."""

    def __init__(self, monotonic_ns: int = 0, now: datetime = datetime(2024, 1, 1, tzinfo=UTC)) -> None:
        if now.tzinfo is None:
            raise ValueError("now must be timezone-aware")
        self._monotonic_ns = monotonic_ns
        self._began_ns = monotonic_ns
        self._began = now.astimezone(UTC)

    def advance(self, *, seconds: float = 0.0, nanoseconds: int = 0) -> None:
        """Advance the time. Raises ValueError for a negative step."""
        step = round(seconds * 1e9) + nanoseconds
        if step < 0:
            raise ValueError(f"time does not go back: {step} ns")
        self._monotonic_ns += step

    def monotonic_ns(self) -> int:
        """Monotonic time, ns."""
        return self._monotonic_ns

    def now(self) -> datetime:
        """The wall time to the microsecond, UTC."""
        return self._began + timedelta(microseconds=(self._monotonic_ns - self._began_ns) // 1000)
