"""Derive the outcome of a firing from its run, and build the notifications about it. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from atm.dataclass import dataclass
from atm.models.schedule import FiringOutcome, NotifyOn, WebhookDocument
from atm.schedules.secrets import channel_name, masked
from atm.storage.records import Run, RunSummary
from atm.storage.schedules import Delivery, Firing, Schedule, delivery_id
from atm.storage.seal import Sealer

Event = Literal["failure", "recovery", "success", "cancelled"]

DECIDED = (FiringOutcome.PASSED, FiringOutcome.FAILED, FiringOutcome.INVALID, FiringOutcome.ERROR)
"""The outcomes that judge the target; recovery compares with the last of them."""
_BAD = (FiringOutcome.FAILED, FiringOutcome.INVALID, FiringOutcome.ERROR)
_ENDED_EARLY = (FiringOutcome.STOPPED, FiringOutcome.CANCELLED)
_WANTED: Mapping[Event, tuple[NotifyOn, ...]] = {
    "failure": (NotifyOn.FAILURE, NotifyOn.ALWAYS),
    "recovery": (NotifyOn.RECOVERY, NotifyOn.ALWAYS),
    "success": (NotifyOn.ALWAYS,),
    "cancelled": (NotifyOn.ALWAYS,),
}
MOST_ERROR_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class FiringEnd:
    """The outcome of a firing, with its reason if it has one."""

    outcome: FiringOutcome
    error: str | None = None


def firing_end(run: RunSummary | None, reasons: Sequence[str] = ()) -> FiringEnd:
    """Return the outcome of a firing whose run ended with `reasons`; `run` is None when it was deleted."""
    if run is None:
        return FiringEnd(FiringOutcome.CANCELLED, "its run was deleted before it ended")
    outcome = FiringOutcome(run.outcome)
    if outcome is FiringOutcome.ERROR:
        return FiringEnd(outcome, run.error_message or "the run could not be carried out")
    if outcome in _BAD:
        default = "a threshold failed" if outcome is FiringOutcome.FAILED else "the measurement is invalid"
        return FiringEnd(outcome, _short("; ".join(reasons)) or default)
    return FiringEnd(outcome)


def event_of(outcome: FiringOutcome, before: FiringOutcome | None) -> Event | None:
    """Return the notification event of an outcome, or None; `before` is the previous outcome in `DECIDED`."""
    if outcome in _BAD:
        return "failure"
    if outcome in _ENDED_EARLY:
        return "cancelled"
    if outcome is FiringOutcome.PASSED:
        return "recovery" if before in _BAD else "success"
    return None


def deliveries(
    sealer: Sealer,
    schedule: Schedule,
    channels: Sequence[Mapping[str, Any]],
    firing: Firing,
    before: FiringOutcome | None,
    run: Run | None,
    now: datetime,
) -> tuple[Delivery, ...]:
    """Return the notifications about a firing that has ended. `channels` are unmasked."""
    event = event_of(firing.outcome, before)
    if event is None:
        return ()
    result = []
    for position, channel in enumerate(channels):
        if not set(channel["on"]) & set(_WANTED[event]):
            continue
        identifier = delivery_id(schedule.id, firing.due, position)
        shown = masked(channel)
        result.append(
            Delivery(
                id=identifier,
                schedule_id=schedule.id,
                due=firing.due,
                event=event,
                channel=channel_name(channel),
                created_at=now,
                document=_document(event, identifier, schedule, firing, run),
                target=shown,
                sealed=sealer.seal({"target": json.dumps(dict(channel))}) if shown != channel else None,
                next_attempt_at=now,
            )
        )
    return tuple(result)


def _document(event: Event, name: str, schedule: Schedule, firing: Firing, run: Run | None) -> dict[str, Any]:
    summary = run.summary if run else None
    document = WebhookDocument(
        event=event,
        delivery=name,
        schedule=schedule.name,
        schedule_id=schedule.id,
        due=firing.due,
        outcome=firing.outcome,
        error=firing.error,
        run_id=firing.run_id,
        run_name=summary.name if summary else None,
        run_status=summary.status if summary else None,
        url=summary.url if summary else None,
        passed=summary.passed if summary else None,
        run_outcome=summary.outcome if summary else None,
        measurement=summary.measurement if summary else None,
        failure_reasons=list(run.failure_reasons) if run else [],
        latency_p95_ms=_finite(summary.latency_p95_ms) if summary else None,
        requests_per_second=_finite(summary.requests_per_second) if summary else None,
        error_rate=_finite(summary.error_rate) if summary else None,
    )
    return document.model_dump(mode="json")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _short(text: str) -> str:
    return text if len(text) <= MOST_ERROR_CHARACTERS else f"{text[: MOST_ERROR_CHARACTERS - 1]}…"
