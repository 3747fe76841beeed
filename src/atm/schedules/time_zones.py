"""From what clocks on a wall show to moments, where clocks are put forward and back.

A time that clocks skip (a gap) is answered by the first moment after it; a time that they show twice (a fold) has two.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from atm.errors import Problem, SpecError

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=256)
def zone(name: str, path: str = "trigger.timezone") -> tzinfo:
    """The time zone of this IANA name. Raises SpecError `unknown_timezone` with the nearest names there are."""
    if name.upper() in ("UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        from atm.models.nearest import nearest

        near = nearest(name, sorted(available_timezones()), count=2)
        hint = f"Did you mean {' or '.join(near)}?" if near else "For example `Europe/Berlin` or `UTC`"
        raise SpecError(Problem(f"there is no time zone {name[:60]!r}", "unknown_timezone", path, hint=hint)) from error


def moments(shown: datetime, where: tzinfo) -> tuple[datetime, ...]:
    """The moments (UTC) at which clocks there show `shown` (naive): one, or two in a fold.

    In a gap it is the first moment after the gap, which the clocks show as a later time.
    """
    first = shown.replace(tzinfo=where, fold=0).astimezone(UTC)
    second = shown.replace(tzinfo=where, fold=1).astimezone(UTC)
    if first == second:
        return (first,)
    if first.astimezone(where).replace(tzinfo=None) == shown:
        return (first, second)
    # In a gap fold=0 counts by the offset before it, and so lands after it, and fold=1 the other way round.
    return (_change_between(second, first, where),)


def _change_between(before: datetime, after: datetime, where: tzinfo) -> datetime:
    """The moment in (before, after] from which the offset is that of `after`, to the second."""
    offset = after.astimezone(where).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(where).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after
