"""Specs: validate, try, and import from curl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from atm.api.deps import Plane
from atm.api.errors import ApiError, bad_request, entries
from atm.api.late_route import Routes
from atm.api.routes.tests import files_of_test
from atm.bootstrap import ControlPlane
from atm.errors import CapabilityError, CredentialError, EngineError, SpecError
from atm.importers.curl import import_curl
from atm.models.control.specs import (
    CurlAnswer,
    CurlRequest,
    LaneView,
    LoadView,
    PlanView,
    TryAnswer,
    TryRequest,
    ValidateAnswer,
    ValidateRequest,
)
from atm.off_loop import off_loop
from atm.plan.compile import CompiledTest
from atm.plan.forecast import forecast, lane_forecast, leads_to, load_of, most_at_once
from atm.plan.load_plan import LoadPlan
from atm.plan.longest_path import most_in_iteration
from atm.runs import credentials
from atm.runs.test_files import TestFiles
from atm.runs.trials import TooManyTrialsError, TrialTimeoutError

router = Routes("specs")

MOST_TRIED = 50


@router.post("/specs/validate", response_model=ValidateAnswer)
async def validate_spec(plane: Plane, body: ValidateRequest) -> Response:
    """Validate a spec as for a new run: returns every problem, and its plan and forecast."""
    # Serialise in the thread, too: a spec with many endpoints has a large response.
    files = await files_of_test(plane, body.test)
    return Response(await off_loop(_validated, plane, body, files), media_type="application/json")


def _validated(plane: ControlPlane, body: ValidateRequest, files: TestFiles | None) -> str:
    try:
        test = plane.runs.compile(body.spec, files)
    except (SpecError, CapabilityError) as error:
        answer = ValidateAnswer(valid=False, errors=entries(error.problems), notes=[], plan=None, load=_load(body.spec))
    else:
        notes = entries(test.notes)
        load = _load(body.spec) or _load_of_lanes(test.plan)
        answer = ValidateAnswer(valid=True, errors=[], notes=notes, plan=_plan(test), load=load)
    return answer.model_dump_json()


def _load(spec: Mapping[str, Any]) -> LoadView | None:
    read = load_of(spec)
    if read is None:
        return None
    load, total, ahead = read
    return LoadView(
        model=load.model,
        arrival=load.arrival,
        most_at_once=most_at_once(load),
        most_rate=load.max_rate,
        total_requests=total,
        forecast=ahead,
    )


def _load_of_lanes(plan: LoadPlan) -> LoadView:
    """Return the load of scenarios, which only their plan tells."""
    limits = [most_at_once(lane.load) for lane in plan.lanes]
    limited = [limit for limit in limits if limit is not None]
    return LoadView(
        model=plan.model,
        arrival="poisson" if plan.is_poisson else "even",
        most_at_once=sum(limited) if len(limited) == len(limits) else None,
        most_rate=plan.lanes[0].load.max_rate if len(plan.lanes) == 1 else None,
        total_requests=plan.total,
        forecast=forecast(plan),
    )


def _plan(test: CompiledTest) -> PlanView:
    plan = test.plan
    ahead = forecast(plan)
    return PlanView(
        name=plan.name,
        model=plan.model,
        endpoints=list(plan.endpoints),
        engine=plan.engine,
        total_requests=plan.total,
        planned_seconds=ahead.seconds,
        hosts=list(dict.fromkeys(host for _, host in leads_to(test))),
        redirects=plan.connections.redirects,
        peak=ahead.peak,
        most_seconds=ahead.most_seconds,
        most_requests=ahead.most_requests,
        lanes=[
            LaneView(
                name=lane.name,
                model=lane.load.model,
                start_seconds=lane.start_ns / 1e9,
                peak=lane_forecast(lane).peak,
                total_requests=lane.total,
                requests_per_iteration=most_in_iteration(plan.flows, lane),
            )
            for lane in plan.lanes
        ],
    )


@router.post("/specs/try")
async def try_spec(plane: Plane, body: TryRequest) -> TryAnswer:
    """Send one request to each endpoint of a spec, or run one iteration of each scenario; secrets are masked."""
    credentials.reject_masks(body.spec)
    files = await files_of_test(plane, body.test)
    try:
        async with plane.runs.compiler.compiled_to_run(body.spec, files) as test:
            if len(test.plan.endpoints) > MOST_TRIED:
                what = f"at most {MOST_TRIED} endpoints can be tried at once"
                raise bad_request(what, "too_many_endpoints", "endpoints")
            trial = await plane.trials.run(test)
    except TooManyTrialsError as error:
        raise ApiError(429, error.problems) from error
    except TrialTimeoutError as error:
        raise ApiError(504, error.problems) from error
    except (EngineError, CredentialError) as error:
        raise ApiError(502, error.problems) from error
    return TryAnswer(exchanges=trial.exchanges, checks=trial.checks, exceptions=trial.exceptions)


@router.post("/import/curl")
async def import_curl_command(body: CurlRequest) -> CurlAnswer:
    """Convert a curl command into a spec, with a note on each option that does not apply to a load test."""
    imported = await off_loop(import_curl, body.command, name=body.name)
    return CurlAnswer(spec=imported.spec, notes=list(imported.notes))
