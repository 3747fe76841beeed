"""Time series and sampled requests of a run: points for plots, windows, samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Path, Query

from atm.api.deps import Plane, RunId
from atm.api.errors import ApiError, bad_request
from atm.api.late_route import Routes
from atm.api.views import check_view, generator_view, iteration_view, own_view, point_view, window_view
from atm.errors import Problem
from atm.models.control.first_design import SampledRequest, sampled_request
from atm.models.control.series import IntervalsView
from atm.models.outcome import Outcome
from atm.models.run import SampledExchange
from atm.runs.scenario_windows import RunOutline, outline_of
from atm.storage import StorageInterface
from atm.storage.records import SampleQuery
from atm.storage.series.rows import RESOLUTIONS
from atm.storage.series.scenario_rows import ScenarioPoints

router = Routes("series")

MOST_POINTS = 20_000
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The run does not exist"}}
Second = Annotated[int, Query(ge=0, le=10_000_000)]


async def endpoint_names(storage: StorageInterface, run_id: str) -> list[str]:
    """Return the endpoint names of a run in the order of its plan. Raises NotFoundError."""
    first = await storage.series.events(run_id, 0, 1)
    names = first[0].data.get("endpoints") if first and first[0].kind == "started" else None
    if isinstance(names, list):
        return list((await outline_of(storage, run_id, [str(name) for name in names])).endpoints)
    run = await storage.runs.get(run_id)
    endpoints = run.spec.get("endpoints")
    if not isinstance(endpoints, list) or not endpoints:
        return [run.summary.name]
    return [str(endpoint.get("name", "")) if isinstance(endpoint, dict) else "" for endpoint in endpoints]


@router.get("/runs/{run_id}/intervals", responses=_NOT_FOUND)
async def read_intervals(
    plane: Plane,
    run_id: RunId,
    start: Annotated[Second, Query(description="Start of the window in seconds since the start of the run.")] = 0,
    end: Annotated[Second | None, Query(description="End of the window in seconds, exclusive.")] = None,
    resolution: Annotated[
        Literal["auto", "0", "1", "10", "60", "600", "3600"],
        Query(description="Seconds per point; 0: one point for the whole window."),
    ] = "auto",
    endpoint: Annotated[
        list[str] | None, Query(max_length=200, description="Names of endpoints; `*`, the default, is all together.")
    ] = None,
    merge: Annotated[bool, Query(description="Also return the merged figures of the window.")] = False,
) -> IntervalsView:
    """Read a window of a run: points for plots, and optionally the figures of the window from merged histograms."""
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
            f"the request has {count:,} points, more than {MOST_POINTS:,}", "too_many_points", "query.resolution"
        )
    points = await storage.series.points(run_id, chosen, start, end, indices)
    generator = await storage.series.generator(run_id, chosen, start, end)
    window = await storage.series.window(run_id, start, end, indices) if merge else None
    outline = await outline_of(storage, run_id, names)
    journeys = await _scenario_points(storage, run_id, outline, chosen, start, end)
    merged = window_view(window, names) if window else None
    if merged and not outline.is_plain:
        measured = [point for point in generator if point.phase not in ("warm_up", "drain")]
        spans = [(float(point.start), point.start + point.duration_ns / 1e9) for point in measured]
        whole = await storage.series.window(
            run_id, start, end, range(len(names)), histograms=(), scenarios=len(outline.scenarios)
        )
        scenarios, checks = outline.figures(whole, spans)
        own = outline.own_figures(whole, spans)
        merged = merged.model_copy(update={"scenarios": list(scenarios), "checks": list(checks), "own_metrics": own})
    lengths = {point.start: point.duration_ns / 1e9 for point in generator}
    return IntervalsView(
        run_id=run_id,
        resolution=chosen,
        start=start,
        end=end,
        endpoints=names,
        points=[point_view(point, names) for point in points],
        generator=[generator_view(point) for point in generator],
        iterations=[iteration_view(point, outline.scenarios) for point in journeys.iterations],
        checks=[check_view(point, outline.checks, names) for point in journeys.checks],
        own_metrics=[
            own_view(point, outline.own_metrics, lengths.get(point.start, float(chosen))) for point in journeys.own
        ],
        window=merged,
        last_event=written.last_event,
    )


async def _scenario_points(
    storage: StorageInterface, run_id: str, outline: RunOutline, resolution: int, start: int, end: int | None
) -> ScenarioPoints:
    if outline.is_plain:
        return ScenarioPoints((), ())
    return await storage.series.scenarios(run_id, resolution, len(outline.scenarios), start, end)


def _check_window(start: int, end: int | None) -> None:
    if end is not None and end <= start:
        raise bad_request("the window ends before it starts", "bad_window", "query.end")


def _index(name: str, names: list[str]) -> int:
    if name == "*":
        return -1
    if name not in names:
        raise bad_request(f"the run has no endpoint {name!r}", "unknown_endpoint", "query.endpoint", ", ".join(names))
    return names.index(name)


def _resolution(seconds: int) -> int:
    """Return the finest resolution with at most 1,200 points, as the plots of the dashboard draw them."""
    return next((length for length in RESOLUTIONS if seconds <= 1200 * length), RESOLUTIONS[-1])


@router.get("/runs/{run_id}/samples", responses=_NOT_FOUND)
async def read_samples(
    plane: Plane,
    run_id: RunId,
    endpoint: Annotated[str | None, Query(max_length=128)] = None,
    outcome: Outcome | None = None,
    status: Annotated[int | None, Query(ge=100, le=999)] = None,
    reason: Literal["first", "failure", "slowest"] | None = None,
    minimum_ms: Annotated[
        float | None, Query(ge=0, description="Only requests with at least this response time.")
    ] = None,
    start: Annotated[Second, Query(description="Only requests that finished at or after this second.")] = 0,
    end: Annotated[Second | None, Query(description="Only requests that finished before this second.")] = None,
) -> list[SampledExchange]:
    """Read the sampled requests, secrets masked; filters are combined with AND."""
    await plane.storage.leases.control(run_id)
    _check_window(start, end)
    query = SampleQuery(
        endpoint=endpoint, outcome=outcome, status=status, reason=reason, minimum_ms=minimum_ms, start=start, end=end
    )
    return await plane.storage.series.samples(run_id, query)


@router.get(
    "/runs/{run_id}/requests/{number}", responses={404: {"description": "The run or the sample does not exist"}}
)
async def read_request(
    plane: Plane,
    run_id: RunId,
    number: Annotated[
        int, Path(ge=1, le=10**15, description="Number of the request in its run, from 1; in a scenario its iteration.")
    ],
    endpoint: Annotated[
        str | None,
        Query(max_length=200, description="Its endpoint, such as `order/list`; by default the one that began first."),
    ] = None,
    nth: Annotated[
        int,
        Query(ge=1, le=10**6, description="Which of several samples, in order of their starts, as of a repeated step."),
    ] = 1,
) -> SampledRequest:
    """Read the sampled request with this number; `/samples` lists all sampled requests.

    The requests of a scenario have the number of their iteration, and each scenario counts its iterations from 1:
    `endpoint` and `nth` tell which one.
    """
    await plane.storage.leases.control(run_id)
    samples = await plane.storage.series.samples(run_id)
    numbered = sorted(
        (sample for sample in samples if sample.request_number == number), key=lambda sample: sample.at_seconds
    )
    matches = [sample for sample in numbered if endpoint is None or sample.endpoint == endpoint]
    if len(matches) < nth:
        raise _no_sample(run_id, number, endpoint, nth, matches or numbered or samples)
    return sampled_request(matches[nth - 1])


def _no_sample(
    run_id: str, number: int, endpoint: str | None, nth: int, closest: Sequence[SampledExchange]
) -> ApiError:
    """Return the error for a request without a sample, with the closest ones that have one."""
    of_endpoint = "" if endpoint is None else f" at {endpoint!r}"
    nth_of = "" if nth == 1 else f" number {nth}"
    what = f"run {run_id} has no sample{nth_of} of request {number}{of_endpoint}"
    if all(sample.request_number == number for sample in closest):
        stored = [f"{count} of {name}" for name, count in Counter(sample.endpoint for sample in closest).items()]
    else:
        stored = [str(stored_number) for stored_number in sorted({sample.request_number for sample in closest})]
    hint = f"sampled requests: {', '.join(stored[:20])}" + (", …" if len(stored) > 20 else "")
    return ApiError(404, Problem(what, "sample_not_found", hint=hint if stored else ""))
