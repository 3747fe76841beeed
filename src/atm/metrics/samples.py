"""Bounded collections of single requests and iterations: failure groups and samples."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import replace

from atm.dataclass import dataclass
from atm.metrics.interval import FailureGroup
from atm.metrics.sample import IterationSample, Sample
from atm.models.outcome import Outcome

MOST_FAILURE_GROUPS = 200
"""Most distinct messages over a run, per endpoint and kind; others are counted together."""
OTHER_MESSAGES = "other messages"
MOST_ITERATION_BYTES = 1_500_000
"""Limit of the sampled iterations of a run, shared equally by its scenarios: results have to fit into bundles."""


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

        A request sampled for several reasons has the first of: first, failure, slowest. One that is beyond the limit of
        the first ones, as of another thread or worker, has the reason for which it was kept.
        """
        slowest = [replace(sample, reason="slowest") for _, _, sample in self._slowest]
        unique: dict[tuple[int, int, int], Sample] = {}
        for shelf in (*self._first.values(), *self._failures.values(), slowest):
            for sample in shelf:
                unique.setdefault(_key(sample), sample)
        return [unique[key] for key in sorted(unique)]


def _key(sample: Sample) -> tuple[int, int, int]:
    """Return a unique key.

    The steps of an iteration share its number but start one after the other; the first steps of two scenarios share
    number and start.
    """
    return sample.request_number, sample.intended_ns, sample.endpoint


class IterationShelf:
    """Keeps the first iterations of each scenario, the first that failed or had a failed request, and the slowest.

    Engines with several threads report more than that.
    """

    def __init__(self, scenarios: int, first: int = 2, failed: int = 3, slowest: int = 5) -> None:
        self._most = {"first": first, "failure": failed, "slowest": slowest}
        self._most_bytes = MOST_ITERATION_BYTES // max(scenarios, 1)
        self._shelves: dict[int, dict[str, list[IterationSample]]] = {}
        self._bytes: dict[int, int] = {}
        """By flow, as its shelves."""

    def add_all(self, samples: Iterable[IterationSample]) -> None:
        """Keep those of one second that are within the limits."""
        for sample in sorted(samples, key=lambda sample: sample.finish_ns):
            shelves = self._shelves.setdefault(sample.flow, {reason: [] for reason in self._most})
            if sample.reason != "slowest" and self._put(sample, sample.reason, shelves):
                continue
            if sample.is_completed:
                self._put(sample, "slowest", shelves)

    def _put(self, sample: IterationSample, reason: str, shelves: dict[str, list[IterationSample]]) -> bool:
        """Put a sample on a shelf, in place of a faster one on that of the slowest; return whether there is room."""
        shelf = shelves[reason]
        replaced = None
        if len(shelf) >= self._most[reason]:
            replaced = min(shelf, key=lambda kept: kept.active_ns, default=None) if reason == "slowest" else None
            if replaced is None or replaced.active_ns >= sample.active_ns:
                return False
        size = self._bytes.get(sample.flow, 0) + _size(sample) - (_size(replaced) if replaced else 0)
        if size > self._most_bytes:
            return False
        if replaced is not None:
            shelf.remove(replaced)
        shelf.append(sample if sample.reason == reason else replace(sample, reason=reason))
        self._bytes[sample.flow] = size
        return True

    def samples(self) -> list[IterationSample]:
        """Return every sample, ordered by scenario and number."""
        kept = [sample for shelves in self._shelves.values() for shelf in shelves.values() for sample in shelf]
        return sorted(kept, key=lambda sample: (sample.flow, sample.number))


def _size(sample: IterationSample) -> int:
    """Return about how many bytes a sample takes in a result."""
    return 500 + sum(_step_size(step.sample) for step in sample.steps)


def _step_size(sample: Sample) -> int:
    sides = [sample.request, *([sample.response] if sample.response else [])]
    texts = [sample.url, sample.message, *(text for side in sides for text in (side.head, side.body))]
    pairs = [pair for side in sides for pair in side.headers]
    return 1_000 + sum(len(text.encode()) for text in texts) + sum(len(name) + len(value) + 10 for name, value in pairs)
