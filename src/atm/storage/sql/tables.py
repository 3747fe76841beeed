"""The tables. Columns of the first design keep their names; columns of lists come before large ones.

Documents are JSON in text columns, the same bytes on both databases. A test checks that `migrations/` creates the same
tables.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A timestamp in UTC: with time zone on PostgreSQL, as text of fixed width on SQLite, timezone-aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("timestamps need a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and dialect.name == "sqlite" else value


def _run_id(**options: Any) -> Column[str]:
    return Column("run_id", String(64), ForeignKey("runs.id", ondelete="CASCADE"), **options)


runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("method", String(32), nullable=False),
    Column("total_requests", BigInteger),
    Column("concurrency", Integer),
    Column("status", String(16), nullable=False),
    Column("started_at", Moment),
    Column("completed_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("passed", Boolean),
    Column("requests_completed", BigInteger, nullable=False, server_default=text("0")),
    Column("error_message", Text),
    Column("stop_reason", String(16)),
    Column("measurement", String(16)),
    Column("engine", String(32), nullable=False),
    Column("source", String(16), nullable=False),
    Column("tags_json", Text, nullable=False),
    Column("latency_p95_ms", Float),
    Column("requests_per_second", Float),
    Column("error_rate", Float),
    Column("endpoint_count", Integer, nullable=False, server_default=text("1")),
    # Name and URL in lower case for the `text` filter, truncated to fit an index.
    Column("search_text", Text, nullable=False),
    Column("cancel_requested", String(16)),
    Column("cancel_requested_at", Moment),
    Column("lease_owner", Text),
    Column("lease_token", String(64)),
    Column("lease_beat", Integer, nullable=False, server_default=text("0")),
    Column("next_interval", Integer, nullable=False, server_default=text("0")),
    Column("last_event", Integer, nullable=False, server_default=text("0")),
    Column("next_sample", Integer, nullable=False, server_default=text("0")),
    Column("idempotency_key", String(255)),
    Column("request_digest", String(128)),
    Column("batch_id", String(64)),
    Column("batch_limit", Integer),
    Column("seconds_pruned", Boolean, nullable=False, server_default=text("false")),
    Column("samples_pruned", Boolean, nullable=False, server_default=text("false")),
    Column("notes", Text, nullable=False),
    Column("failure_reasons_json", Text),
    Column("files_json", Text),
    Column("sealed", LargeBinary),
    Column("spec_json", Text, nullable=False),
    Column("metrics_json", Text),
    Column("endpoint_metrics_json", Text),
    Column("sampled_requests_json", Text),
    Column("result_json", Text),
    # Covering indexes for counting filtered lists, so that counting 100,000 runs reads no rows.
    Index("ix_runs_created", "created_at", "id", "status", "passed", "name"),
    Index("ix_runs_status", "status", "created_at", "id", "passed", "name"),
    Index("ix_runs_name", "name", "created_at", "id", "status", "passed"),
    Index("ix_runs_passed", "passed", "created_at", "id", "status", "name"),
    Index("ix_runs_outcome", "status", "passed", "stop_reason", "created_at", "id", "name", "measurement"),
    Index("ix_runs_batch", "batch_id", "status"),
    Index("ix_runs_measurement", "measurement", "created_at", "id", "status", "passed", "name", "stop_reason"),
    Index("ix_runs_search", "created_at", "id", "search_text"),
    Index("ix_runs_completed", "completed_at", "id"),
    Index("ix_runs_idempotency_key", "idempotency_key", unique=True),
)

run_tags = Table(
    "run_tags",
    metadata,
    Column("tag", String(128), primary_key=True),
    _run_id(primary_key=True, index=True),
    # Copied from `runs`, so that lists by tag come in order from this table's index.
    Column("created_at", Moment, nullable=False),
    Index("ix_run_tags_created", "tag", "created_at", "run_id"),
)

run_intervals = Table(
    "run_intervals",
    metadata,
    _run_id(primary_key=True),
    Column("resolution", Integer, primary_key=True, autoincrement=False),
    # The endpoint before the start, so that a chart reads one endpoint from a contiguous part of the index.
    Column("endpoint", Integer, primary_key=True, autoincrement=False),
    Column("start", Integer, primary_key=True, autoincrement=False),
    Column("warm_up", Boolean, primary_key=True),
    Column("counts_json", Text, nullable=False),
    Column("figures_json", Text, nullable=False),
    Column("histograms", LargeBinary, nullable=False),
)

run_events = Table(
    "run_events",
    metadata,
    _run_id(primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("at", Moment, nullable=False),
    Column("data_json", Text, nullable=False),
)

run_samples = Table(
    "run_samples",
    metadata,
    # For runs without a result; a result contains its own samples (`sampled_requests_json`).
    _run_id(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("sample_json", Text, nullable=False),
)

test_configs = Table(
    "test_configs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("tags_json", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("sealed", LargeBinary),
    Column("spec_json", Text, nullable=False),
)

file_contents = Table(
    "file_contents",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
)

file_chunks = Table(
    "file_chunks",
    metadata,
    Column("digest", String(64), ForeignKey("file_contents.digest", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

test_files = Table(
    "test_files",
    metadata,
    Column("test_id", String(64), ForeignKey("test_configs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("digest", String(64), ForeignKey("file_contents.digest"), nullable=False, index=True),
    Column("updated_at", Moment, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Column("expires_at", Moment),
    Column("released_at", Moment),
    Column("tags_json", Text),
    Column("networks_json", Text),
    Column("runs_per_hour", BigInteger),
    Index(
        "ix_api_keys_name_in_use",
        "name",
        unique=True,
        # The migration for PostgreSQL has the same condition; here it would import that dialect in every process.
        sqlite_where=text("revoked_at IS NULL"),
    ),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("key_hash", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("address", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("last_used_at", Moment),
    Column("ended_at", Moment),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at", Moment, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("action", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("object_kind", String(32), nullable=False),
    Column("object_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("key_id", String(64)),
    Column("session_id", String(64)),
    Column("status", Integer),
    Column("request_id", String(64)),
    Column("detail", Text, nullable=False),
    Index("ix_audit_log_at", "at", "id"),
    Index("ix_audit_log_key_id", "key_id", "at"),
)

AUDIT_TRIGGERS = {
    "sqlite": (
        "CREATE TRIGGER audit_log_unchanged BEFORE UPDATE ON audit_log "
        "BEGIN SELECT RAISE(ABORT, 'entries of the audit log are never changed'); END",
        "CREATE TRIGGER audit_log_kept BEFORE DELETE ON audit_log WHEN OLD.at > datetime('now', '-1 day') "
        "BEGIN SELECT RAISE(ABORT, 'entries of the last day are never removed'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF TG_OP = 'UPDATE' OR OLD.at > now() - interval '1 day' THEN "
        "RAISE EXCEPTION 'entries of the audit log are never changed, and those of the last day never removed'; "
        "END IF; RETURN OLD; END $$",
        "CREATE TRIGGER audit_log_unchanged BEFORE UPDATE OR DELETE ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()",
    ),
}
"""Triggers that make the audit log append-only for all users of the database; a migration has the same."""


def _ddl(statement: str, dialect: str) -> DDL:
    # SQLAlchemy formats DDL with %.
    return DDL(statement.replace("%", "%%")).execute_if(dialect=dialect)  # type: ignore[no-untyped-call]


for _dialect, _statements in AUDIT_TRIGGERS.items():
    for _statement in _statements:
        event.listen(audit_log, "after_create", _ddl(_statement, _dialect))

schedules = Table(
    "schedules",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("trigger_json", Text, nullable=False),
    Column("test", Text),
    Column("max_runs", BigInteger),
    Column("run_count", BigInteger, nullable=False),
    Column("tags_json", Text, nullable=False),
    Column("overlap", String(16), nullable=False),
    Column("misfire", String(16), nullable=False),
    Column("misfire_grace_seconds", Integer, nullable=False),
    Column("jitter_seconds", Integer, nullable=False),
    Column("start_date", Moment),
    Column("end_date", Moment),
    Column("notify_json", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("next_due", Moment),
    Column("next_at", Moment),
    Column("version", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    Column("spec_json", Text),
    Index("ix_schedules_next_at", "next_at"),
)


def _schedule_id(**options: Any) -> Column[str]:
    return Column("schedule_id", String(64), ForeignKey("schedules.id", ondelete="CASCADE"), **options)


schedule_firings = Table(
    "schedule_firings",
    metadata,
    # Unique by schedule and due time: the database refuses a second firing.
    _schedule_id(primary_key=True),
    Column("due", Moment, primary_key=True),
    Column("fired_at", Moment, nullable=False),
    Column("claimed_by", Text, nullable=False),
    Column("outcome", String(16), nullable=False),
    # No foreign key: a firing is kept after its run is deleted.
    Column("run_id", String(64)),
    Column("error", Text),
    Column("missed", Integer, nullable=False),
    Index("ix_schedule_firings_outcome", "outcome", "schedule_id", "due"),
)

schedule_deliveries = Table(
    "schedule_deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    _schedule_id(nullable=False),
    Column("due", Moment, nullable=False),
    Column("event", String(16), nullable=False),
    Column("channel", Text, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("next_attempt_at", Moment),
    Column("delivered_at", Moment),
    Column("error", Text),
    Column("target_json", Text, nullable=False),
    Column("sealed", LargeBinary),
    Column("document_json", Text, nullable=False),
    Index("ix_schedule_deliveries_status", "status", "next_attempt_at"),
    Index("ix_schedule_deliveries_schedule_id", "schedule_id", "created_at"),
)
