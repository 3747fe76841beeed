"""A run's life, with real processes, a real storage and a real target."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from atm.config import Settings
from atm.errors import ConflictError, SpecError
from atm.models.endpoint_metrics import Metrics
from atm.models.outcome import RunStatus, StopReason
from atm.runs.service import Request, RunService
from atm.runs.supervisor import Supervisor
from atm.storage import StorageInterface
from atm.storage.records import LeaseState, Run
from atm.storage.seal import Sealer
from atm.testing import TargetServer
from tests.runs.installation import Installation, processes_of, spec
from tests.steadiness import allowed

pytestmark = pytest.mark.anyio
CANCELLED_SECONDS = 1.0
"""A run ends within this on a quiet machine, whatever state a cancel finds it in."""


async def test_a_run_is_carried_out_and_its_history_agrees_with_the_targets_record(
    installation: Installation, target: TargetServer
) -> None:
    created = await installation.service.create(spec(target, requests_per_second=50, duration=2))
    assert created.run.status is RunStatus.PENDING
    run = await installation.ended(created.run.id)
    assert (run.status, run.summary.stop_reason) == (RunStatus.COMPLETED, StopReason.DURATION)
    result = await installation.storage.runs.result(run.id)
    assert result is not None
    assert result.metrics.total_requests == target.settled_stats().received == 100
    intervals = await installation.storage.series.intervals(run.id)
    assert sum(part.ok for each in intervals for part in each.endpoints) == 100
    assert run.summary.requests_completed == 100
    kinds = [event.kind for event in await installation.storage.series.events(run.id)]
    assert kinds[0] == "started"
    assert kinds.count("interval") == len(intervals)
    assert "finished" not in kinds
    assert installation.spools() == []


async def test_runs_wait_for_each_other_in_order(installation: Installation, target: TargetServer) -> None:
    created = [await installation.service.create(spec(target, total_requests=5)) for _ in range(2)]
    ended = [await installation.ended(each.run.id) for each in created]
    starts = [run.summary.started_at for run in ended]
    ends = [run.summary.completed_at for run in ended]
    assert all(start is not None for start in starts)
    assert all(end is not None for end in ends)
    assert all(before < after for before, after in zip(ends, starts[1:], strict=False))  # type: ignore[operator]


async def test_a_cancelled_run_ends_soon_and_keeps_what_it_measured(
    installation: Installation, target: TargetServer
) -> None:
    created = await installation.service.create(spec(target, requests_per_second=50, duration=60))
    await installation.sending(created.run.id)
    requested = time.monotonic()
    await installation.service.cancel(created.run.id)
    run = await installation.ended(created.run.id)
    assert time.monotonic() - requested < allowed(5)
    assert (run.status, run.summary.stop_reason) == (RunStatus.CANCELLED, StopReason.CANCELLED)
    assert run.summary.requests_completed >= 40
    assert run.summary.passed is None


async def test_a_pending_run_is_cancelled_at_once(storage: StorageInterface, settings: Settings) -> None:
    service = RunService(storage, settings, Sealer(settings), environment={})
    created = await service.create({"name": "never", "url": "http://127.0.0.1:9/"})
    assert await service.cancel(created.run.id) is RunStatus.CANCELLED
    assert await service.cancel(created.run.id) is RunStatus.CANCELLED


@pytest.mark.parametrize("wait_seconds", [0, *(pytest.param(wait, marks=pytest.mark.prove) for wait in (0.1, 0.3))])
async def test_a_run_is_cancelled_soon_in_its_first_moments(
    installation: Installation, target: TargetServer, wait_seconds: float
) -> None:
    created = await installation.service.create(spec(target, requests_per_second=50, duration=60))
    await installation.until(created.run.id, lambda run: run.status is RunStatus.RUNNING)
    await asyncio.sleep(wait_seconds)
    requested = time.monotonic()
    await installation.service.cancel(created.run.id)
    run = await installation.ended(created.run.id)
    assert time.monotonic() - requested < allowed(CANCELLED_SECONDS)
    assert (run.status, run.summary.stop_reason) == (RunStatus.CANCELLED, StopReason.CANCELLED)
    assert run.summary.error_message is None
    assert (run.summary.requests_completed or 0) <= target.settled_stats().received


async def test_a_run_that_waits_for_its_token_is_cancelled_soon(
    installation: Installation, target: TargetServer
) -> None:
    auth = {"type": "oauth2_client_credentials", "client_id": "a", "client_secret": "b"}
    auth["token_url"] = f"{target.url}/never"
    created = await installation.service.create(spec(target, total_requests=1, auth=auth))
    async with asyncio.timeout(300):
        while not target.stats().in_progress:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    requested = time.monotonic()
    await installation.service.cancel(created.run.id)
    run = await installation.ended(created.run.id)
    assert time.monotonic() - requested < allowed(CANCELLED_SECONDS)
    assert (run.status, run.summary.started_at) == (RunStatus.CANCELLED, None)


SLOW_TO_IMPORT = """
import os, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        while name == "atm.runs.recorder" and os.path.exists({held!r}):
            time.sleep(0.02)

sys.meta_path.insert(0, Slow())
"""


def check_received(metrics: Metrics, target: TargetServer) -> None:
    """What was cut off in flight may have reached the target, or not; all else has."""
    started = metrics.total_requests
    assert started - metrics.unfinished <= target.settled_stats().received <= started


async def test_a_run_whose_recorder_is_slow_to_start_is_cancelled_without_it(
    installation: Installation, target: TargetServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "held").touch()
    (tmp_path / "sitecustomize.py").write_text(SLOW_TO_IMPORT.format(held=str(tmp_path / "held")))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    created = await installation.service.create(spec(target, requests_per_second=50, duration=60))
    async with asyncio.timeout(300):
        while not target.stats().received:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    requested = time.monotonic()
    await installation.service.cancel(created.run.id)
    run = await installation.ended(created.run.id)
    assert time.monotonic() - requested < allowed(CANCELLED_SECONDS)
    # Only the supervisor has stored it, from its spool.
    assert (run.status, run.summary.stop_reason) == (RunStatus.CANCELLED, StopReason.CANCELLED)
    result = await installation.storage.runs.result(run.id)
    assert result is not None
    check_received(result.metrics, target)
    async with asyncio.timeout(300):
        while processes_of(run.id) or list(installation.supervisor.spool_directory.iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_run_that_is_cancelled_while_it_is_claimed_never_starts(
    installation: Installation, target: TargetServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = installation.storage.leases.claim

    async def cancelled_meanwhile(owner: str, token: str, maximum: int) -> Run | None:
        run = await claim(owner, token, maximum)
        if run is not None:
            await installation.service.cancel(run.id)
        return run

    monkeypatch.setattr(installation.storage.leases, "claim", cancelled_meanwhile)
    created = await installation.service.create(spec(target, requests_per_second=50, duration=60))
    run = await installation.ended(created.run.id)
    assert (run.status, run.summary.stop_reason) == (RunStatus.CANCELLED, StopReason.CANCELLED)
    assert processes_of(run.id) == {}
    assert target.settled_stats().received == 0


async def test_a_run_whose_load_process_is_killed_fails_with_the_reason(
    installation: Installation, target: TargetServer
) -> None:
    created = await installation.service.create(spec(target, requests_per_second=50, duration=60))
    await installation.sending(created.run.id)
    os.kill(processes_of(created.run.id)["runner"], signal.SIGKILL)
    run = await installation.ended(created.run.id)
    assert run.status is RunStatus.FAILED
    assert run.summary.error_message == "the load process died by signal 9"
    assert len(await installation.storage.series.intervals(run.id)) >= 1


async def test_a_run_whose_recorder_is_killed_fails_with_all_that_it_measured(
    installation: Installation, target: TargetServer
) -> None:
    created = await installation.service.create(spec(target, requests_per_second=50, duration=60))
    await installation.sending(created.run.id)
    os.kill(processes_of(created.run.id)["recorder"], signal.SIGKILL)
    run = await installation.ended(created.run.id)
    assert run.status is RunStatus.FAILED
    assert run.summary.error_message == "the process that recorded the run died; the load was stopped"
    result = await installation.storage.runs.result(run.id)
    assert result is not None
    assert (result.run.status, result.verdict.passed) == (RunStatus.FAILED, None)
    check_received(result.metrics, target)
    started = result.metrics.total_requests
    intervals = await installation.storage.series.intervals(run.id)
    assert sum(part.started for each in intervals for part in each.endpoints) == started


async def test_a_run_that_was_claimed_and_never_started_ends_as_failed(
    storage: StorageInterface, settings: Settings, target: TargetServer
) -> None:
    sealer = Sealer(settings)
    service = RunService(storage, settings, sealer)
    created = await service.create(spec(target))
    assert await storage.leases.claim("a server that dies now", "its-token", 1) is not None
    supervisor = Supervisor(storage, settings, sealer, expiry_seconds=0.1)
    supervisor.start()
    run = await Installation(settings, storage, service, supervisor).ended(created.run.id)
    await supervisor.stop()
    assert run.status is RunStatus.FAILED
    assert run.summary.error_message is not None
    assert run.summary.error_message.startswith("its runner never reported")


async def test_a_key_makes_one_run_however_often_it_is_sent(installation: Installation, target: TargetServer) -> None:
    request = Request(idempotency_key="deploy-42")
    calls = [installation.service.create(spec(target, total_requests=1), request) for _ in range(8)]
    created = await asyncio.gather(*calls)
    assert len({each.run.id for each in created}) == 1
    assert sum(each.is_new for each in created) == 1
    with pytest.raises(ConflictError, match="used before for another request"):
        await installation.service.create(spec(target, total_requests=2), request)


async def test_credentials_are_stored_sealed_and_a_rerun_has_them(
    installation: Installation, target: TargetServer
) -> None:
    document = spec(target, "/auth/bearer?token=open-sesame", total_requests=2)
    document["auth"] = {"type": "bearer_token", "token": "open-sesame"}
    created = await installation.service.create(document)
    assert created.run.spec["auth"]["token"] == "***"
    first = await installation.ended(created.run.id)
    again = await installation.ended((await installation.service.rerun(first.id)).run.id)
    for run in (first, again):
        assert (run.status, run.summary.error_rate) == (RunStatus.COMPLETED, 0.0)
    kept = b"".join(path.read_bytes() for path in installation.settings.data_dir.rglob("*") if path.is_file())
    assert b"open-sesame" not in kept.replace(b"token=open-sesame", b"")


async def test_a_spec_that_came_back_masked_is_refused_with_the_place(installation: Installation) -> None:
    document = {"name": "x", "url": "http://127.0.0.1:9/", "auth": {"type": "bearer_token", "token": "***"}}
    with pytest.raises(SpecError) as caught:
        await installation.service.create(document)
    assert [problem.path for problem in caught.value.problems] == ["auth.token"]
    assert caught.value.problems[0].code == "credentials_needed"


async def test_a_run_that_cannot_be_compiled_any_more_fails_and_says_so(
    storage: StorageInterface, settings: Settings, target: TargetServer
) -> None:
    sealer = Sealer(settings)
    service = RunService(storage, settings, sealer, environment={"ATM_TEST_TOKEN": "here"})
    created = await service.create(spec(target, "/?t={{env:ATM_TEST_TOKEN}}"))
    supervisor = Supervisor(storage, settings, sealer, environment={})
    supervisor.start()
    run = await Installation(settings, storage, service, supervisor).ended(created.run.id)
    await supervisor.stop()
    assert run.status is RunStatus.FAILED
    assert "the environment variable ATM_TEST_TOKEN is not set" in (run.summary.error_message or "")


async def test_a_target_without_an_address_fails_the_run(installation: Installation) -> None:
    created = await installation.service.create({"name": "nowhere", "url": "http://nowhere.invalid/"})
    run = await installation.ended(created.run.id)
    assert run.status is RunStatus.FAILED
    assert run.summary.error_message == 'the name "nowhere.invalid" does not exist'


def test_a_lease_expires_by_the_observers_own_clock_and_only_while_it_stands_still() -> None:
    from atm.runs.supervisor import LeaseWatch

    watch = LeaseWatch(15)
    still, beating = LeaseState("a", "owner", "t", 3), LeaseState("b", "owner", "u", 1)
    second = 1_000_000_000
    assert watch.expired((still, beating), 0) == []
    assert watch.expired((still, LeaseState("b", "owner", "u", 2)), 14 * second) == []
    assert watch.expired((still, LeaseState("b", "owner", "u", 2)), 15 * second) == [still]
    watch.forget()
    assert watch.expired((still,), 30 * second) == []
    assert watch.expired((LeaseState("a", "owner", "another claim", 3),), 46 * second) == []
