"""Sampled iterations of a run: a list without requests and responses, and one in full."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path, Query

from atm.api.deps import Plane, RunId
from atm.api.errors import ApiError
from atm.api.late_route import Routes
from atm.errors import Problem
from atm.models.control.iterations import IterationSummary, iteration_summary
from atm.models.samples import SampledIteration

router = Routes("series")

_MOST_LISTED = 20
Scenario = Annotated[str | None, Query(max_length=128, description="Only iterations of this scenario.")]


@router.get("/runs/{run_id}/iterations", responses={404: {"description": "The run does not exist"}})
async def read_iterations(
    plane: Plane, run_id: RunId, scenario: Scenario = None, reason: Literal["first", "failure", "slowest"] | None = None
) -> list[IterationSummary]:
    """List the sampled iterations, by scenario and number; filters are combined with AND."""
    await plane.storage.leases.control(run_id)
    iterations = await plane.storage.series.sampled_iterations(run_id)
    return [
        iteration_summary(iteration)
        for iteration in iterations
        if scenario in (None, iteration.scenario) and reason in (None, iteration.reason)
    ]


@router.get(
    "/runs/{run_id}/iterations/{number}", responses={404: {"description": "The run or the sample does not exist"}}
)
async def read_iteration(
    plane: Plane,
    run_id: RunId,
    number: Annotated[int, Path(ge=1, le=10**15, description="Number of the iteration in its scenario, from 1.")],
    scenario: Scenario = None,
) -> SampledIteration:
    """Read a sampled iteration with every request, response, check and extracted value, secrets masked.

    Each scenario has its own numbers: without `scenario`, this is the first one with a sample of this number.
    """
    await plane.storage.leases.control(run_id)
    iterations = await plane.storage.series.sampled_iterations(run_id)
    for iteration in iterations:
        if iteration.number == number and scenario in (None, iteration.scenario):
            return iteration
    sampled = [f"{iteration.scenario} {iteration.number}" for iteration in iterations[:_MOST_LISTED]]
    hint = f"sampled iterations: {', '.join(sampled)}" + (", …" if len(iterations) > _MOST_LISTED else "")
    what = f"run {run_id} has no sample of iteration {number}" + (f" of {scenario}" if scenario else "")
    raise ApiError(404, Problem(what, "sample_not_found", hint=hint if sampled else ""))
