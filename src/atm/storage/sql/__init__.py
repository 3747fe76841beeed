"""Storage on SQLite and PostgreSQL, with SQLAlchemy Core.

Start with `tables.py`, then `database.py` (transactions, errors), then `runs.py`; `schema.py` migrates. `open_storage`
imports this package only when a database is used.
"""
