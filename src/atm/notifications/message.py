"""A notification for people: a title and a few lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atm.models import figures

MOST_REASONS = 5
_HAPPENED = {
    "passed": "passed",
    "failed": "failed",
    "invalid": "could not be measured",
    "error": "ended in an error",
    "stopped": "was stopped",
    "cancelled": "was cancelled",
}
"""By the outcome of the firing."""


def title_of(document: Mapping[str, Any]) -> str:
    """`document` is a `WebhookDocument` as JSON."""
    outcome = document["outcome"]
    happened = "passes again" if document["event"] == "recovery" else _HAPPENED.get(outcome, outcome)
    return f"{document['schedule']} {happened}"


def body_of(document: Mapping[str, Any]) -> str:
    """The reasons first, then the figures, then where to look."""
    lines = list(document["failure_reasons"][:MOST_REASONS])
    if len(document["failure_reasons"]) > MOST_REASONS:
        lines.append(f"and {len(document['failure_reasons']) - MOST_REASONS} more")
    if not lines and document["error"]:
        lines.append(document["error"])
    found = []
    if document["latency_p95_ms"] is not None:
        found.append(f"p95 {figures.time(document['latency_p95_ms'])}")
    if document["requests_per_second"] is not None:
        found.append(f"{figures.rate(document['requests_per_second'])} requests/s")
    if document["error_rate"] is not None:
        found.append(f"{figures.share(document['error_rate'])} failed")
    if found:
        lines.append(", ".join(found))
    if document["measurement"] not in (None, "valid"):
        lines.append(f"the measurement is {document['measurement']}")
    if document["url"]:
        lines.append(document["url"])
    lines.append(f"run {document['run_id']}" if document["run_id"] else "no run was started")
    lines.append(f"due {document['due']}")
    return "\n".join(lines)
