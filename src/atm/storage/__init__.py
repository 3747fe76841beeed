"""Keeps runs and all that belongs to them: SQLite by default, PostgreSQL, or JSON files, all behind `StorageInterface`.

May import `metrics`, `models`, `config` and below; nothing else in `atm` imports SQLAlchemy or Alembic, and importing
this package does not either. Start with `base.py` (the contract), then `records.py` (the nouns).
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
