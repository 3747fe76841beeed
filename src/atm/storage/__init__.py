"""Storage of runs, tests, keys and schedules: SQLite by default, PostgreSQL, or JSON files, behind `StorageInterface`.

May import `metrics`, `models`, `config` and below. Only this package imports SQLAlchemy and Alembic, and not when it is
imported itself. Start with `base.py` (the contract), then `records.py` (the records of runs).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atm.storage.base import Batch, RunSeries, StorageInterface, Written
    from atm.storage.factory import open_storage, upgrade_storage

__all__ = ["Batch", "RunSeries", "StorageInterface", "Written", "open_storage", "upgrade_storage"]


def __getattr__(name: str) -> object:
    """Import a name of the package on first use: the fast commands read a file without the storage interface."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    home = "atm.storage.factory" if name.endswith("_storage") else "atm.storage.base"
    return getattr(import_module(home), name)
