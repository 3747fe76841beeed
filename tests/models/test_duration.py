from __future__ import annotations

import pytest

from atm.models.duration import format_seconds, parse_duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (30, 30), (0.25, 0.25), ("30s", 30), ("5m", 300), ("250ms", 0.25), ("1m30s", 90), ("1h 5min", 3900), ("90", 90),
        ("1.5s", 1.5), (" 2 S ", 2), ("500us", 5e-4), ("500µs", 5e-4), ("1d", 86400), ("0", 0),
    ],
)  # fmt: skip
def test_durations_are_read_as_people_write_them(written: str | float, seconds: float) -> None:
    assert parse_duration(written) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "written", ["", "fast", "5 parsecs", "1:30", "-5s", -1, "5s5", True, [], 1e300, float("nan"), "1y"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(written)  # type: ignore[arg-type]


@pytest.mark.parametrize(("seconds", "text"), [(0.25, "250 ms"), (10, "10 s"), (1.5, "1.5 s"), (0, "0 s")])
def test_durations_are_shown_with_a_unit_that_fits(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text
