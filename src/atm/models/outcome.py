"""The one place in which every request ends, and why a run ended; the words of docs/concepts (Outcomes)."""

from __future__ import annotations

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
