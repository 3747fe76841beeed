"""That a query found nothing, which is known without another query while the SQLite file is unchanged.

A server without runs asks several times a second for pending runs and due schedules; each query takes a millisecond.
"""

from __future__ import annotations

import os
import time

from atm.dataclass import dataclass
from atm.storage.sql.database import Database

SETTLED_SECONDS = 1.0
"""A transaction becomes visible a moment after it was written: a file counts as unchanged only this long after that."""
LONGEST_SECONDS = 5.0
"""After this time the query is made anyway."""


@dataclass(frozen=True, slots=True)
class FileState:
    """What changes with each transaction that is written."""

    files: tuple[tuple[int, int, int], ...]
    """Inode, size and time of change of the database and its write-ahead log."""

    @property
    def is_settled(self) -> bool:
        return time.time() - max(changed for *_, changed in self.files) / 1e9 > SETTLED_SECONDS


def state_of(database: Database) -> FileState | None:
    """Return the state of an SQLite file in use; None for a database server."""
    if not database.is_sqlite:
        return None
    try:
        stats = [os.stat(f"{database.location}{suffix}") for suffix in ("", "-wal")]
    except OSError:
        return None
    return FileState(tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in stats))


class NothingFound:
    """Whether a query of a database would find nothing, as before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state: FileState | None = None
        self._until = 0.0

    @property
    def holds(self) -> bool:
        """Whether the query need not be made."""
        return self._state is not None and time.monotonic() < self._until and self._state == state_of(self._database)

    def state(self) -> FileState | None:
        """Return what to pass to `keep`; call it before the query."""
        return state_of(self._database)

    def keep(self, state: FileState | None) -> None:
        """Keep that the query found nothing."""
        self._state = state if state is not None and state.is_settled else None
        self._until = time.monotonic() + LONGEST_SECONDS
