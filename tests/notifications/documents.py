"""A notification as tests send it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from atm.models.outcome import RunStatus
from atm.models.schedule import FiringOutcome, WebhookDocument
from atm.notifications.channel import Message

DUE = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)


def document(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "event": "failure",
        "delivery": "0123456789abcdef",
        "schedule": "nightly",
        "schedule_id": "s1",
        "due": DUE,
        "outcome": FiringOutcome.FAILED,
        "error": "p99 < 300 ms: actual 412 ms",
        "run_id": "r1",
        "run_name": "checkout",
        "run_status": RunStatus.COMPLETED,
        "url": "https://shop.example/cart",
        "passed": False,
        "measurement": "valid",
        "failure_reasons": ["p99 < 300 ms: actual 412 ms"],
        "latency_p95_ms": 287.4,
        "requests_per_second": 49.98,
        "error_rate": 0.002,
    }
    return WebhookDocument.model_validate({**values, **changes}).model_dump(mode="json")


def message(url: str, kind: str = "webhook", **target: Any) -> Message:
    return Message("0123456789abcdef", document(), {"type": kind, "url": url, "on": ["failure"], **target})
