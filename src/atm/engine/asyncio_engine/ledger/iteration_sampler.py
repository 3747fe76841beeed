"""Choose iterations to sample: the first of each scenario, the first that failed, the slowest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from heapq import heappush, heappushpop
from typing import Literal, Protocol

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.ledger.masker import MASK, Masker
from atm.engine.asyncio_engine.ledger.sampler import PendingSample, SampledRequest, SampledResponse
from atm.metrics.sample import IterationSample, StepSample
from atm.models.outcome import Outcome
from atm.plan.load_plan import LoadPlan

Reason = Literal["first", "failure", "slowest"]

_MOST_VALUE = 200
"""Characters of a variable's value that are shown."""


@dataclass(frozen=True, slots=True)
class ExtractedValue:
    """A variable that a response set."""

    name: str
    text: str | None
    """None if the response had no value."""
    is_secret: bool


class EndedRequest(Protocol):
    """A request that has ended, kept for a sample of its iteration."""

    @property
    def request(self) -> SampledRequest: ...

    @property
    def response(self) -> SampledResponse | None: ...

    @property
    def outcome(self) -> Outcome: ...

    @property
    def message(self) -> str: ...

    @property
    def finish(self) -> int: ...

    @property
    def checks(self) -> Sequence[tuple[int, bool]]:
        """The plan's checks that judged its response, and whether each passed."""
        ...

    @property
    def values(self) -> Sequence[ExtractedValue]: ...


@dataclass(frozen=True, slots=True)
class EndedIteration:
    """An iteration that has ended. Times: ns of the monotonic clock."""

    flow: int
    number: int
    user: int
    intended: int
    finish: int
    think: int
    """Think time drawn."""
    is_completed: bool
    requests: Sequence[EndedRequest]
    left_out: int
    """Number of requests that are not in `requests`."""


@dataclass(slots=True)
class _Wanted:
    """The samples of one flow that are still wanted."""

    first: int
    failed: int
    slowest: list[tuple[int, int]] = field(default_factory=list)
    """A heap of the longest times and their iterations' numbers."""


class IterationSampler:
    """Selects iterations of flows with a program, outside the warm-up; samples are built once a second."""

    def __init__(self, plan: LoadPlan, masker: Masker) -> None:
        sampling = plan.sampling
        self._masker = masker
        self.epoch = 0
        """The start of the run."""
        self._body_bytes = sampling.body_bytes
        self._slowest = sampling.slowest_iterations
        self._flows = [
            _Wanted(sampling.first_iterations, sampling.failed_iterations) if flow.program or flow.code else None
            for flow in plan.flows
        ]
        self._pending: list[tuple[EndedIteration, str]] = []
        self._candidates: dict[tuple[int, int], EndedIteration] = {}
        """The slowest of this second, by flow and number."""

    def may_want(self, flow: int, *, is_warm_up: bool) -> bool:
        """Return whether an iteration that begins now may be sampled when it has ended."""
        wanted = self._flows[flow]
        return wanted is not None and not is_warm_up and bool(wanted.first or wanted.failed or self._slowest)

    def wanted(self, flow: int, number: int, active: int, *, is_completed: bool, has_failure: bool) -> Reason | None:
        """Return why an iteration that has ended is sampled; None if it is not. The caller then has to `keep` it.

        `active` is its time without think time; `has_failure`: it failed, or one of its requests did.
        """
        wanted = self._flows[flow]
        if wanted is None:
            return None
        is_slow = is_completed and self._is_among_slowest(wanted, flow, number, active)
        if wanted.first:
            wanted.first -= 1
            return "first"
        if has_failure and wanted.failed:
            wanted.failed -= 1
            return "failure"
        return "slowest" if is_slow else None

    def keep(self, iteration: EndedIteration, reason: Reason) -> None:
        """Sample an iteration."""
        if reason == "slowest":
            self._candidates[iteration.flow, iteration.number] = iteration
        else:
            self._pending.append((iteration, reason))

    def take(self) -> list[IterationSample]:
        """Return the samples of the second that has ended."""
        taken = [*self._pending, *((iteration, "slowest") for iteration in self._candidates.values())]
        self._pending = []
        self._candidates = {}
        return [self._sample(iteration, reason) for iteration, reason in taken]

    def _is_among_slowest(self, wanted: _Wanted, flow: int, number: int, active: int) -> bool:
        slowest = wanted.slowest
        if len(slowest) < self._slowest:
            heappush(slowest, (active, number))
            return True
        if not self._slowest or active <= slowest[0][0]:
            return False
        _, faster = heappushpop(slowest, (active, number))
        self._candidates.pop((flow, faster), None)
        return True

    def _sample(self, iteration: EndedIteration, reason: str) -> IterationSample:
        return IterationSample(
            iteration.flow,
            iteration.number,
            iteration.user,
            reason,
            iteration.is_completed,
            iteration.intended - self.epoch,
            iteration.finish - self.epoch,
            iteration.think,
            tuple(self._step(ended, reason) for ended in iteration.requests),
            iteration.left_out,
        )

    def _step(self, ended: EndedRequest, reason: str) -> StepSample:
        pending = PendingSample(
            self.epoch, ended.request, ended.response, ended.outcome, ended.message, ended.finish, reason
        )
        masker = self._masker.with_values(ended.request.secret_values)
        values = tuple(
            (value.name, MASK if value.is_secret else None if value.text is None else _cut(masker.text(value.text)))
            for value in ended.values
        )
        return StepSample(pending.sample(self._masker, self._body_bytes), tuple(ended.checks), values)


def _cut(text: str) -> str:
    return text[:_MOST_VALUE]
