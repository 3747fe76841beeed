"""Convert wall clock times to UTC across daylight saving changes.

A skipped time (a gap) maps to the first moment after it; a repeated time (a fold) maps to two moments.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from atm.errors import Problem, SpecError

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=256)
def zone(name: str, path: str = "trigger.timezone") -> tzinfo:
    """Return the time zone with this IANA name. Raises SpecError `unknown_timezone`, which suggests similar names."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        from atm.models.nearest import nearest

        candidates = nearest(name, sorted(available_timezones()), count=2)
        hint = f"Did you mean {' or '.join(candidates)}?" if candidates else "For example `Europe/Berlin` or `UTC`"
        raise SpecError(Problem(f"there is no time zone {name[:60]!r}", "unknown_timezone", path, hint=hint)) from error


def moments(wall_time: datetime, time_zone: tzinfo) -> tuple[datetime, ...]:
    """Return the moments (UTC) of a naive wall clock time: one, or two in a fold.

    In a gap it is the first moment after the gap, which has a later wall clock time.
    """
    first = wall_time.replace(tzinfo=time_zone, fold=0).astimezone(UTC)
    second = wall_time.replace(tzinfo=time_zone, fold=1).astimezone(UTC)
    if first == second:
        return (first,)
    if first.astimezone(time_zone).replace(tzinfo=None) == wall_time:
        return (first, second)
    # In a gap, fold=0 uses the offset before the gap and so gives a moment after it; fold=1 the reverse.
    return (_change_between(second, first, time_zone),)


def _change_between(before: datetime, after: datetime, time_zone: tzinfo) -> datetime:
    """Return the moment in (before, after], to the second, from which the offset is that of `after`."""
    offset = after.astimezone(time_zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(time_zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
