"""Open the history of this machine for reading without the storage stack, where that is possible."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from atm.cli.history.base import LAST
from atm.runs.local_history import STORAGE_VARIABLES, pending, spool_directory, wait_until_stored

if TYPE_CHECKING:
    from atm.storage.sqlite_reader import SqliteReader, StoredRun

_Value = TypeVar("_Value")


def read(server: str | None, query: Callable[[SqliteReader], _Value]) -> _Value | None:
    """Query the SQLite file of the data directory.

    None where the history is elsewhere, a run has to be stored first, the file cannot be read like this, or the query
    returns None; the caller then uses `with_history`, which reports what is wrong. Raises SettingsError.
    """
    if server or any(os.environ.get(name) for name in STORAGE_VARIABLES):
        return None
    spools = spool_directory()
    wait_until_stored(spools)
    if pending(spools):
        return None
    from atm.storage.sqlite_reader import SqliteReader

    reader = SqliteReader.open(spools.parent / "atm.db")
    if reader is None:
        return None
    try:
        return query(reader)
    except (sqlite3.Error, ValueError, TypeError):
        return None
    finally:
        reader.close()


def find(reader: SqliteReader, written: str) -> StoredRun | None:
    """The run that `last` or the beginning of an id names; None where that is no run or several."""
    runs = reader.newest(1)[0] if written == LAST else reader.beginning_with(written, 2)
    exact = [run for run in runs if written in (run.id, LAST)] or runs
    return exact[0] if len(exact) == 1 else None
