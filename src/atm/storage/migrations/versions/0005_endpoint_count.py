"""Add the number of endpoints to runs, which lists show instead of the first URL."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import context, op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BATCH = 500

runs = sa.table(
    "runs", sa.column("id", sa.String), sa.column("endpoint_count", sa.Integer), sa.column("spec_json", sa.Text)
)


def upgrade() -> None:
    """Add the column, and count the endpoints of stored runs."""
    op.add_column("runs", sa.Column("endpoint_count", sa.Integer(), nullable=False, server_default=sa.text("1")))
    if not context.is_offline_mode():
        _count_all(op.get_bind())


def _count_all(connection: sa.Connection) -> None:
    statement = sa.select(runs.c.id).where(runs.c.spec_json.contains('"endpoints"'))
    ids = list(connection.execute(statement).scalars())
    for start in range(0, len(ids), BATCH):
        part = sa.select(runs.c.id, runs.c.spec_json).where(runs.c.id.in_(ids[start : start + BATCH]))
        for run_id, spec in connection.execute(part).all():
            endpoints = json.loads(spec).get("endpoints")
            if isinstance(endpoints, list) and len(endpoints) > 1:
                values = {"endpoint_count": len(endpoints)}
                connection.execute(sa.update(runs).where(runs.c.id == run_id).values(values))


def downgrade() -> None:
    """Remove the column."""
    op.drop_column("runs", "endpoint_count")
