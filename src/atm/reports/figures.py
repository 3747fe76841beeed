"""How reports spell a figure. The rules live in `models`, as the sentences of the verdict hold figures too."""

from atm.models.figures import (
    INFINITE,
    NO_DATA,
    clock,
    count,
    duration,
    multiple,
    percent,
    planned,
    rate,
    share,
    size,
    time,
    time_in,
    time_unit,
)

__all__ = [
    "INFINITE",
    "NO_DATA",
    "clock",
    "count",
    "duration",
    "multiple",
    "percent",
    "planned",
    "rate",
    "share",
    "size",
    "time",
    "time_in",
    "time_unit",
]
