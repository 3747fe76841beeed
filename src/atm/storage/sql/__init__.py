"""SQLite and PostgreSQL, by SQLAlchemy Core.

Start with `tables.py`, then `database.py` (transactions, errors), then `runs.py`; `schema.py` migrates. Imported by
`open_storage` only when a database is used.
"""
