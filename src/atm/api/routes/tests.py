"""Stored tests. A path takes a test's id or, if it has no slash, its name."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query

from atm.api.deps import Key, Plane, Source
from atm.api.errors import entries, entry
from atm.api.late_route import Routes
from atm.api.views import accepted, test_view
from atm.bootstrap import ControlPlane
from atm.engine.executor import new_run_id
from atm.errors import AtmError, ConflictError, NotFoundError, Problem, SpecError
from atm.models.control.errors import ErrorEntry
from atm.models.control.runs import Deleted, RunAccepted
from atm.models.control.test_files import SavedTestView
from atm.models.control.tests import (
    EnabledRequest,
    NewTestRequest,
    RunAllRequest,
    StartedRuns,
    SyncAnswer,
    TestList,
    TestRequest,
    TestView,
)
from atm.off_loop import off_loop
from atm.plan.compile import CompiledTest
from atm.plan.files import FILE_MISSING
from atm.runs import credentials
from atm.runs.batches import MOST_RUNS
from atm.runs.credential_recipients import Compile
from atm.runs.service import Request as RunRequest
from atm.runs.spec_compiler import CheckedSpec
from atm.runs.test_files import TestFiles
from atm.storage import lookup
from atm.storage.records import RunBatch, RunSource, checked_tags
from atm.storage.test_configs import TestConfig

router = Routes("tests")

Test = Annotated[str, Path(min_length=1, max_length=256, description="Id or name of the test.")]
_BATCHES = uuid.UUID("6a0f4a1e-8f0e-4c55-9f60-6f5c1f0b7a52")
"""Namespace of the ids of batches with an idempotency key."""
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"description": "The test does not exist"}}
_TAKEN: dict[int | str, dict[str, object]] = {409: {"description": "A test with this name already exists"}}


async def find_test(plane: ControlPlane, test: str) -> TestConfig:
    """Return the test with this id or name. Raises NotFoundError."""
    config = await lookup.find(plane.storage.tests, test)
    if config is None:
        raise NotFoundError(Problem(f"there is no test {test[:64]!r}", "test_not_found"))
    return config


async def files_of_test(plane: ControlPlane, test: str | None) -> TestFiles | None:
    """Return the files of the test with this id or name; None without one. Raises NotFoundError."""
    return None if test is None else await plane.runs.files_of((await find_test(plane, test)).id)


async def _view(plane: ControlPlane, config: TestConfig) -> TestView:
    history = {test.name: test for test in await plane.storage.tests.in_history()}
    return test_view(config, history.get(config.name), ())


@router.get("/tests")
async def list_tests(
    plane: Plane,
    recent: Annotated[int, Query(ge=0, le=50, description="Most recent runs to return per test.")] = 0,
) -> TestList:
    """List the stored tests by name, each with its newest run."""
    history = {test.name: test for test in await plane.storage.tests.in_history()}
    configs = await plane.storage.tests.all()
    names = [config.name for config in configs if config.name in history] if recent else []
    newest = await plane.storage.runs.newest(names, recent)
    tests = [test_view(config, history.get(config.name), newest.get(config.name, ())) for config in configs]
    return TestList(tests=tests, configs=tests, total=len(tests))


@router.post("/tests", status_code=201, responses=_TAKEN)
async def create_test(plane: Plane, body: NewTestRequest) -> SavedTestView:
    """Store a test under the name of its spec. With `from_run`, `***` in the spec is the credential of that run.

    Files that the spec names can be uploaded afterwards; until then each is a warning.
    """
    files = await plane.runs.files_of("")
    whole = await _whole(plane, body, files)
    now = datetime.now(UTC)
    checked = await off_loop(plane.runs.compiler.check, whole, files, files_may_be_missing=True)
    config = _config(plane, new_run_id(), body, checked, now, now)
    await plane.storage.tests.add(config)
    return _saved(await _view(plane, config), checked)


def _saved(view: TestView, checked: CheckedSpec) -> SavedTestView:
    missing = [problem for problem in checked.test.notes if problem.code == FILE_MISSING]
    return SavedTestView(**dict(view), named_files=list(checked.files), warnings=entries(missing))


def _compile(plane: ControlPlane, files: TestFiles) -> Compile:
    def compiled(spec: Mapping[str, Any]) -> CompiledTest:
        return plane.runs.compiler.check(spec, files, files_may_be_missing=True).test

    return compiled


async def _whole(plane: ControlPlane, body: NewTestRequest, files: TestFiles) -> dict[str, object]:
    if body.from_run is None:
        credentials.reject_masks(body.spec)
        return dict(body.spec)
    run = await plane.storage.runs.get(body.from_run)
    before = credentials.known_spec(plane.sealer, run.spec, run.sealed)
    return await off_loop(credentials.restored, body.spec, before, _compile(plane, files))


@router.post("/tests/sync")
async def sync_tests(plane: Plane) -> SyncAnswer:
    """Store a test for each test name in the history that has none, with its newest spec."""
    names = {test.name for test in await plane.storage.tests.all()}
    created = []
    for test in await plane.storage.tests.in_history():
        if test.name in names or lookup.looks_like_id(test.name):
            continue
        run = await plane.storage.runs.get(test.last_run.id)
        now = datetime.now(UTC)
        await plane.storage.tests.add(
            TestConfig(new_run_id(), test.name, dict(run.spec), now, now, tags=run.summary.tags, sealed=run.sealed)
        )
        created.append(test.name)
    message = f"{len(created)} {'test' if len(created) == 1 else 'tests'} created from the history"
    return SyncAnswer(created=created, total=len(names) + len(created), synced=len(created), message=message)


@router.post(
    "/tests/run-all", status_code=202, responses={409: {"description": "The key was used with another request"}}
)
async def run_all_tests(
    plane: Plane, source: Source, body: RunAllRequest | None = None, idempotency_key: Key = None
) -> StartedRuns:
    """Start one batch of runs of the stored tests, by name: every enabled test, or those with the tags or names."""
    wanted = body or RunAllRequest()
    chosen = await _chosen(plane, wanted)
    if len(chosen) * wanted.repetitions > MOST_RUNS:
        what = f"{len(chosen)} tests with {wanted.repetitions} runs each are more than {MOST_RUNS:,} runs"
        raise SpecError(Problem(what, "batch_too_large", path="body.repetitions", hint="Choose fewer tests or runs"))
    batch = RunBatch(_batch_id(idempotency_key), wanted.max_concurrency)
    options = wanted.model_dump_json()
    runs: list[RunAccepted] = []
    skipped: list[ErrorEntry] = []
    started = 0
    for config in chosen:
        try:
            for number in range(wanted.repetitions):
                key = _run_key(idempotency_key, config.id, number)
                runs.append(await _run(plane, config, source, batch, key, options if key else ""))
            started += 1
        except ConflictError:
            raise
        except AtmError as error:
            skipped += [entry(problem).model_copy(update={"path": config.name}) for problem in error.problems[:1]]
    accepted_runs = f"{len(runs)} {'run' if len(runs) == 1 else 'runs'}"
    tests = f"{started} {'test' if started == 1 else 'tests'}"
    return StartedRuns(
        batch_id=batch.id,
        runs=runs,
        run_ids=[run.id for run in runs],
        skipped=skipped,
        total_tests=started,
        message=f"{accepted_runs} of {tests} accepted",
    )


@router.get("/tests/{test}", responses=_NOT_FOUND)
async def read_test(plane: Plane, test: Test) -> TestView:
    """Read a test."""
    return await _view(plane, await find_test(plane, test))


@router.put("/tests/{test}", responses={**_NOT_FOUND, **_TAKEN})
async def replace_test(plane: Plane, test: Test, body: TestRequest) -> SavedTestView:
    """Replace a test; its files stay. Credentials sent as `***` are unchanged, unless the target differs."""
    before = await find_test(plane, test)
    before_spec = credentials.known_spec(plane.sealer, before.spec, before.sealed)
    files = await plane.runs.files_of(before.id)
    whole = await off_loop(credentials.restored, body.spec, before_spec, _compile(plane, files))
    checked = await off_loop(plane.runs.compiler.check, whole, files, files_may_be_missing=True)
    config = _config(plane, before.id, body, checked, before.created_at, datetime.now(UTC))
    await plane.storage.tests.replace(config)
    return _saved(await _view(plane, config), checked)


@router.delete("/tests/{test}", responses=_NOT_FOUND)
async def delete_test(plane: Plane, test: Test) -> Deleted:
    """Delete a test and its files. Its runs stay."""
    config = await find_test(plane, test)
    await plane.storage.tests.delete(config.id)
    return Deleted(id=config.id, message="the test is deleted")


@router.post("/tests/{test}/enabled", responses=_NOT_FOUND)
async def enable_test(plane: Plane, test: Test, body: EnabledRequest) -> TestView:
    """Enable or disable a test. `run-all` skips disabled tests."""
    from dataclasses import replace

    config = replace(await find_test(plane, test), enabled=body.enabled, updated_at=datetime.now(UTC))
    await plane.storage.tests.replace(config)
    return await _view(plane, config)


@router.post("/tests/{test}/run", status_code=202, responses=_NOT_FOUND)
async def run_test(plane: Plane, test: Test, source: Source) -> RunAccepted:
    """Start a run of a test."""
    return await _run(plane, await find_test(plane, test), source)


async def _run(
    plane: ControlPlane,
    config: TestConfig,
    source: RunSource,
    batch: RunBatch | None = None,
    key: str | None = None,
    batch_options: str = "",
) -> RunAccepted:
    spec = credentials.unseal(plane.sealer, config.spec, config.sealed)
    files = await plane.runs.files_of(config.id)
    request = RunRequest(config.tags, "", key, source, batch, batch_options, files)
    created = await plane.runs.create(spec, request)
    return accepted(created.run, is_new=created.is_new)


async def _chosen(plane: ControlPlane, wanted: RunAllRequest) -> Sequence[TestConfig]:
    """Return the tests of a batch, by name. Raises NotFoundError for a test that does not exist."""
    if wanted.tests is None:
        configs = list(await plane.storage.tests.all())
    else:
        by_id = {config.id: config for config in [await find_test(plane, test) for test in wanted.tests]}
        configs = sorted(by_id.values(), key=lambda config: config.name)
    return [
        config
        for config in configs
        if (config.enabled or not wanted.enabled_only) and set(wanted.tags) <= set(config.tags)
    ]


def _batch_id(key: str | None) -> str:
    """Return a new id; with an idempotency key, the same one each time."""
    return new_run_id() if key is None else str(uuid.uuid5(_BATCHES, key))


def _run_key(key: str | None, test_id: str, number: int) -> str | None:
    return None if key is None else hashlib.sha256(f"{key}\n{test_id}\n{number}".encode()).hexdigest()


def _config(
    plane: ControlPlane, test_id: str, body: TestRequest, checked: CheckedSpec, created: datetime, now: datetime
) -> TestConfig:
    compiled = checked.test
    return TestConfig(
        id=test_id,
        name=lookup.checked_name(compiled.spec.name),
        spec=compiled.data,
        created_at=created,
        updated_at=now,
        description=body.description,
        enabled=body.enabled,
        tags=checked_tags(body.tags),
        sealed=credentials.seal(plane.sealer, compiled.spec.to_data()),
    )
