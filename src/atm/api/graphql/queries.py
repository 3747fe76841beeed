"""The root type of queries: runs with everything that was measured, tests, schedules, comparisons and the storage."""

from __future__ import annotations

from typing import Annotated, Any, get_type_hints

import strawberry
from fastapi import Query as Argument

from atm.api.graphql import connection
from atm.api.graphql.docstrings import docstrings
from atm.api.graphql.fields import RunId, of_route, resolved
from atm.api.graphql.types import extend
from atm.api.routes import compare, distribution, iterations, schedules, series, storage, tests
from atm.errors import NotFoundError
from atm.models.control.runs import RunAccepted, RunSummaryView, RunView
from atm.models.control.tests import TestView
from atm.models.fleet_figures import WorkerSecond
from atm.models.run import RunResult
from atm.models.schedule import FiringView, ScheduleView
from atm.runs.live_workers import live_workers
from atm.runs.lookup import whole_run_id

MERGED = 10
"""Cost of a field that merges intervals."""
RESULT = 5
"""Cost of a document of a run that may be large."""
First = Annotated[int, Argument(ge=1, le=200, description="Most entries, from the first.")]


def _detail(name: str) -> Any:
    """Return the field of a run for a field of `RunView`, read for all runs of an answer at once."""

    async def resolve(root: RunSummaryView, info: strawberry.Info) -> Any:
        return getattr(await info.context.runs.load(root.id), name)

    hint = get_type_hints(RunView, include_extras=True)[name]
    return resolved(resolve, arguments={}, answer=hint, about=docstrings(RunView).get(name, ""))


async def result(root: RunSummaryView, info: strawberry.Info) -> RunResult | None:
    """The full result, as `atm run --json` prints it; null before the end, or if nothing was measured."""
    return await info.context.results.load(root.id)  # type: ignore[no-any-return]  # the context is untyped


async def workers(root: RunSummaryView, info: strawberry.Info) -> list[WorkerSecond]:
    """During a run on several workers: each of them in the last second. Its result has `fleet`."""
    return list(await live_workers(info.context.plane.storage, root.id))


async def run(root: None, info: strawberry.Info, id: RunId) -> RunSummaryView:
    """Read a run."""
    run_id = await whole_run_id(info.context.plane.storage, id)
    view: RunView = await info.context.runs.load(run_id)
    return view


async def run_of_firing(root: FiringView, info: strawberry.Info) -> RunSummaryView | None:
    """The run that it started, if it was not deleted."""
    return None if root.run_id is None else await _existing(info, root.run_id)


async def run_of_answer(root: RunAccepted, info: strawberry.Info) -> RunSummaryView | None:
    """The run itself."""
    return await _existing(info, root.id)


async def _existing(info: strawberry.Info, run_id: str) -> RunSummaryView | None:
    try:
        view: RunView = await info.context.runs.load(run_id)
    except NotFoundError:
        return None
    return view


async def recent(
    root: TestView, info: strawberry.Info, first: Annotated[int, Argument(ge=1, le=50)] = 10
) -> list[RunSummaryView]:
    """The newest runs with the name of this test, newest first."""
    return await info.context.newest(first).load(root.name)  # type: ignore[no-any-return]  # the context is untyped


async def all_tests(root: None, info: strawberry.Info, first: First = 50) -> list[TestView]:
    """List the stored tests by name."""
    return (await tests.list_tests(info.context.plane)).tests[:first]


async def all_schedules(root: None, info: strawberry.Info, first: First = 50) -> list[ScheduleView]:
    """List the schedules by name, each with its next due times and last firings."""
    return (await schedules.list_schedules(info.context.plane)).schedules[:first]


def extend_types() -> None:
    """Add the fields with resolvers to the types, before any is built."""
    shown = [name for name in RunView.model_fields if name not in RunSummaryView.model_fields]
    extend(
        RunSummaryView,
        {
            **{name: _detail(name) for name in shown},
            "result": resolved(result, cost=RESULT),
            "workers": resolved(workers),
            "intervals": of_route(series.read_intervals, of_run=True, cost=MERGED),
            "distribution": of_route(distribution.read_distribution, of_run=True, cost=5 * MERGED),
            "samples": of_route(series.read_samples, of_run=True, cost=RESULT),
            "iterations": of_route(iterations.read_iterations, of_run=True, cost=RESULT),
            "iteration": of_route(iterations.read_iteration, of_run=True, cost=RESULT),
        },
    )
    extend(connection.RunConnection, {"total_count": resolved(connection.total_count, cost=RESULT)})
    extend(FiringView, {"run": resolved(run_of_firing)})
    extend(RunAccepted, {"run": resolved(run_of_answer)})
    extend(TestView, {"recent": resolved(recent, page="first")})


def query_type() -> Any:
    """Return the root type of queries."""
    fields = {
        "runs": resolved(connection.runs, page="first"),
        "run": resolved(run),
        "tests": resolved(all_tests, page="first", cost=2),
        "test": of_route(tests.read_test, cost=2),
        "schedules": resolved(all_schedules, page="first", cost=3),
        "schedule": of_route(schedules.read_schedule, cost=3),
        "preview_schedule": of_route(schedules.preview_schedule),
        "firings": of_route(schedules.list_firings),
        "compare": of_route(compare.compare_runs, cost=2 * MERGED),
        "storage": of_route(storage.storage_status),
        "storage_overview": of_route(storage.storage_overview, cost=10 * MERGED),
    }
    about = "Reads; the same as the GET routes of the REST API."
    return strawberry.type(type("Query", (), fields), name="Query", description=about)
