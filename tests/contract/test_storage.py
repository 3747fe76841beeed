"""The contract of `atm.storage.base`, for every storage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atm.config import Settings
from atm.errors import ConflictError, NotFoundError, StaleLeaseError
from atm.models.outcome import Outcome, RunOutcome, RunStatus, StopReason
from atm.models.run import Measurement
from atm.storage import Batch, RunSeries, StorageInterface, Written, open_storage
from atm.storage.api_keys import ApiKey, Role, hash_api_key
from atm.storage.records import CancelRequest, Finish, Lease, LeaseState, Order, RunQuery, RunSource, SampleQuery
from atm.storage.test_configs import TestConfig
from atm.storage.upkeep import RetentionPolicy
from tests.storage.builders import at, completed, event, interval, iteration, new_run, result, sample

pytestmark = pytest.mark.anyio


def code(caught: pytest.ExceptionInfo[ConflictError]) -> str:
    return caught.value.problems[0].code


async def running(storage: StorageInterface, token: str = "token") -> Lease:
    """A run that has been claimed."""
    run = (await storage.runs.create(new_run())).run
    claimed = await storage.leases.claim("host:1", token, 100)
    assert claimed is not None
    assert claimed.id == run.id
    return Lease(run.id, token)


# Runs


async def test_a_created_run_is_pending_and_reads_back_as_it_was(storage: StorageInterface) -> None:
    new = new_run(total_requests=3_000_000_000, concurrency=7, tags=("b", "a", "b"), notes="why", sealed=b"\x00\xff")
    created = await storage.runs.create(new)
    assert created.is_new
    run = await storage.runs.get(new.id)
    assert run == created.run
    assert run.status is RunStatus.PENDING
    assert run.summary.created_at == new.created_at
    assert (run.summary.total_requests, run.summary.concurrency) == (3_000_000_000, 7)
    assert run.summary.tags == ("a", "b")
    assert (run.notes, run.sealed, run.spec) == ("why", b"\x00\xff", new.spec)
    assert await storage.runs.result(new.id) is None
    assert run.metrics is None


async def test_a_run_knows_how_many_endpoints_its_spec_has(storage: StorageInterface) -> None:
    spec = {"name": "Shop", "endpoints": [{"url": f"https://shop.example/{name}"} for name in "abc"]}
    for new, expected in ((new_run(), 1), (new_run(spec=spec), 3)):
        await storage.runs.create(new)
        assert (await storage.runs.get(new.id)).summary.endpoint_count == expected
    assert [run.endpoint_count for run in (await storage.runs.page(RunQuery())).runs] == [3, 1]


async def test_what_is_not_there_is_not_found(storage: StorageInterface) -> None:
    for call in (
        storage.runs.get("missing"),
        storage.runs.result("missing"),
        storage.runs.annotate("missing", notes="x"),
        storage.runs.delete("missing"),
        storage.leases.control("missing"),
        storage.leases.request_cancel("missing", CancelRequest.NOW, at(0)),
        storage.series.written("missing"),
        storage.tests.get("missing"),
        storage.tests.delete("missing"),
        storage.keys.revoke("missing", at(0)),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert await storage.series.intervals("missing") == []
    assert await storage.series.points("missing", 60) == []
    assert await storage.series.events("missing") == []
    assert await storage.series.samples("missing") == []
    assert (await storage.series.window("missing")).endpoints == {}


@pytest.mark.parametrize("run_id", ["", "../../etc", "a/b", "a b", "x" * 65, "ä"])
async def test_an_id_that_could_leave_its_folder_is_refused(storage: StorageInterface, run_id: str) -> None:
    with pytest.raises(ConflictError) as caught:
        await storage.runs.create(replace(new_run(), id=run_id))
    assert code(caught) == "invalid_id"


async def test_the_same_id_is_given_once(storage: StorageInterface) -> None:
    await storage.runs.create(new_run("one"))
    with pytest.raises(ConflictError) as caught:
        await storage.runs.create(new_run("one"))
    assert code(caught) == "run_exists"


async def test_an_idempotency_key_makes_one_run_however_often_it_comes(storage: StorageInterface) -> None:
    wanted = [new_run(idempotency_key="key", request_digest="same") for _ in range(8)]
    created = await asyncio.gather(*(storage.runs.create(each) for each in wanted))
    assert len({each.run.id for each in created}) == 1
    assert [each.is_new for each in created].count(True) == 1
    with pytest.raises(ConflictError) as caught:
        await storage.runs.create(new_run(idempotency_key="key", request_digest="another"))
    assert code(caught) == "idempotency_conflict"


async def test_deleting_a_run_frees_its_idempotency_key(storage: StorageInterface) -> None:
    first = await storage.runs.create(new_run(idempotency_key="key", request_digest="same"))
    await storage.runs.delete(first.run.id)
    assert (await storage.runs.create(new_run(idempotency_key="key", request_digest="other"))).is_new


async def test_the_start_of_an_id_finds_it(storage: StorageInterface) -> None:
    for run_id in ("abc1", "abc2", "abd", "ABC3"):
        await storage.runs.create(new_run(run_id))
    assert await storage.runs.find("abc") == ("abc1", "abc2")
    assert await storage.runs.find("ab", limit=2) == ("abc1", "abc2")
    assert await storage.runs.find("zz") == ()
    assert await storage.runs.find("ab_") == ()


async def test_pages_follow_each_other_without_gap_or_repetition(storage: StorageInterface) -> None:
    # Two of each moment, so that the id has to decide.
    ids = [f"run{number:02}" for number in range(11)]
    for number, run_id in enumerate(ids):
        await storage.runs.create(new_run(run_id, created_at=at(number // 2)))
    for order, expected in ((Order.NEWEST, ids[::-1]), (Order.OLDEST, ids)):
        seen: list[str] = []
        query = RunQuery(order=order, limit=4)
        while True:
            page = await storage.runs.page(query)
            seen += [run.id for run in page.runs]
            assert page.total == 11
            if page.next is None:
                break
            query = RunQuery(order=order, limit=4, after=page.next)
        assert seen == expected
        offset = await storage.runs.page(RunQuery(order=order, limit=4, offset=9))
        assert [run.id for run in offset.runs] == expected[9:]
        assert offset.total == 11
        for offset_by in (0, 3, 12):
            found = await storage.runs.page(RunQuery(order=order, limit=4, offset=offset_by, text="shop"))
            assert [run.id for run in found.runs] == expected[offset_by : offset_by + 4]
            assert found.total == 11


async def test_a_page_is_not_disturbed_by_what_is_added_or_deleted_meanwhile(storage: StorageInterface) -> None:
    for number in range(6):
        await storage.runs.create(new_run(f"run{number}", created_at=at(number)))
    first = await storage.runs.page(RunQuery(limit=3))
    await storage.runs.create(new_run("new", created_at=at(99)))
    await storage.runs.delete("run3")
    second = await storage.runs.page(RunQuery(limit=3, after=first.next))
    assert [run.id for run in (*first.runs, *second.runs)] == ["run5", "run4", "run3", "run2", "run1", "run0"]


async def test_filters_hold_together(storage: StorageInterface) -> None:
    await storage.runs.create(new_run("a", name="Shop", tags=("nightly",), created_at=at(1)))
    await storage.runs.create(new_run("b", name="Shop", tags=("nightly", "eu"), created_at=at(2)))
    await storage.runs.create(new_run("c", name="Pay_100%", url="https://Pay.example/", created_at=at(3)))
    lease = Lease("a", "token")
    await storage.leases.claim("me", "token", 1)
    await storage.leases.finish(lease, completed("a", passed=False))

    async def ids(**conditions: object) -> list[str]:
        page = await storage.runs.page(RunQuery(**conditions))  # type: ignore[arg-type]
        assert page.total == len(page.runs)
        assert (await storage.runs.page(RunQuery(with_total=False, **conditions))).total is None  # type: ignore[arg-type]
        return [run.id for run in page.runs]

    assert await ids() == ["c", "b", "a"]
    assert await ids(name="Shop") == ["b", "a"]
    assert await ids(name="shop") == []
    assert await ids(tag="nightly") == ["b", "a"]
    assert await ids(tag="nightly", order=Order.OLDEST) == ["a", "b"]
    assert await ids(tag="eu", status=RunStatus.PENDING) == ["b"]
    assert await ids(tag="eu", status=RunStatus.COMPLETED) == []
    assert await ids(status=RunStatus.COMPLETED) == ["a"]
    assert await ids(passed=False) == ["a"]
    assert await ids(passed=True) == []
    assert await ids(since=at(2)) == ["c", "b"]
    assert await ids(until=at(2)) == ["a"]
    assert await ids(since=at(2), until=at(3), name="Shop") == ["b"]
    assert await ids(text="pay.EXAMPLE") == ["c"]
    assert await ids(text="_100%") == ["c"]
    assert await ids(text="%") == ["c"]
    assert await ids(text="shop", tag="eu") == ["b"]


async def test_runs_are_listed_by_the_one_word_for_them(storage: StorageInterface) -> None:
    ends: dict[str, Finish | None] = {
        "passed": completed("passed"),
        "failed": completed("failed", passed=False),
        "invalid": completed("invalid", passed=None),
        "stopped": Finish(RunStatus.COMPLETED, at(9), result("stopped", passed=None), stop_reason=StopReason.STOPPED),
        "cut": Finish(RunStatus.COMPLETED, at(9), result("cut", passed=None), stop_reason=StopReason.CANCELLED),
        "cancelled": Finish(RunStatus.CANCELLED, at(9), stop_reason=StopReason.CANCELLED),
        "error": Finish(RunStatus.FAILED, at(9), error_message="no name", stop_reason=StopReason.FAILED),
        "running": None,
    }
    for number, (run_id, finish) in enumerate(ends.items()):
        await storage.runs.create(new_run(run_id, created_at=at(number)))
        claimed = await storage.leases.claim("me", f"token-{run_id}", 10)
        assert claimed is not None
        if finish is not None:
            await storage.leases.finish(Lease(claimed.id, f"token-{run_id}"), finish)
    await storage.runs.create(new_run("queued", created_at=at(99)))
    for outcome in RunOutcome:
        page = await storage.runs.page(RunQuery(outcome=outcome))
        expected = {"cancelled", "cut"} if outcome is RunOutcome.CANCELLED else {outcome.value}
        assert {run.id for run in page.runs} == expected, outcome
        assert page.total == len(expected)
        assert all(run.outcome is outcome for run in page.runs)
        named = await storage.runs.page(RunQuery(outcome=outcome, name="Shop", text="shop"))
        assert {run.id for run in named.runs} == expected, outcome
    measured = await storage.runs.page(RunQuery(measurement=Measurement.VALID))
    assert {run.id for run in measured.runs} == {"passed", "failed", "invalid", "stopped", "cut"}


async def test_notes_and_tags_are_replaced_one_without_the_other(storage: StorageInterface) -> None:
    await storage.runs.create(new_run("a", tags=("old",), notes="before"))
    run = await storage.runs.annotate("a", tags=[" new ", "eu", ""])
    assert (run.notes, run.summary.tags) == ("before", ("eu", "new"))
    run = await storage.runs.annotate("a", notes="after\x00")
    assert (run.notes, run.summary.tags) == ("after", ("eu", "new"))
    assert [each.id for each in (await storage.runs.page(RunQuery(tag="new"))).runs] == ["a"]
    assert (await storage.runs.page(RunQuery(tag="old"))).total == 0
    with pytest.raises(ConflictError) as caught:
        await storage.runs.annotate("a", tags=["x" * 129])
    assert code(caught) == "invalid_tag"


async def test_a_running_run_cannot_be_deleted_and_a_finished_one_leaves_nothing(storage: StorageInterface) -> None:
    lease = await running(storage)
    await storage.series.append(lease, Batch(intervals=(interval(0),), events=(event(1),), samples=(sample(1),)))
    with pytest.raises(ConflictError) as caught:
        await storage.runs.delete(lease.run_id)
    assert code(caught) == "run_is_running"
    await storage.leases.finish(lease, Finish(RunStatus.FAILED, at(9), error_message="no"))
    await storage.runs.delete(lease.run_id)
    assert await storage.series.intervals(lease.run_id) == []
    assert await storage.series.events(lease.run_id) == []
    assert (await storage.runs.page(RunQuery())).runs == ()


# Leases


async def test_runs_are_claimed_in_order_and_never_beyond_the_maximum(storage: StorageInterface) -> None:
    for number in (2, 0, 1):
        await storage.runs.create(new_run(f"run{number}", created_at=at(number)))
    first = await storage.leases.claim("me", "t0", 2)
    second = await storage.leases.claim("me", "t1", 2)
    assert first is not None
    assert second is not None
    assert (first.id, second.id) == ("run0", "run1")
    assert first.status is RunStatus.RUNNING
    assert first.summary.started_at is None
    assert await storage.leases.claim("me", "t2", 2) is None
    await storage.leases.finish(Lease("run0", "t0"), completed("run0"))
    third = await storage.leases.claim("me", "t3", 2)
    assert third is not None
    assert third.id == "run2"
    assert await storage.leases.claim("me", "t4", 9) is None


async def test_many_claimers_at_once_get_each_run_once(settings: Settings) -> None:
    storages = [await open_storage(settings) for _ in range(3)]
    for number in range(6):
        await storages[0].runs.create(new_run(f"run{number}", created_at=at(number)))
    claims = (storages[number % 3].leases.claim(f"owner{number}", f"token{number}", 4) for number in range(12))
    claimed = [run.id for run in await asyncio.gather(*claims) if run is not None]
    assert sorted(claimed) == ["run0", "run1", "run2", "run3"]
    assert len(await storages[1].leases.states()) == 4
    for storage in storages:
        await storage.close()


async def test_a_lease_beats_and_says_what_was_asked(storage: StorageInterface) -> None:
    lease = await running(storage)
    [before] = await storage.leases.states()
    assert before == LeaseState(lease.run_id, "host:1", "token", 0)
    control = await storage.leases.renew(lease)
    assert (control.status, control.token, control.cancel) == (RunStatus.RUNNING, "token", None)
    assert [each.beat for each in await storage.leases.states()] == [1]
    await storage.leases.started(lease, at(5), "asyncio")
    run = await storage.runs.get(lease.run_id)
    assert (run.summary.started_at, run.summary.engine) == (at(5), "asyncio")


async def test_every_write_without_the_right_token_is_refused(storage: StorageInterface) -> None:
    lease = await running(storage)
    stale = Lease(lease.run_id, "another")
    before = await storage.runs.get(lease.run_id)
    for call in (
        storage.leases.renew(stale),
        storage.leases.started(stale, at(1), "x"),
        storage.leases.finish(stale, completed(lease.run_id)),
        storage.series.append(stale, Batch(intervals=(interval(0),), events=(event(1),))),
        storage.series.append(Lease("missing", "token"), Batch()),
    ):
        with pytest.raises(StaleLeaseError):
            await call
    assert await storage.runs.get(lease.run_id) == before
    assert await storage.series.intervals(lease.run_id) == []


async def test_a_lease_that_stood_still_expires_and_its_writer_is_locked_out(storage: StorageInterface) -> None:
    lease = await running(storage)
    await storage.series.append(lease, Batch(intervals=(interval(0),)))
    [seen] = await storage.leases.states()
    assert await storage.leases.expire(seen, "the runner died", at(30))
    run = await storage.runs.get(lease.run_id)
    assert run.status is RunStatus.FAILED
    assert run.summary.stop_reason is StopReason.FAILED
    assert run.summary.completed_at == at(30)
    assert run.summary.error_message == "the runner died"
    assert run.failure_reasons == ("the runner died",)
    assert [each.second for each in await storage.series.intervals(lease.run_id)] == [0]
    for call in (
        storage.leases.renew(lease),
        storage.series.append(lease, Batch(first_interval=1, intervals=(interval(1),))),
        storage.leases.finish(lease, completed(lease.run_id)),
    ):
        with pytest.raises(StaleLeaseError):
            await call
    assert not await storage.leases.expire(seen, "again", at(31))


async def test_a_lease_that_beats_after_it_was_seen_does_not_expire(storage: StorageInterface) -> None:
    lease = await running(storage)
    [seen] = await storage.leases.states()
    await storage.leases.renew(lease)
    assert not await storage.leases.expire(seen, "too hasty", at(30))
    assert (await storage.runs.get(lease.run_id)).status is RunStatus.RUNNING


async def test_a_run_that_begins_outside_the_queue_counts_as_running(storage: StorageInterface) -> None:
    run = await storage.leases.begin(new_run("cli", source=RunSource.CLI), "me", "token")
    assert (run.status, run.summary.source) == (RunStatus.RUNNING, RunSource.CLI)
    await storage.runs.create(new_run("queued"))
    assert await storage.leases.claim("me", "other", 1) is None
    with pytest.raises(ConflictError) as caught:
        await storage.leases.begin(new_run("cli"), "me", "third")
    assert code(caught) == "run_exists"


async def test_a_finished_run_has_its_result_and_its_figures_in_lists(storage: StorageInterface) -> None:
    lease = await running(storage)
    finish = completed(lease.run_id, passed=False)
    assert finish.result is not None
    await storage.leases.finish(lease, finish)
    assert await storage.runs.result(lease.run_id) == finish.result
    run = await storage.runs.get(lease.run_id)
    assert run.failure_reasons == ("p95 < 10ms: actual 12.5 ms",)
    assert run.metrics is not None
    assert run.metrics["latency_p95_ms"] == 12.5
    assert run.endpoint_metrics is not None
    assert run.endpoint_metrics[0]["adjusted_latency_p99_ms"] == "Infinity"
    [line] = (await storage.runs.page(RunQuery())).runs
    assert line == run.summary
    assert (line.status, line.passed, line.measurement) == (RunStatus.COMPLETED, False, Measurement.VALID)
    assert (line.latency_p95_ms, line.requests_completed, line.stop_reason) == (12.5, 40, StopReason.DURATION)
    with pytest.raises(StaleLeaseError):
        await storage.leases.finish(lease, finish)


async def test_cancelling_a_pending_run_ends_it_at_once(storage: StorageInterface) -> None:
    await storage.runs.create(new_run("a"))
    assert await storage.leases.request_cancel("a", CancelRequest.GRACEFUL, at(3)) is RunStatus.CANCELLED
    run = await storage.runs.get("a")
    assert (run.summary.completed_at, run.summary.stop_reason) == (at(3), StopReason.CANCELLED)
    assert await storage.leases.claim("me", "token", 1) is None


async def test_a_running_run_sees_the_cancel_request_and_the_harder_one_stays(storage: StorageInterface) -> None:
    lease = await running(storage)
    seen = []
    for how in (CancelRequest.GRACEFUL, CancelRequest.NOW, CancelRequest.GRACEFUL):
        assert await storage.leases.request_cancel(lease.run_id, how, at(3)) is RunStatus.RUNNING
        seen.append((await storage.leases.control(lease.run_id)).cancel)
    assert seen == [CancelRequest.GRACEFUL, CancelRequest.NOW, CancelRequest.NOW]
    assert (await storage.leases.renew(lease)).cancel is CancelRequest.NOW
    await storage.leases.finish(lease, Finish(RunStatus.CANCELLED, at(4), stop_reason=StopReason.CANCELLED))
    assert await storage.leases.request_cancel(lease.run_id, CancelRequest.NOW, at(5)) is RunStatus.CANCELLED
    assert (await storage.runs.get(lease.run_id)).summary.completed_at == at(4)


# Tests and keys


async def test_test_configurations_are_kept_by_unique_name(storage: StorageInterface) -> None:
    config = TestConfig("t1", "Shop", {"url": "x"}, at(0), at(0), "what", tags=("b", "a"), sealed=b"s")
    await storage.tests.add(config)
    await storage.tests.add(TestConfig("t2", "Basket", {}, at(0), at(0)))
    kept = await storage.tests.get("t1")
    assert (kept.name, kept.spec, kept.tags, kept.sealed, kept.enabled) == (
        "Shop",
        {"url": "x"},
        ("a", "b"),
        b"s",
        True,
    )
    assert await storage.tests.named("Shop") == kept
    assert await storage.tests.named("shop") is None
    assert [each.name for each in await storage.tests.all()] == ["Basket", "Shop"]
    for clash in (TestConfig("t3", "Shop", {}, at(0), at(0)), TestConfig("t1", "Other", {}, at(0), at(0))):
        with pytest.raises(ConflictError) as caught:
            await storage.tests.add(clash)
        assert code(caught) == "name_taken"
    with pytest.raises(ConflictError):
        await storage.tests.replace(TestConfig("t1", "Basket", {}, at(0), at(1)))
    await storage.tests.replace(TestConfig("t1", "Shop 2", {}, at(0), at(1), enabled=False))
    assert (await storage.tests.get("t1")).enabled is False
    with pytest.raises(NotFoundError):
        await storage.tests.replace(TestConfig("t9", "None", {}, at(0), at(1)))
    await storage.tests.delete("t1")
    assert [each.id for each in await storage.tests.all()] == ["t2"]


async def test_the_history_knows_each_test_name_with_its_newest_run(storage: StorageInterface) -> None:
    for run_id, name, second in (("a", "Shop", 1), ("b", "Shop", 3), ("c", "Shop", 3), ("d", "Basket", 2)):
        await storage.runs.create(new_run(run_id, name=name, created_at=at(second)))
    history = [(each.name, each.runs, each.last_run.id) for each in await storage.tests.in_history()]
    assert history == [("Basket", 1, "d"), ("Shop", 3, "c")]


async def test_api_keys_are_found_by_hash_until_they_are_revoked(storage: StorageInterface) -> None:
    key = ApiKey("k1", "ci", Role.OPERATOR, hash_api_key("secret"), at(0))
    await storage.keys.add(key)
    assert await storage.keys.by_hash(hash_api_key("secret")) == key
    assert await storage.keys.by_hash(hash_api_key("Secret")) is None
    with pytest.raises(ConflictError) as caught:
        await storage.keys.add(ApiKey("k2", "ci", Role.ADMIN, hash_api_key("other"), at(1)))
    assert code(caught) == "name_taken"
    await storage.keys.used("k1", at(7))
    await storage.keys.used("missing", at(7))
    await storage.keys.revoke("k1", at(8))
    await storage.keys.revoke("k1", at(9))
    assert await storage.keys.by_hash(hash_api_key("secret")) is None
    await storage.keys.add(ApiKey("k2", "ci", Role.ADMIN, hash_api_key("other"), at(10)))
    [old, new] = await storage.keys.all()
    assert (old.revoked_at, old.last_used_at, new.role) == (at(8), at(7), Role.ADMIN)
    assert "secret" not in repr(await storage.keys.all())
    assert old.key_hash not in repr(old)


# Samples and events


async def test_samples_of_a_running_run_give_way_to_those_of_its_result(storage: StorageInterface) -> None:
    lease = await running(storage)
    live = (sample(1), sample(9, outcome=Outcome.CHECK_FAILED, reason="failure", response_ms=50.0, endpoint="pay"))
    await storage.series.append(lease, Batch(samples=live))
    assert await storage.series.samples(lease.run_id) == list(live)

    async def numbers(query: SampleQuery) -> list[int]:
        return [each.request_number for each in await storage.series.samples(lease.run_id, query)]

    assert await numbers(SampleQuery(endpoint="pay")) == [9]
    assert await numbers(SampleQuery(outcome=Outcome.OK)) == [1]
    assert await numbers(SampleQuery(reason="failure", minimum_ms=51)) == []
    assert await numbers(SampleQuery(status=200, minimum_ms=10)) == [1, 9]
    assert await numbers(SampleQuery(start=0, end=1)) == [1, 9]
    await storage.leases.finish(lease, completed(lease.run_id))
    assert await storage.series.samples(lease.run_id) == result(lease.run_id).samples
    assert await numbers(SampleQuery(outcome=Outcome.TIMEOUT)) == [2]


async def test_iterations_are_samples_of_their_own(storage: StorageInterface) -> None:
    lease = await running(storage)
    written = await storage.series.append(lease, Batch(samples=(sample(1), iteration(5), sample(2), iteration(6))))
    assert written == Written(0, 0, 4)
    assert await storage.series.sampled_iterations(lease.run_id) == [iteration(5), iteration(6)]
    assert await storage.series.samples(lease.run_id) == [sample(1), sample(2)]
    await storage.leases.finish(lease, completed(lease.run_id))
    assert await storage.series.sampled_iterations(lease.run_id) == [iteration(3)]
    assert await storage.series.samples(lease.run_id) == result(lease.run_id).samples
    assert await storage.runs.result(lease.run_id) == result(lease.run_id)
    assert await storage.series.sampled_iterations("missing") == []


async def test_samples_of_a_window_are_those_that_finished_in_its_seconds(storage: StorageInterface) -> None:
    """Due in one second and finished in another, they are where the intervals count them."""
    lease = await running(storage)
    kept = (
        sample(1, at_seconds=0.1, response_ms=20.0),
        sample(2, at_seconds=0.9, response_ms=99.999999),  # a nanosecond before the border
        sample(3, at_seconds=0.9, response_ms=100.0),  # on it
        sample(4, at_seconds=1.1, response_ms=1899.999999, endpoint="pay"),
        sample(5, at_seconds=1.1, response_ms=1900.0, endpoint="pay"),
    )
    await storage.series.append(lease, Batch(samples=kept))

    async def numbers(**fields: Any) -> list[int]:
        return [each.request_number for each in await storage.series.samples(lease.run_id, SampleQuery(**fields))]

    assert await numbers(start=0, end=1) == [1, 2]
    assert await numbers(start=1, end=2) == [3]
    assert await numbers(start=2, end=3) == [4]
    assert await numbers(start=1, end=4, endpoint="pay") == [4, 5]
    assert await numbers(start=3) == [5]
    assert await numbers(start=4) == []


async def test_events_come_back_after_a_number_in_order(storage: StorageInterface) -> None:
    lease = await running(storage)
    written = await storage.series.append(lease, Batch(events=tuple(event(number) for number in range(1, 8))))
    assert written == Written(0, 7, 0)
    assert await storage.series.events(lease.run_id, after=5) == [event(6), event(7)]
    assert await storage.series.events(lease.run_id, after=2, limit=2) == [event(3), event(4)]
    assert await storage.series.events(lease.run_id, after=7) == []


# Upkeep


async def test_prune_keeps_what_the_policy_keeps_and_everything_that_has_not_ended(storage: StorageInterface) -> None:
    for number in range(4):
        await storage.runs.create(new_run(f"run{number}", created_at=at(number)))
    for number in range(3):
        await storage.leases.claim("me", f"token{number}", 1)
        lease = Lease(f"run{number}", f"token{number}")
        await storage.series.append(lease, Batch(intervals=tuple(interval(second) for second in range(12))))
        await storage.leases.finish(lease, completed(f"run{number}", 100 * number))
    policy = RetentionPolicy(timedelta(seconds=250), None, timedelta(seconds=150), timedelta(seconds=50))
    would = await storage.upkeep.prune(policy, at(301), dry_run=True)
    assert (would.runs, would.seconds, would.samples) == (("run0",), ("run1",), ("run1", "run2"))
    assert (await storage.runs.page(RunQuery())).total == 4
    assert await storage.upkeep.prune(policy, at(301)) == would
    assert [run.id for run in (await storage.runs.page(RunQuery())).runs] == ["run3", "run2", "run1"]
    assert await storage.series.intervals("run1") == []
    assert [point.start for point in await storage.series.points("run1", 10)] == [0, 10]
    assert await storage.series.samples("run1") == []
    kept = await storage.runs.result("run1")
    assert kept is not None
    assert (kept.samples, kept.sampled_iterations) == ([], [])
    assert await storage.series.sampled_iterations("run1") == []
    assert len(await storage.series.intervals("run2")) == 12
    again = await storage.upkeep.prune(policy, at(301))
    assert (again.runs, again.seconds, again.samples) == ((), (), ())
    by_count = await storage.upkeep.prune(RetentionPolicy(runs_at_most=1), at(301))
    assert by_count.runs == ("run1", "run2")
    assert [run.id for run in (await storage.runs.page(RunQuery())).runs] == ["run3"]


async def test_the_status_says_what_there_is_and_no_password(settings: Settings, storage: StorageInterface) -> None:
    await storage.runs.create(new_run())
    status = await storage.upkeep.status()
    assert status.runs == {**dict.fromkeys(RunStatus, 0), RunStatus.PENDING: 1}
    assert status.size_bytes > 0
    assert status.schema_version
    assert status.kind in ("sqlite", "postgresql", "json")
    assert "@" not in status.location
    assert await storage.runs.counts() == status.runs


async def test_a_run_that_ended_elsewhere_is_restored_whole_or_not_at_all(storage: StorageInterface) -> None:
    lease = await running(storage)
    history = RunSeries(tuple(interval(second) for second in range(75)), (event(1), event(2)))
    with pytest.raises(ConflictError) as caught:
        await storage.runs.restore(await storage.runs.get(lease.run_id), None, [history])
    assert code(caught) == "run_not_finished"
    await storage.series.append(lease, Batch(intervals=history.intervals, events=history.events))
    await storage.leases.finish(lease, completed(lease.run_id))
    run, kept = await storage.runs.get(lease.run_id), await storage.runs.result(lease.run_id)
    points = await storage.series.points(lease.run_id, 60)
    unread = iter([history])
    with pytest.raises(ConflictError) as caught:
        await storage.runs.restore(run, kept, unread)
    assert code(caught) == "run_exists"
    # A long history takes a while to work out.
    assert list(unread) == [history]
    await storage.runs.delete(lease.run_id)
    parts = [
        RunSeries(history.intervals[:31], history.events[:1]),
        RunSeries(history.intervals[31:], history.events[1:]),
    ]
    # All of them find that it is not there, and one of them stores it.
    attempts = [storage.runs.restore(run, kept, iter(parts)) for _ in range(3)]
    refused = [each for each in await asyncio.gather(*attempts, return_exceptions=True) if each is not None]
    assert [isinstance(each, ConflictError) and each.problems[0].code for each in refused] == ["run_exists"] * 2
    assert await storage.runs.get(lease.run_id) == run
    assert await storage.runs.result(lease.run_id) == kept
    assert await storage.series.intervals(lease.run_id) == list(history.intervals)
    assert await storage.series.points(lease.run_id, 60) == points
    assert await storage.series.events(lease.run_id) == [event(1), event(2)]
