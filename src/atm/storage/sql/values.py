"""Convert the parts of a run's history to column values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atm.storage.records import RunEvent
from atm.storage.result import StoredSample, dumps, samples_to_text
from atm.storage.series.rows import IntervalRow


def row_values(run_id: str, row: IntervalRow) -> dict[str, Any]:
    """Return the column values for `run_intervals`."""
    return {
        "run_id": run_id,
        "resolution": row.resolution,
        "start": row.start,
        "endpoint": row.endpoint,
        "warm_up": row.warm_up,
        "counts_json": row.counts,
        "figures_json": row.figures,
        "histograms": row.histograms,
    }


def event_values(run_id: str, event: RunEvent) -> dict[str, Any]:
    """Return the column values for `run_events`."""
    return {
        "run_id": run_id,
        "sequence": event.sequence,
        "kind": event.kind,
        "at": event.at,
        "data_json": dumps(dict(event.data)),
    }


def sample_values(run_id: str, first: int, samples: Sequence[StoredSample]) -> list[dict[str, Any]]:
    """Return the column values for `run_samples`, numbered from `first`."""
    texts = enumerate(samples_to_text(samples), first)
    return [{"run_id": run_id, "number": number, "sample_json": text} for number, text in texts]
