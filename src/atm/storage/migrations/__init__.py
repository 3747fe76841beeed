"""Alembic migrations of the database. `REVISIONS` are in order; the last one is the schema of this version."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")
HEAD = REVISIONS[-1]
