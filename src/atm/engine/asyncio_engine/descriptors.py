"""How many connections this process may have."""

from __future__ import annotations

import sys

MOST_CONNECTIONS = 10_000
_RESERVE = 128
"""Descriptors for everything but connections: the loop, logs, the terminal, a database."""


def connection_ceiling() -> int:
    """How many connections a run may have. Raises the process's soft limit of open files as far as that is allowed."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    wanted = MOST_CONNECTIONS + _RESERVE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(MOST_CONNECTIONS, soft - _RESERVE))
