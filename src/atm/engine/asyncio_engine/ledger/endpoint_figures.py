"""Figures of one endpoint in the current second, separately for warm-up and measured load.

These methods are the engine's hot path: they inline the bucket arithmetic of `histogram.index_of`, and a request
touches only a few dicts and integers. Nothing here reads a clock.
"""

from __future__ import annotations

from collections import defaultdict

from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.metrics.interval import COUNTS, HISTOGRAMS, EndpointInterval, FailureGroup
from atm.models.outcome import FAILED, FULL_RESPONSES, Outcome

Counts = defaultdict[int, int]
"""Histogram bucket to number of samples."""

LONGEST_MESSAGE = 200
_STATUS_BITS = 10
"""Bits of a status code, which has three digits."""


def bucketed(counts: Counts, value: int) -> int:
    """Count `value` (ns, at least 0) into its bucket; return 1 if it was clamped, else 0."""
    clamped = 0
    if value > HIGHEST_NS:
        value = HIGHEST_NS
        clamped = 1
    shift = value.bit_length() - 11
    counts[value if shift <= 0 else (shift << 10) + (value >> shift)] += 1
    return clamped


def as_histogram(counts: Counts) -> Histogram:
    """Return the counts as a histogram that takes over the dict without copying it."""
    histogram = Histogram()
    histogram.counts = counts
    histogram.total = sum(counts.values())
    return histogram


class EndpointFigures:
    """Counts of one endpoint since the last `take`; the fields are those of `EndpointInterval`."""

    __slots__ = (
        *COUNTS,
        *HISTOGRAMS,
        "at_once",
        "endpoint",
        "failures",
        "outcomes",
        "statuses",
        "touched",
        "warm_up",
    )

    endpoint: int
    warm_up: bool
    touched: bool
    started: int
    dropped: int
    skipped: int
    queued_at_end: int
    waited: int
    drained_ok: int
    drained_failed: int
    redirect_hops: int
    redialled: int
    bytes_received: int
    bytes_sent: int
    clamped: int
    not_reached: int
    at_once: Counts
    """Ok responses to requests that were sent when they were due, and that arrived whole: their three times are one.
    By the bucket of that time and the status, in one number (`_STATUS_BITS`)."""
    outcomes: dict[Outcome, int]
    statuses: Counts
    response_ok: Counts
    response_failed: Counts
    response_timeout: Counts
    service: Counts
    first_byte: Counts
    error_time: Counts
    waits: Counts
    waits_at_end: Counts
    failures: dict[tuple[Outcome, str], list[int]]

    def __init__(self, endpoint: int, warm_up: bool) -> None:
        self.endpoint = endpoint
        self.warm_up = warm_up
        self._clear()

    def _clear(self) -> None:
        self.touched = False
        for name in COUNTS:
            setattr(self, name, 0)
        for name in HISTOGRAMS:
            setattr(self, name, defaultdict(int))
        self.at_once = defaultdict(int)
        self.outcomes = {}
        self.statuses = defaultdict(int)
        self.failures = {}

    def count_ok(self, status: int, response: int, service: int, first_byte: int) -> None:
        """Count an ok response. Times in ns, `first_byte` <= `service` <= `response`."""
        if first_byte == response <= HIGHEST_NS:
            # The bucket of `bucketed`, without a call.
            shift = response.bit_length() - 11
            bucket = response if shift <= 0 else (shift << 10) + (response >> shift)
            self.at_once[bucket << _STATUS_BITS | status] += 1
            return
        self.statuses[status] += 1
        if response > HIGHEST_NS:
            self.clamped += 1 + (service > HIGHEST_NS) + (first_byte > HIGHEST_NS)
            response = HIGHEST_NS
            service = min(service, HIGHEST_NS)
            first_byte = min(first_byte, HIGHEST_NS)
        shift = response.bit_length() - 11
        self.response_ok[response if shift <= 0 else (shift << 10) + (response >> shift)] += 1
        shift = service.bit_length() - 11
        self.service[service if shift <= 0 else (shift << 10) + (service >> shift)] += 1
        shift = first_byte.bit_length() - 11
        self.first_byte[first_byte if shift <= 0 else (shift << 10) + (first_byte >> shift)] += 1

    def count_failed_response(
        self, outcome: Outcome, message: str, status: int, response: int, service: int, first_byte: int, at: int
    ) -> None:
        """Count a full response that failed: `unexpected_status` or `check_failed`. `at`: finish in the run (ns)."""
        assert outcome in FULL_RESPONSES
        self.statuses[status] += 1
        self.clamped += bucketed(self.response_failed, response)
        self.clamped += bucketed(self.service, service)
        self.clamped += bucketed(self.first_byte, first_byte)
        self._failed(outcome, message, at)

    def count_timeout(self, message: str, response: int, service: int, at: int) -> None:
        """Count a timeout."""
        self.clamped += bucketed(self.response_timeout, response)
        self.clamped += bucketed(self.service, service)
        self._failed(Outcome.TIMEOUT, message, at)

    def count_error(self, outcome: Outcome, message: str, response: int, at: int) -> None:
        """Count an error without a full response; the time of a generator error means nothing and is not recorded."""
        if outcome in FAILED:
            self.clamped += bucketed(self.error_time, response)
        self._failed(outcome, message, at)

    def count_unfinished(self) -> None:
        """Count a request that was in flight when the run ended."""
        self.outcomes[Outcome.UNFINISHED] = self.outcomes.get(Outcome.UNFINISHED, 0) + 1
        self.touched = True

    def count_not_reached(self, count: int = 1) -> None:
        """Count iterations that ended without a request of this step."""
        self.not_reached += count
        self.touched = True

    def missed(self, field: str) -> None:
        """Count an arrival that will never start: `field` is `dropped` or `skipped`."""
        setattr(self, field, getattr(self, field) + 1)
        self.touched = True

    def missed_at_end(self, waited: int) -> None:
        """Count an arrival that had waited `waited` ns for a user when sending ended."""
        self.queued_at_end += 1
        self.clamped += bucketed(self.waits_at_end, waited)
        self.touched = True

    def waited_for_user(self, waited: int) -> None:
        """Count an arrival that starts after waiting `waited` ns for a free user."""
        self.waited += 1
        self.clamped += bucketed(self.waits, waited)

    def _failed(self, outcome: Outcome, message: str, at: int) -> None:
        self.touched = True
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        message = message[:LONGEST_MESSAGE]
        group = self.failures.get((outcome, message))
        if group is None:
            self.failures[outcome, message] = [1, at, at]
        else:
            group[0] += 1
            group[2] = at

    def take(self) -> tuple[EndpointInterval, list[FailureGroup]] | None:
        """Return the counts since the last call, None if there were none, and reset them to 0."""
        self._spread_at_once()
        if not (self.touched or self.started or self.response_ok):
            return None
        outcomes = self.outcomes
        if self.response_ok:
            outcomes[Outcome.OK] = sum(self.response_ok.values())
        interval = EndpointInterval(self.endpoint, self.warm_up, outcomes=outcomes, statuses=dict(self.statuses))
        for name in COUNTS:
            setattr(interval, name, getattr(self, name))
        for name in HISTOGRAMS:
            setattr(interval, name, as_histogram(getattr(self, name)))
        failures = [
            FailureGroup(self.endpoint, self.warm_up, outcome, message, count, first, last)
            for (outcome, message), (count, first, last) in self.failures.items()
        ]
        self._clear()
        return interval, failures

    def _spread_at_once(self) -> None:
        """Copy the times that were counted once to the three histograms."""
        for key, count in self.at_once.items():
            bucket = key >> _STATUS_BITS
            self.statuses[key & ((1 << _STATUS_BITS) - 1)] += count
            self.response_ok[bucket] += count
            self.service[bucket] += count
            self.first_byte[bucket] += count
