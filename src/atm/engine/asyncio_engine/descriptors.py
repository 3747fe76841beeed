"""How many connections this process may have."""

from __future__ import annotations

import sys

MOST_USERS = 10_000
_RESERVE = 128
"""Descriptors for everything but connections: the loop, logs, the terminal, a database."""


def user_ceiling() -> int:
    """The limit in flight of an open load without one of its own. Raises the soft limit of open files."""
    if sys.platform == "win32":
        return MOST_USERS
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and soft != resource.RLIM_INFINITY and soft < MOST_USERS + _RESERVE:
        wanted = MOST_USERS + _RESERVE if hard == resource.RLIM_INFINITY else min(hard, MOST_USERS + _RESERVE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    if soft == resource.RLIM_INFINITY:
        return MOST_USERS
    return max(1, min(MOST_USERS, soft - _RESERVE))
