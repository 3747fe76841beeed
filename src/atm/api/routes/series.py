"""The seconds of a run and the requests that were kept: plots, windows, samples."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query

from atm.api.deps import Plane, RunId
from atm.api.errors import ApiError, bad_request
from atm.api.views import generator_view, point_view, window_view
from atm.errors import Problem
from atm.models.control.first_design import SampledRequest, sampled_request
from atm.models.control.series import IntervalsView
from atm.models.outcome import Outcome
from atm.models.run import SampledExchange
from atm.storage import StorageInterface
from atm.storage.records import SampleQuery

router = APIRouter(tags=["series"])

MOST_POINTS = 20_000
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "There is no such run"}}
Second = Annotated[int, Query(ge=0, le=10_000_000)]


async def endpoint_names(storage: StorageInterface, run_id: str) -> list[str]:
    """The endpoints of a run in the order of its plan. Raises NotFoundError."""
    found = await storage.series.events(run_id, 0, 1)
    if found and found[0].kind == "started":
        return [str(name) for name in found[0].data["endpoints"]]
    run = await storage.runs.get(run_id)
    return [str(each["name"]) for each in run.spec.get("endpoints") or [{"name": run.summary.name}]]


@router.get("/runs/{run_id}/intervals", responses=_NOT_FOUND)
async def read_intervals(
    plane: Plane,
    run_id: RunId,
    start: Annotated[Second, Query(description="Seconds since the start of the run.")] = 0,
    end: Annotated[Second | None, Query(description="Up to this second, without it.")] = None,
    resolution: Annotated[
        Literal["auto", "0", "1", "10", "60"], Query(description="Seconds per point; 0: the whole run.")
    ] = "auto",
    endpoint: Annotated[
        list[str] | None, Query(max_length=200, description="Names; `*` is all together, and the default.")
    ] = None,
    merge: Annotated[bool, Query(description="Also merge the whole window from its histograms.")] = False,
) -> IntervalsView:
    """Read any window of a run: points for plots and, merged from histograms, the figures of the window itself."""
    storage = plane.storage
    written = await storage.series.written(run_id)
    _check_window(start, end)
    names = await endpoint_names(storage, run_id)
    indices = [_index(name, names) for name in endpoint] if endpoint else None
    length = (min(end, written.next_interval) if end is not None else written.next_interval) - start
    chosen = _resolution(length) if resolution == "auto" else int(resolution)
    count = max(length, 0) // max(chosen, 1) * len(indices or (0,)) if chosen else 0
    if count > MOST_POINTS:
        raise bad_request(
            f"that is {count:,} points, and {MOST_POINTS:,} is the most", "too_many_points", "query.resolution"
        )
    points = await storage.series.points(run_id, chosen, start, end, indices)
    generator = await storage.series.generator(run_id, chosen, start, end)
    window = await storage.series.window(run_id, start, end, indices) if merge else None
    return IntervalsView(
        run_id=run_id,
        resolution=chosen,
        start=start,
        end=end,
        endpoints=names,
        points=[point_view(point, names) for point in points],
        generator=[generator_view(point) for point in generator],
        window=window_view(window, names) if window else None,
        last_event=written.last_event,
    )


def _check_window(start: int, end: int | None) -> None:
    if end is not None and end <= start:
        raise bad_request("the window ends before it begins", "bad_window", "query.end")


def _index(name: str, names: list[str]) -> int:
    if name == "*":
        return -1
    if name not in names:
        raise bad_request(f"the run has no endpoint {name!r}", "unknown_endpoint", "query.endpoint", ", ".join(names))
    return names.index(name)


def _resolution(seconds: int) -> int:
    return 1 if seconds <= 1200 else 10 if seconds <= 12_000 else 60


@router.get("/runs/{run_id}/samples", responses=_NOT_FOUND)
async def read_samples(
    plane: Plane,
    run_id: RunId,
    endpoint: Annotated[str | None, Query(max_length=128)] = None,
    outcome: Outcome | None = None,
    status: Annotated[int | None, Query(ge=100, le=999)] = None,
    reason: Literal["first", "failure", "slowest"] | None = None,
    minimum_ms: Annotated[float | None, Query(ge=0, description="Response time of at least this.")] = None,
    start: Annotated[Second, Query(description="Finished at or after this second of the run.")] = 0,
    end: Annotated[Second | None, Query(description="Finished before this second of the run.")] = None,
) -> list[SampledExchange]:
    """Read the requests that were kept whole, secrets masked; all filters hold together."""
    await plane.storage.leases.control(run_id)
    _check_window(start, end)
    query = SampleQuery(
        endpoint=endpoint, outcome=outcome, status=status, reason=reason, minimum_ms=minimum_ms, start=start, end=end
    )
    return await plane.storage.series.samples(run_id, query)


@router.get("/runs/{run_id}/requests/{number}", responses={404: {"description": "There is no such run or sample"}})
async def read_request(
    plane: Plane,
    run_id: RunId,
    number: Annotated[int, Path(ge=1, le=10**15, description="The number of the request in its run, from 1.")],
) -> SampledRequest:
    """Read the request with this number, where it was kept; `/samples` lists those that were."""
    await plane.storage.leases.control(run_id)
    kept = await plane.storage.series.samples(run_id)
    found = next((each for each in kept if each.request_number == number), None)
    if found is None:
        numbers = sorted({each.request_number for each in kept})
        hint = f"it has kept {', '.join(map(str, numbers[:20]))}" + (", …" if len(numbers) > 20 else "")
        what = f"run {run_id} has not kept request {number}"
        raise ApiError(404, Problem(what, "sample_not_found", hint=hint if numbers else ""))
    return sampled_request(found)
