"""How a request ended, why a run ended, and the one word that everything we show uses for a run."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Outcome(StrEnum):
    """How a started request ended. Each started request has exactly one.

    `started = ok + failed + generator_error + unfinished`, for warm-up and measured load separately.
    """

    OK = "ok"
    UNEXPECTED_STATUS = "unexpected_status"
    CHECK_FAILED = "check_failed"
    TIMEOUT = "timeout"
    DNS_ERROR = "dns_error"
    CONNECT_ERROR = "connect_error"
    TLS_ERROR = "tls_error"
    CONNECTION_CLOSED = "connection_closed"
    PROTOCOL_ERROR = "protocol_error"
    RESPONSE_TOO_LARGE = "response_too_large"
    GENERATOR_ERROR = "generator_error"
    UNFINISHED = "unfinished"


FULL_RESPONSES = frozenset({Outcome.OK, Outcome.UNEXPECTED_STATUS, Outcome.CHECK_FAILED})
"""Outcomes in which a whole response was read."""

UNANSWERED = frozenset(
    {Outcome.TIMEOUT, Outcome.DNS_ERROR, Outcome.CONNECT_ERROR, Outcome.TLS_ERROR, Outcome.CONNECTION_CLOSED}
)
"""Outcomes of requests that ended without an answer, not even one that cannot be read."""

FAILED = frozenset(Outcome) - {Outcome.OK, Outcome.GENERATOR_ERROR, Outcome.UNFINISHED}
"""Outcomes that count as the target's failures; with `ok` they make `completed`."""


class StopReason(StrEnum):
    """Why no further request was started."""

    TOTAL = "total"
    DURATION = "duration"
    STAGES = "stages"
    THRESHOLD = "threshold"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    FAILED = "failed"


class RunStatus(StrEnum):
    """The life of a run; it only moves forward."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Measurement(StrEnum):
    """Can the figures be believed: was the load generator itself the limit?"""

    VALID = "valid"
    SUSPECT = "suspect"
    INVALID = "invalid"


class RunOutcome(StrEnum):
    """The one word for a run, everywhere that people or programs read about it (docs/reference/run-outcomes.json)."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    """It ran to its planned end, every threshold held, and the measurement can be believed."""
    FAILED = "failed"
    """A threshold failed, or the target never answered."""
    INVALID = "invalid"
    """The load generator was the limit, so nothing is said about the target."""
    STOPPED = "stopped"
    """It was stopped before its planned end, and what was in flight could finish."""
    CANCELLED = "cancelled"
    ERROR = "error"
    """It could not be carried out."""


def is_answered(outcomes: Mapping[Outcome, int] | Mapping[str, int], completed: int) -> bool:
    """Whether any of `completed` requests got an answer, be it one that cannot be read; true where none was completed.

    `outcomes` may leave out those that are not failures.
    """
    unanswered = sum(outcomes.get(outcome, 0) for outcome in UNANSWERED)
    return not completed or unanswered < completed


def passed_of(
    status: RunStatus, stop_reason: StopReason | None, *, thresholds_hold: bool, answered: bool, is_invalid: bool
) -> bool | None:
    """Whether a run that has ended passed; null where that cannot be said.

    Null for a run that ended in an error, was stopped or cancelled, or whose measurement is invalid. A target that
    never answered has failed whatever the measurement is worth.
    """
    if status is not RunStatus.COMPLETED or stop_reason in (StopReason.STOPPED, StopReason.CANCELLED):
        return None
    if not answered:
        return False
    return None if is_invalid else thresholds_hold


def run_outcome(status: RunStatus, stop_reason: StopReason | None, passed: bool | None) -> RunOutcome:
    """The word for a run. `passed` is what `passed_of` gave when it ended, and null before."""
    if status is RunStatus.PENDING:
        return RunOutcome.QUEUED
    if status is RunStatus.RUNNING:
        return RunOutcome.RUNNING
    if status is RunStatus.FAILED:
        return RunOutcome.ERROR
    if status is RunStatus.CANCELLED or stop_reason is StopReason.CANCELLED:
        return RunOutcome.CANCELLED
    if stop_reason is StopReason.STOPPED:
        return RunOutcome.STOPPED
    if passed is None:
        return RunOutcome.INVALID
    return RunOutcome.PASSED if passed else RunOutcome.FAILED
