"""Figures of one endpoint in the current second, warm-up and measured load apart.

These methods are the hot path of the engine: the bucket arithmetic of `histogram.index_of` is written out in them, and
a request touches a handful of dicts and integers. Nothing here reads a clock.
"""

from __future__ import annotations

from collections import defaultdict

from atm.metrics.histogram import HIGHEST_NS, Histogram
from atm.metrics.interval import COUNTS, HISTOGRAMS, EndpointInterval, FailureGroup
from atm.models.outcome import FAILED, FULL_RESPONSES, Outcome

Counts = defaultdict[int, int]
"""Histogram bucket to number of samples."""

LONGEST_MESSAGE = 200


def bucketed(counts: Counts, value: int) -> int:
    """Count `value` (ns, at least 0) into its bucket; returns 1 where it had to be clamped, else 0."""
    clamped = 0
    if value > HIGHEST_NS:
        value = HIGHEST_NS
        clamped = 1
    shift = value.bit_length() - 11
    counts[value if shift <= 0 else (shift << 10) + (value >> shift)] += 1
    return clamped


def as_histogram(counts: Counts) -> Histogram:
    """The counts as a histogram; the dict is taken over, not copied."""
    histogram = Histogram()
    histogram.counts = counts
    histogram.total = sum(counts.values())
    return histogram


class EndpointFigures:
    """Counts of one endpoint since the last `take`; the fields are those of `EndpointInterval`."""

    __slots__ = (
        *COUNTS,
        *HISTOGRAMS,
        "endpoint",
        "failures",
        "ok",
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
    ok: int
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
        self.ok = 0
        self.outcomes = {}
        self.statuses = defaultdict(int)
        self.failures = {}

    def answered_ok(self, status: int, response: int, service: int, first_byte: int) -> None:
        """A full response that is ok. Times in ns, `first_byte` <= `service` <= `response`."""
        self.ok += 1
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

    def answered_badly(
        self, outcome: Outcome, message: str, status: int, response: int, service: int, first_byte: int, at: int
    ) -> None:
        """A full response that failed: `unexpected_status` or `check_failed`. `at` is its finish in the run (ns)."""
        assert outcome in FULL_RESPONSES
        self.statuses[status] += 1
        self.clamped += bucketed(self.response_failed, response)
        self.clamped += bucketed(self.service, service)
        self.clamped += bucketed(self.first_byte, first_byte)
        self._failed(outcome, message, at)

    def gave_up(self, message: str, response: int, service: int, at: int) -> None:
        """A timeout."""
        self.clamped += bucketed(self.response_timeout, response)
        self.clamped += bucketed(self.service, service)
        self._failed(Outcome.TIMEOUT, message, at)

    def ended(self, outcome: Outcome, message: str, response: int, at: int) -> None:
        """A request without a full response: an error, or our own fault (whose time says nothing and is not kept)."""
        if outcome in FAILED:
            self.clamped += bucketed(self.error_time, response)
        self._failed(outcome, message, at)

    def left_unfinished(self) -> None:
        """A request that was in flight when the run ended."""
        self.outcomes[Outcome.UNFINISHED] = self.outcomes.get(Outcome.UNFINISHED, 0) + 1
        self.touched = True

    def missed(self, field: str) -> None:
        """An arrival that will never start: `field` is `dropped` or `skipped`."""
        setattr(self, field, getattr(self, field) + 1)
        self.touched = True

    def missed_at_end(self, waited: int) -> None:
        """An arrival that was still waiting for a user, for `waited` ns, when sending ended."""
        self.queued_at_end += 1
        self.clamped += bucketed(self.waits_at_end, waited)
        self.touched = True

    def waited_for_user(self, waited: int) -> None:
        """An arrival that starts after waiting `waited` ns for a free user."""
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
        """What was counted since the last time, None when nothing was. Everything starts again at 0."""
        if not (self.touched or self.started or self.ok):
            return None
        outcomes = self.outcomes
        if self.ok:
            outcomes[Outcome.OK] = self.ok
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
