"""The list of the sampled iterations of a run."""

from __future__ import annotations

from typing import Literal

from atm.models.control.base import Answer
from atm.models.outcome import Outcome
from atm.models.samples import SampledIteration


class IterationSummary(Answer):
    """A sampled iteration without its requests and responses."""

    scenario: str
    number: int
    user: int
    reason: Literal["first", "failure", "slowest"]
    outcome: Literal["completed", "failed"]
    at_seconds: float
    time_ms: float
    active_ms: float
    """The time without think time."""
    requests: int
    failed_step: str | None
    """The endpoint of the first request that failed."""


def iteration_summary(iteration: SampledIteration) -> IterationSummary:
    """Return an iteration for the list."""
    same = set(IterationSummary.model_fields) - {"requests", "failed_step"}
    failed = (step.endpoint for step in iteration.steps if step.outcome is not Outcome.OK)
    return IterationSummary(
        **{name: getattr(iteration, name) for name in same},
        requests=len(iteration.steps) + iteration.requests_left_out,
        failed_step=next(failed, None),
    )
