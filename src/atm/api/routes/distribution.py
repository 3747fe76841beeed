"""Distribution of response times over a window of a run: percentile curve, histogram and heat map."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import Query

from atm.api.deps import Plane, RunId
from atm.api.errors import bad_request
from atm.api.late_route import Routes
from atm.api.routes.series import endpoint_names
from atm.metrics.histogram import Histogram, highest_of
from atm.metrics.interval import EndpointInterval
from atm.models.control.distribution import DistributionView, HeatColumn, HeatView, QuantilePoint, RungView
from atm.models.outcome import Outcome
from atm.reports.rungs import rungs
from atm.storage import StorageInterface
from atm.storage.series.rows import ALL

router = Routes("series")

MOST_COLUMNS = 120
ROWS_PER_DECADE = 6
BEYOND = 10
"""Samples that must exceed a percentile for it to be drawn; fewer are not significant."""
_RESPONSE = ("response_ok", "response_failed", "response_timeout")
_STEPS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
_PERCENTILES = (
    *range(0, 90, 2),
    *(90 + 0.5 * step for step in range(16)),
    *(98 + 0.1 * step for step in range(10)),
    *(99 + 0.1 * step for step in range(9)),
    *(99.9 + 0.01 * step for step in range(9)),
    *(99.99 + 0.001 * step for step in range(9)),
    99.999,
)
Second = Annotated[int, Query(ge=0, le=10_000_000)]


@router.get("/runs/{run_id}/distribution", responses={404: {"description": "The run does not exist"}})
async def read_distribution(
    plane: Plane,
    run_id: RunId,
    start: Annotated[Second, Query(description="Start of the window in seconds since the start of the run.")] = 0,
    end: Annotated[Second | None, Query(description="End of the window in seconds, exclusive.")] = None,
    endpoint: Annotated[
        str | None, Query(max_length=200, description="Name of an endpoint; by default all together.")
    ] = None,
) -> DistributionView:
    """Read the distribution of times in a window, exact from merged histograms, without warm-up."""
    storage = plane.storage
    last = (await storage.series.written(run_id)).next_interval
    if end is not None and end <= start:
        raise bad_request("the window ends before it starts", "bad_window", "query.end")
    until = last if end is None else min(end, last)
    index = await _index(storage, run_id, endpoint)
    whole = await _measured(storage, run_id, start, until, index)
    response = whole.response()
    return DistributionView(
        run_id=run_id,
        start=start,
        end=until,
        endpoint=endpoint,
        samples=response.total,
        curve=_curve(whole, response),
        rungs=[
            RungView(limit_ms=rung.limit_ns / 1e6, count=rung.count, cumulative_share=rung.cumulative_share)
            for rung in rungs(response, most=24)
        ],
        heat=await _heat(storage, run_id, start, until, index, response),
    )


async def _index(storage: StorageInterface, run_id: str, endpoint: str | None) -> int:
    if endpoint is None:
        return ALL
    names = await endpoint_names(storage, run_id)
    if endpoint not in names:
        raise bad_request(
            f"the run has no endpoint {endpoint!r}", "unknown_endpoint", "query.endpoint", ", ".join(names)
        )
    return names.index(endpoint)


async def _measured(
    storage: StorageInterface, run_id: str, start: int, end: int, index: int, *, response_only: bool = False
) -> EndpointInterval:
    """Return the measured load of a window; empty if there was none."""
    if start >= end:
        return EndpointInterval(index)
    names = _RESPONSE if response_only else (*_RESPONSE, "service", "first_byte")
    window = await storage.series.window(run_id, start, end, [index], names)
    return window.endpoints.get((index, False)) or EndpointInterval(index)


def _curve(part: EndpointInterval, response: Histogram) -> list[QuantilePoint]:
    total = response.total
    drawn = [percent for percent in _PERCENTILES if total and (percent == 0 or (100 - percent) / 100 * total >= BEYOND)]
    drawn = drawn or ([0.0, 50.0] if total else [])
    beyond = part.failed + part.outcomes.get(Outcome.UNFINISHED, 0) + part.missed
    columns = (
        response.percentiles(drawn),
        part.service.percentiles(drawn),
        part.first_byte.percentiles(drawn),
        part.response_ok.percentiles(drawn, beyond),
    )
    return [
        QuantilePoint(percentile=percent, response_ms=a, service_ms=b, first_byte_ms=c, adjusted_ms=d)
        for percent, a, b, c, d in zip(drawn, *([_ms(value) for value in column] for column in columns), strict=True)
    ]


async def _heat(storage: StorageInterface, run_id: str, start: int, end: int, index: int, whole: Histogram) -> HeatView:
    step = next((step for step in _STEPS if (end - start) / step <= MOST_COLUMNS), _STEPS[-1])
    if not whole:
        return HeatView(step=step, limits_ms=[], floor_ms=0, columns=[])
    first, last = _row(whole.minimum or 1), _row(whole.maximum or 1)
    columns = []
    begin = start // step * step
    for at in range(begin, end, step):
        part = await _measured(storage, run_id, max(at, start), min(at + step, end), index, response_only=True)
        counts = [0] * (last - first + 1)
        for bucket, count in part.response().counts.items():
            counts[min(max(_row(highest_of(bucket)), first), last) - first] += count
        columns.append(HeatColumn(start=at, counts=counts))
    return HeatView(
        step=step,
        limits_ms=[_limit_ms(row + 1) for row in range(first, last + 1)],
        floor_ms=_limit_ms(first),
        columns=columns,
    )


def _row(nanoseconds: float) -> int:
    return math.floor(math.log10(max(nanoseconds, 1)) * ROWS_PER_DECADE)


def _limit_ms(row: int) -> float:
    return float(f"{10 ** (row / ROWS_PER_DECADE) / 1e6:.4g}")


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6
