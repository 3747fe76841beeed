"""Format a notification for people: a title and a short body. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atm.models import figures

MOST_REASONS = 5
_PHRASES = {
    "passed": "passed",
    "failed": "failed",
    "invalid": "could not be measured",
    "error": "ended in an error",
    "stopped": "was stopped",
    "cancelled": "was cancelled",
}
"""The phrase in the title for each firing outcome."""


def title_of(document: Mapping[str, Any]) -> str:
    """Return the title for a `WebhookDocument` in JSON form."""
    outcome = document["outcome"]
    phrase = "passes again" if document["event"] == "recovery" else _PHRASES.get(outcome, outcome)
    return f"{document['schedule']} {phrase}"


def body_of(document: Mapping[str, Any]) -> str:
    """Return the body: failure reasons, then metrics, then URL and run."""
    lines = list(document["failure_reasons"][:MOST_REASONS])
    if len(document["failure_reasons"]) > MOST_REASONS:
        lines.append(f"and {len(document['failure_reasons']) - MOST_REASONS} more")
    if not lines and document["error"]:
        lines.append(document["error"])
    metrics = []
    if document["latency_p95_ms"] is not None:
        metrics.append(f"p95 {figures.time(document['latency_p95_ms'])}")
    if document["requests_per_second"] is not None:
        metrics.append(f"{figures.rate(document['requests_per_second'])} requests/s")
    if document["error_rate"] is not None:
        metrics.append(f"{figures.share(document['error_rate'])} failed")
    if metrics:
        lines.append(", ".join(metrics))
    if document["measurement"] not in (None, "valid"):
        lines.append(f"the measurement is {document['measurement']}")
    if document["url"]:
        lines.append(document["url"])
    lines.append(f"run {document['run_id']}" if document["run_id"] else "no run was started")
    lines.append(f"due {document['due']}")
    return "\n".join(lines)
