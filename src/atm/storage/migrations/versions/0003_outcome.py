"""Correct `passed` of stored runs by the current rule, and add indexes for outcome filters and columns for batches."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import context, op

from atm.models.earlier_result import earlier_passed, earlier_reason, has_thresholds
from atm.models.outcome import RunStatus, StopReason

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH = 500

runs = sa.table(
    "runs",
    sa.column("id", sa.String),
    sa.column("status", sa.String),
    sa.column("stop_reason", sa.String),
    sa.column("passed", sa.Boolean),
    sa.column("measurement", sa.String),
    sa.column("error_rate", sa.Float),
    sa.column("spec_json", sa.Text),
    sa.column("metrics_json", sa.Text),
    sa.column("failure_reasons_json", sa.Text),
)


def upgrade() -> None:
    """Add the columns, correct the runs whose `passed` may differ, then add the indexes."""
    op.add_column("runs", sa.Column("batch_id", sa.String(length=64), nullable=True))
    op.add_column("runs", sa.Column("batch_limit", sa.Integer(), nullable=True))
    if not context.is_offline_mode():
        _correct_all(op.get_bind())
    op.create_index(
        "ix_runs_outcome", "runs", ["status", "passed", "stop_reason", "created_at", "id", "name", "measurement"]
    )
    op.create_index("ix_runs_batch", "runs", ["batch_id", "status"])
    op.create_index(
        "ix_runs_measurement", "runs", ["measurement", "created_at", "id", "status", "passed", "name", "stop_reason"]
    )


def _correct_all(connection: sa.Connection) -> None:
    suspect = sa.or_(
        runs.c.stop_reason.in_(("stopped", "cancelled")),
        runs.c.measurement == "invalid",
        sa.and_(runs.c.passed.is_(True), runs.c.error_rate > 0),
    )
    statement = sa.select(runs.c.id).where(runs.c.status == "completed", runs.c.metrics_json.is_not(None), suspect)
    ids = list(connection.execute(statement).scalars())
    for start in range(0, len(ids), BATCH):
        _correct(connection, ids[start : start + BATCH])


def _correct(connection: sa.Connection, ids: list[str]) -> None:
    for row in connection.execute(sa.select(runs).where(runs.c.id.in_(ids))).all():
        is_judged = has_thresholds(json.loads(row.spec_json))
        metrics = json.loads(row.metrics_json)
        passed = earlier_passed(
            RunStatus(row.status),
            StopReason(row.stop_reason) if row.stop_reason else None,
            row.passed,
            metrics,
            has_thresholds=is_judged,
            is_invalid=row.measurement == "invalid",
        )
        if passed == row.passed:
            continue
        reasons = json.loads(row.failure_reasons_json or "[]")
        if passed is False and not reasons:
            reasons = [earlier_reason(metrics)]
        values = {"passed": passed, "failure_reasons_json": json.dumps(reasons, ensure_ascii=False)}
        connection.execute(sa.update(runs).where(runs.c.id == row.id).values(values))


def downgrade() -> None:
    """Remove columns and indexes; the corrected `passed` stays, as every version can read it."""
    op.drop_index("ix_runs_batch", table_name="runs")
    op.drop_index("ix_runs_measurement", table_name="runs")
    op.drop_index("ix_runs_outcome", table_name="runs")
    op.drop_column("runs", "batch_limit")
    op.drop_column("runs", "batch_id")
