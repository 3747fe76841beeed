"""Outcomes: how a request ended, why a run ended, and the single word that describes a run everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Outcome(StrEnum):
    """How a started request ended. Each started request has exactly one outcome.

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
"""Outcomes with a full response."""

UNANSWERED = frozenset(
    {Outcome.TIMEOUT, Outcome.DNS_ERROR, Outcome.CONNECT_ERROR, Outcome.TLS_ERROR, Outcome.CONNECTION_CLOSED}
)
"""Outcomes of requests that got no response, not even an unreadable one."""

FAILED = frozenset(Outcome) - {Outcome.OK, Outcome.GENERATOR_ERROR, Outcome.UNFINISHED}
"""Outcomes that count as failures of the target; with `ok` they add up to `completed`."""


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
    """The status of a run; it only moves forward."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Measurement(StrEnum):
    """Whether the figures can be trusted, or the load generator itself was the limit."""

    VALID = "valid"
    SUSPECT = "suspect"
    INVALID = "invalid"


class RunOutcome(StrEnum):
    """The single word for a run in every display and format (docs/reference/run-outcomes.json)."""

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    """It ended as planned, every threshold passed, and the measurement can be trusted."""
    FAILED = "failed"
    """A threshold failed, or the target never responded."""
    INVALID = "invalid"
    """The load generator was the limit, so the target cannot be judged."""
    STOPPED = "stopped"
    """It was stopped before its planned end; requests in flight could finish."""
    CANCELLED = "cancelled"
    ERROR = "error"
    """It could not be carried out."""


def is_answered(outcomes: Mapping[Outcome, int] | Mapping[str, int], completed: int) -> bool:
    """Return whether any of `completed` requests got a response, even an unreadable one; true if none was completed.

    `outcomes` may omit those that are not failures.
    """
    unanswered = sum(outcomes.get(outcome, 0) for outcome in UNANSWERED)
    return not completed or unanswered < completed


def passed_of(
    status: RunStatus, stop_reason: StopReason | None, *, thresholds_hold: bool, answered: bool, is_invalid: bool
) -> bool | None:
    """Return whether a finished run passed; null if that is undetermined.

    Null for a run that ended in an error, was stopped or cancelled, or whose measurement is invalid. A run whose target
    never responded has failed, whatever the measurement verdict.
    """
    if status is not RunStatus.COMPLETED or stop_reason in (StopReason.STOPPED, StopReason.CANCELLED):
        return None
    if not answered:
        return False
    return None if is_invalid else thresholds_hold


def run_outcome(status: RunStatus, stop_reason: StopReason | None, passed: bool | None) -> RunOutcome:
    """Return the word for a run. `passed` is the result of `passed_of` when it ended, and null before."""
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
