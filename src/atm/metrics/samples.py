"""Bounded collections of single requests: failure groups and samples."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass

from atm.metrics.interval import FailureGroup, Sample
from atm.models.outcome import Outcome

MOST_FAILURE_GROUPS = 200
"""Most distinct messages over a run, per endpoint and kind; others are counted together."""
OTHER_MESSAGES = "other messages"


@dataclass(slots=True)
class Failures:
    """Failures of one kind with one message at one endpoint over the whole run. Times in ns since its start."""

    endpoint: int
    outcome: Outcome
    message: str
    count: int
    first_ns: int
    last_ns: int


class FailureLog:
    """Merges the failure groups of all seconds."""

    def __init__(self, most_groups: int = MOST_FAILURE_GROUPS) -> None:
        self._most_groups = most_groups
        self._groups: dict[tuple[int, Outcome, str], Failures] = {}
        self._messages: dict[tuple[int, Outcome], int] = {}

    def add(self, group: FailureGroup) -> None:
        """Add one second's group to the run's."""
        total = self._groups.get((group.endpoint, group.outcome, group.message))
        if total is None:
            total = self._begin(group)
        total.count += group.count
        total.first_ns = min(total.first_ns, group.first_ns)
        total.last_ns = max(total.last_ns, group.last_ns)

    def _begin(self, group: FailureGroup) -> Failures:
        kind = (group.endpoint, group.outcome)
        message = group.message
        if self._messages.get(kind, 0) >= self._most_groups:
            message = OTHER_MESSAGES
        key = (*kind, message)
        if key not in self._groups:
            self._messages[kind] = self._messages.get(kind, 0) + 1
            self._groups[key] = Failures(*kind, message, 0, group.first_ns, group.last_ns)
        return self._groups[key]

    def groups(self) -> list[Failures]:
        """Return the groups, the most frequent first; among equals the earliest."""
        return sorted(self._groups.values(), key=lambda group: (-group.count, group.first_ns, group.endpoint))


class SampleShelf:
    """Keeps the first requests of each endpoint, its first failures of each kind, and the slowest requests of all.

    Engines with several threads report more than that. Warm-up has separate limits for first requests and failures, and
    is excluded from the slowest.
    """

    def __init__(self, first_per_endpoint: int, failures_per_kind: int, slowest: int) -> None:
        self._first_per_endpoint = first_per_endpoint
        self._failures_per_kind = failures_per_kind
        self._most_slowest = slowest
        self._first: dict[tuple[bool, int], list[Sample]] = {}
        self._failures: dict[tuple[bool, int, Outcome], list[Sample]] = {}
        self._slowest: list[tuple[int, tuple[int, int, int], Sample]] = []

    def add_all(self, samples: Iterable[Sample]) -> None:
        """Keep those of `samples` that are within the limits."""
        for sample in samples:
            if sample.reason == "first":
                self._keep_early(self._first.setdefault((sample.warm_up, sample.endpoint), []), sample)
            elif sample.reason == "failure":
                kind = (sample.warm_up, sample.endpoint, sample.outcome)
                self._keep_early(self._failures.setdefault(kind, []), sample)
            if not sample.warm_up:
                self._keep_slow(sample)

    def _keep_early(self, samples: list[Sample], sample: Sample) -> None:
        if len(samples) < (self._first_per_endpoint if sample.reason == "first" else self._failures_per_kind):
            samples.append(sample)

    def _keep_slow(self, sample: Sample) -> None:
        # Among equally slow requests, the earlier one is kept. Keys are unique, so samples are never compared.
        number, intended, endpoint = _key(sample)
        entry = (sample.finish_ns - intended, (-number, -intended, -endpoint), sample)
        if any(key == entry[1] for _, key, _ in self._slowest):
            return
        if len(self._slowest) < self._most_slowest:
            heapq.heappush(self._slowest, entry)
        elif self._slowest and entry[:2] > self._slowest[0][:2]:
            heapq.heapreplace(self._slowest, entry)

    def samples(self) -> list[Sample]:
        """Return every sample once, ordered by request number.

        A request sampled for several reasons has the first of: first, failure, slowest.
        """
        unique: dict[tuple[int, int, int], Sample] = {}
        for shelf in (*self._first.values(), *self._failures.values(), [entry[2] for entry in self._slowest]):
            for sample in shelf:
                unique.setdefault(_key(sample), sample)
        return [unique[key] for key in sorted(unique)]


def _key(sample: Sample) -> tuple[int, int, int]:
    """Return a unique key.

    The steps of an iteration share its number but start one after the other; the first steps of two scenarios share
    number and start.
    """
    return sample.request_number, sample.intended_ns, sample.endpoint
