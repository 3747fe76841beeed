"""Migrations of the database, by Alembic. `REVISIONS` in order; the last one is what this version reads and writes."""

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
HEAD = REVISIONS[-1]
