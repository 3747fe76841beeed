"""Keeps runs and all that belongs to them: SQLite by default, PostgreSQL, or JSON files, all behind `StorageInterface`.

May import `metrics`, `models`, `config` and below; nothing else in `atm` imports SQLAlchemy or Alembic, and importing
this package does not either. Start with `base.py` (the contract), then `records.py` (the nouns).
"""

from atm.storage.base import Batch, RunSeries, StorageInterface, Written
from atm.storage.factory import open_storage, upgrade_storage

__all__ = ["Batch", "RunSeries", "StorageInterface", "Written", "open_storage", "upgrade_storage"]
