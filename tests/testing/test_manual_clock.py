from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from atm.clock import Clock
from atm.testing import ManualClock


def test_it_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(monotonic_ns=5, now=datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    seen: Clock = clock
    assert (seen.monotonic_ns(), seen.now()) == (5, datetime(2024, 5, 1, tzinfo=UTC))
    clock.advance(seconds=1.5, nanoseconds=1)
    assert seen.monotonic_ns() == 1_500_000_006
    assert seen.now() == datetime(2024, 5, 1, 0, 0, 1, 500_000, tzinfo=UTC)


def test_it_refuses_to_go_back_and_a_wall_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="time does not go back"):
        ManualClock().advance(seconds=-1)
    with pytest.raises(ValueError, match="timezone-aware"):
        ManualClock(now=datetime(2024, 1, 1))  # noqa: DTZ001
