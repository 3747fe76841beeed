"""Storage of runs, tests, keys and schedules: SQLite by default, PostgreSQL, or JSON files, behind `StorageInterface`.

May import `metrics`, `models`, `config` and below. Only this package imports SQLAlchemy and Alembic, and not when it is
imported itself. Start with `base.py` (the contract), then `records.py` (the records of runs).
"""

from atm.storage.base import Batch, RunSeries, StorageInterface, Written
from atm.storage.factory import open_storage, upgrade_storage

__all__ = ["Batch", "RunSeries", "StorageInterface", "Written", "open_storage", "upgrade_storage"]
