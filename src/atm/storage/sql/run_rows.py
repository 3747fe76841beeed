"""Runs as rows of a database: columns to records, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any, get_type_hints

from sqlalchemy import Row, insert, select

from atm.models.outcome import RunStatus
from atm.models.run import RunResult
from atm.plan.plan_decoder import decode
from atm.storage import records
from atm.storage.errors import corrupt, run_not_found
from atm.storage.records import CancelRequest, Finish, NewRun, Run, RunSummary, checked_tags, figures_of, search_text
from atm.storage.result import ResultDocuments, dumps, join, split
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.tables import run_tags, runs

_NAMES = {field.name: field.name for field in fields(RunSummary)} | {"tags": "tags_json"}
"""The columns of the fields of a `RunSummary`."""
_TYPES = get_type_hints(RunSummary)
SUMMARY = tuple(runs.c[column] for column in _NAMES.values())
"""The columns of a `RunSummary`."""
RESULT_COLUMNS = tuple(
    runs.c[name]
    for name in ("id", "metrics_json", "endpoint_metrics_json", "sampled_requests_json", "result_json", "spec_json")
)
"""The columns of a `RunResult`."""
ALL_COLUMNS = (
    *SUMMARY,
    runs.c.notes,
    runs.c.spec_json,
    runs.c.failure_reasons_json,
    runs.c.metrics_json,
    runs.c.endpoint_metrics_json,
    runs.c.cancel_requested,
    runs.c.sealed,
    runs.c.files_json,
)
"""The columns of a `Run`."""


async def insert_run(connection: AsyncConnection, values: Mapping[str, Any], tags: Sequence[str]) -> None:
    """Insert a run and its tags. Raises IntegrityError when id or idempotency key exist."""
    cleaned = checked_tags(tags)
    await connection.execute(insert(runs).values({**values, "tags_json": dumps(cleaned)}))
    await insert_tags(connection, values["id"], cleaned, values["created_at"])


async def insert_tags(connection: AsyncConnection, run_id: str, tags: Sequence[str], created_at: Any) -> None:
    """Insert the tags of a run into the table for searches."""
    if tags:
        rows = [{"tag": tag, "run_id": run_id, "created_at": created_at} for tag in tags]
        await connection.execute(insert(run_tags), rows)


async def fetch(connection: AsyncConnection, run_id: str) -> Run:
    """Return a run. Raises NotFoundError."""
    row = (await connection.execute(select(*ALL_COLUMNS).where(runs.c.id == run_id))).one_or_none()
    if row is None:
        raise run_not_found(run_id)
    return run_of(row)


def result_of(row: Row[*tuple[Any, ...]]) -> RunResult:
    """Return the result of a row with `RESULT_COLUMNS`. Raises CorruptDataError."""
    samples = row.sampled_requests_json or "[]"
    documents = ResultDocuments(row.metrics_json, row.endpoint_metrics_json, samples, row.result_json)
    return join(documents, _document(row.spec_json, row.id), row.id)


def summary_of(row: Row[*tuple[Any, ...]]) -> RunSummary:
    """Return the summary of a row with the columns of `SUMMARY`."""
    columns = row._mapping
    values = {name: columns[column] for name, column in _NAMES.items()}
    values["tags"] = json.loads(values["tags"])
    return RunSummary(**{name: decode(_TYPES[name], value) for name, value in values.items()})


def _columns(summary: RunSummary) -> dict[str, Any]:
    """Return a summary as column values, without the tags, which `insert_run` writes."""
    values = {column: getattr(summary, name) for name, column in _NAMES.items() if name != "tags"}
    return {column: _plain(value) for column, value in values.items()}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def run_of(row: Row[*tuple[Any, ...]]) -> Run:
    """Return the run of a row with all columns. Raises CorruptDataError."""
    try:
        return Run(
            summary_of(row),
            row.notes,
            json.loads(row.spec_json),
            tuple(json.loads(row.failure_reasons_json or "[]")),
            json.loads(row.metrics_json) if row.metrics_json else None,
            tuple(json.loads(row.endpoint_metrics_json)) if row.endpoint_metrics_json else None,
            CancelRequest(row.cancel_requested) if row.cancel_requested else None,
            row.sealed,
            json.loads(row.files_json) if row.files_json else {},
        )
    except (ValueError, TypeError) as error:
        raise corrupt(f"run {row.id}", error) from error


def new_run_values(run: NewRun) -> dict[str, Any]:
    """Return the column values of a pending run."""
    return {
        **_columns(records.summary_of(run, RunStatus.PENDING)),
        "search_text": search_text(run.name, run.url),
        "idempotency_key": run.idempotency_key,
        "request_digest": run.request_digest,
        "batch_id": run.batch.id if run.batch else None,
        "batch_limit": run.batch.most_running if run.batch else None,
        "notes": run.notes.replace("\0", ""),
        "sealed": run.sealed,
        "files_json": dumps(dict(run.files)) if run.files else None,
        "spec_json": dumps(dict(run.spec)),
    }


def restored_values(run: Run) -> dict[str, Any]:
    """Return the column values of a restored run, without its result documents."""
    return {
        **_columns(run.summary),
        "search_text": search_text(run.summary.name, run.summary.url),
        "notes": run.notes.replace("\0", ""),
        "files_json": dumps(dict(run.files)) if run.files else None,
        "spec_json": dumps(dict(run.spec)),
    }


def result_values(result: RunResult | None) -> dict[str, Any]:
    """Return the column values of a result: its documents, and the metrics that lists show."""
    if result is None:
        return {}
    documents = split(result)
    return {
        **{_NAMES[name]: _plain(value) for name, value in figures_of(result).items()},
        "metrics_json": documents.metrics,
        "endpoint_metrics_json": documents.endpoint_metrics,
        "sampled_requests_json": documents.samples,
        "result_json": documents.rest,
    }


def finish_values(finish: Finish) -> dict[str, Any]:
    """Return the column values for the end of a run, which also clear the lease."""
    stop_reason = finish.stop_reason or (finish.result.run.stop_reason if finish.result else None)
    return {
        **result_values(finish.result),
        "status": finish.status.value,
        "completed_at": finish.completed_at,
        "error_message": finish.error_message.replace("\0", "") if finish.error_message else None,
        "stop_reason": stop_reason.value if stop_reason else None,
        "failure_reasons_json": dumps(finish.failure_reasons),
        "lease_token": None,
    }


def _document(text: str, run_id: str) -> Mapping[str, Any]:
    try:
        document: Mapping[str, Any] = json.loads(text)
    except ValueError as error:
        raise corrupt(f"the spec of run {run_id}", error) from error
    return document
