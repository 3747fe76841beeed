"""What `atm.storage.schedules` promises, asked of every storage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atm.config import Settings
from atm.errors import ConflictError, NotFoundError
from atm.models.outcome import RunStatus
from atm.models.schedule import DeliveryStatus, FiringOutcome, Misfire, Overlap
from atm.storage import StorageInterface, open_storage
from atm.storage.records import CancelRequest, RunQuery
from atm.storage.schedules import KEPT_FIRINGS, MOST_QUEUED, Delivery, Fire, Firing, Schedule, delivery_id
from atm.storage.upkeep import RetentionPolicy
from tests.storage.builders import at, new_run

pytestmark = pytest.mark.anyio


def schedule(name: str = "nightly", **changes: Any) -> Schedule:
    values: dict[str, Any] = {
        "id": name,
        "name": name,
        "trigger": {"type": "interval", "seconds": 10},
        "created_at": at(0),
        "updated_at": at(0),
        "spec": {"name": "Shop", "url": "https://shop.example/"},
        "next_due": at(10),
        "next_at": at(10),
    }
    return Schedule(**{**values, **changes})


def fire(seen: Schedule, **changes: Any) -> Fire:
    """The next due time of an interval of 10 s, with a run."""
    assert seen.next_due is not None
    following = at((seen.next_due - at(0)).total_seconds() + 10)
    values: dict[str, Any] = {
        "seen": seen,
        "due": seen.next_due,
        "at": seen.next_due,
        "claimed_by": "host:1",
        "next_due": following,
        "next_at": following,
        "run": new_run(),
    }
    return Fire(**{**values, **changes})


def delivery(position: int = 0, **changes: Any) -> Delivery:
    due = at(10)
    values: dict[str, Any] = {
        "id": delivery_id("nightly", due, position),
        "schedule_id": "nightly",
        "due": due,
        "event": "failure",
        "channel": "https://hooks.example/…",
        "created_at": due,
        "document": {"event": "failure"},
        "target": {"type": "webhook", "url": "***"},
        "sealed": b"\x00\xff",
        "next_attempt_at": due,
    }
    return Delivery(**{**values, **changes})


async def fired(storage: StorageInterface, name: str = "nightly", **changes: Any) -> Firing:
    """The firing of the schedule's next due time."""
    done = await storage.schedules.fire(fire(await storage.schedules.get(name), **changes))
    assert done is not None
    return done


async def test_a_schedule_reads_back_as_it_was(storage: StorageInterface) -> None:
    whole = schedule(
        description="why",
        enabled=False,
        test=None,
        sealed=b"\x00\xff",
        max_runs=3_000_000_000,
        tags=("a", "b"),
        overlap=Overlap.QUEUE,
        misfire=Misfire.SKIP,
        misfire_grace_seconds=7,
        jitter_seconds=30,
        start_date=at(-5),
        end_date=at(500),
        notify=({"type": "webhook", "url": "https://hooks.example/", "on": ["always"]},),
        next_due=None,
        next_at=None,
    )
    await storage.schedules.add(whole)
    await storage.schedules.add(schedule("another", spec=None, test="checkout"))
    assert await storage.schedules.get("nightly") == whole
    assert await storage.schedules.named("nightly") == whole
    assert [each.name for each in await storage.schedules.all()] == ["another", "nightly"]


async def test_names_are_unique_and_what_is_not_there_is_not_found(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    with pytest.raises(ConflictError, match="nightly"):
        await storage.schedules.add(schedule(id="other"))
    await storage.schedules.add(schedule("second"))
    with pytest.raises(ConflictError, match="nightly"):
        await storage.schedules.replace(schedule(id="second"))
    for call in (
        storage.schedules.get("nobody"),
        storage.schedules.delete("nobody"),
        storage.schedules.replace(schedule("nobody")),
    ):
        with pytest.raises(NotFoundError):
            await call
    assert await storage.schedules.named("nobody") is None
    assert await storage.schedules.firings("nobody") == ()


async def test_a_change_of_what_was_not_seen_is_refused(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    seen = await storage.schedules.get("nightly")
    changed = await storage.schedules.replace(replace(seen, description="first"))
    assert changed.version == seen.version + 1
    with pytest.raises(ConflictError) as caught:
        await storage.schedules.replace(replace(seen, description="second"))
    assert caught.value.problems[0].code == "schedule_changed"
    assert (await storage.schedules.get("nightly")).description == "first"


async def test_due_are_those_that_are_enabled_and_whose_time_has_come(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule("late", next_at=at(12)))
    await storage.schedules.add(schedule("first", next_at=at(3)))
    await storage.schedules.add(schedule("paused", enabled=False))
    await storage.schedules.add(schedule("ended", next_due=None, next_at=None))
    await storage.schedules.add(schedule("future", next_at=at(13)))
    assert [each.name for each in await storage.schedules.due(at(12))] == ["first", "late"]
    assert await storage.schedules.due(at(2)) == ()


async def test_a_firing_its_run_and_the_next_due_time_come_together(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule(tags=("nightly",)))
    run = new_run(tags=("nightly",))
    firing = await fired(storage, run=run, missed=3)
    assert firing == Firing("nightly", at(10), at(10), "host:1", FiringOutcome.STARTED, run.id, None, 3)
    assert (await storage.runs.get(run.id)).status is RunStatus.PENDING
    assert (await storage.runs.page(RunQuery(tag="nightly"))).total == 1
    after = await storage.schedules.get("nightly")
    assert (after.next_due, after.next_at, after.run_count) == (at(20), at(20), 1)
    assert await storage.schedules.firings("nightly") == (firing,)
    [(started, summary)] = await storage.schedules.started()
    assert started == firing
    assert summary is not None
    assert summary.id == run.id


async def test_any_number_at_once_fire_a_due_time_once(storage: StorageInterface, settings: Settings) -> None:
    await storage.schedules.add(schedule())
    others = [await open_storage(settings) for _ in range(3)]
    seen = await storage.schedules.get("nightly")
    attempts = [each.schedules.fire(fire(seen)) for each in (storage, *others) for _ in range(3)]
    done = await asyncio.gather(*attempts)
    assert sum(each is not None for each in done) == 1
    assert (await storage.runs.page(RunQuery())).total == 1
    for each in others:
        await each.close()


async def test_a_due_time_that_was_dealt_with_is_moved_on_and_not_fired_again(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    await fired(storage)
    # As after a clock that was put back.
    seen = await storage.schedules.replace(
        replace(await storage.schedules.get("nightly"), next_due=at(10), next_at=at(10))
    )
    assert await storage.schedules.fire(fire(seen)) is None
    after = await storage.schedules.get("nightly")
    assert (after.next_due, after.run_count) == (at(20), 1)
    assert (await storage.runs.page(RunQuery())).total == 1


async def test_what_was_paused_or_changed_meanwhile_is_not_fired(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    seen = await storage.schedules.get("nightly")
    await storage.schedules.replace(replace(seen, enabled=False))
    assert await storage.schedules.fire(fire(seen)) is None
    assert await storage.schedules.fire(fire(await storage.schedules.get("nightly"))) is None
    assert (await storage.runs.page(RunQuery())).total == 0


async def test_a_firing_without_a_run_says_why(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    told = delivery()
    firing = await fired(storage, run=None, error="there is no test 'x'", deliveries=(told,))
    assert (firing.outcome, firing.run_id, firing.error) == (FiringOutcome.ERROR, None, "there is no test 'x'")
    assert await storage.deliveries.of_schedule("nightly") == (told,)
    missed = await fired(storage, run=None, outcome=FiringOutcome.MISSED, missed=9)
    assert (missed.outcome, missed.missed) == (FiringOutcome.MISSED, 9)
    assert (await storage.schedules.get("nightly")).run_count == 0


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (Overlap.SKIP, [FiringOutcome.STARTED, FiringOutcome.SKIPPED, FiringOutcome.SKIPPED]),
        (Overlap.QUEUE, [FiringOutcome.STARTED, FiringOutcome.QUEUED, FiringOutcome.QUEUED]),
        (Overlap.ALLOW, [FiringOutcome.STARTED, FiringOutcome.STARTED, FiringOutcome.STARTED]),
    ],
)
async def test_overlap_is_decided_by_the_runs_that_have_not_ended(
    storage: StorageInterface, overlap: Overlap, expected: list[FiringOutcome]
) -> None:
    await storage.schedules.add(schedule(overlap=overlap))
    firings = [await fired(storage) for _ in range(3)]
    assert [each.outcome for each in firings] == expected
    assert (await storage.runs.page(RunQuery())).total == expected.count(FiringOutcome.STARTED)
    if overlap is Overlap.SKIP:
        assert firings[0].run_id is not None
        assert firings[0].run_id in (firings[1].error or "")
        await storage.leases.request_cancel(firings[0].run_id, CancelRequest.NOW, at(40))
        assert (await fired(storage)).outcome is FiringOutcome.STARTED


async def test_a_queued_firing_starts_when_the_run_before_it_has_ended(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule(overlap=Overlap.QUEUE))
    first, second, third = [await fired(storage) for _ in range(3)]
    assert await storage.schedules.queued() == (second,)
    assert not await storage.schedules.start_queued(second, new_run(), at(40), None)
    assert first.run_id is not None
    await storage.leases.request_cancel(first.run_id, CancelRequest.NOW, at(40))
    run = new_run()
    starts = [storage.schedules.start_queued(second, each, at(41), None) for each in (run, new_run())]
    assert sorted(await asyncio.gather(*starts)) == [False, True]
    assert await storage.schedules.queued() == (third,)
    assert await storage.schedules.start_queued(third, None, at(42), "the test is gone")
    outcomes = [(each.outcome, each.error) for each in await storage.schedules.firings("nightly")]
    assert outcomes[0] == (FiringOutcome.ERROR, "the test is gone")
    assert outcomes[1] == (FiringOutcome.STARTED, None)
    assert (await storage.runs.page(RunQuery())).total == 2


async def test_a_queue_has_an_end(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule(overlap=Overlap.QUEUE))
    outcomes = [(await fired(storage)).outcome for _ in range(MOST_QUEUED + 3)]
    assert outcomes.count(FiringOutcome.QUEUED) == MOST_QUEUED
    assert outcomes[-2:] == [FiringOutcome.SKIPPED, FiringOutcome.SKIPPED]


async def test_after_so_many_runs_it_has_ended(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule(max_runs=2, overlap=Overlap.ALLOW))
    await fired(storage)
    await fired(storage, run=None)
    await fired(storage)
    after = await storage.schedules.get("nightly")
    assert (after.run_count, after.next_due, after.next_at, after.enabled) == (2, None, None, True)
    assert await storage.schedules.due(at(10_000)) == ()


async def test_a_firing_ends_once_and_makes_its_deliveries_once(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    firing = await fired(storage)
    told = [delivery(), delivery(position=1, sealed=None)]
    ended = replace(firing, outcome=FiringOutcome.FAILED, error="p95 < 10ms: actual 12.5 ms")
    done = [await storage.schedules.settle(ended, told) for _ in range(2)]
    assert done == [True, False]
    assert await storage.schedules.firings("nightly") == (ended,)
    assert await storage.schedules.started() == ()
    assert {each.id for each in await storage.deliveries.of_schedule("nightly")} == {each.id for each in told}


async def test_a_deleted_run_leaves_its_firing(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    firing = await fired(storage)
    assert firing.run_id is not None
    await storage.runs.delete(firing.run_id)
    assert await storage.schedules.started() == ((firing, None),)


async def test_firings_are_listed_newest_first_in_pages_and_by_outcome(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    for number in range(5):
        await fired(storage, run=None if number % 2 else new_run())
    dues = [each.due for each in await storage.schedules.firings("nightly", limit=3)]
    assert dues == [at(50), at(40), at(30)]
    assert [each.due for each in await storage.schedules.firings("nightly", before=at(30))] == [at(20), at(10)]
    errors = await storage.schedules.firings("nightly", outcomes=[FiringOutcome.ERROR])
    assert [each.due for each in errors] == [at(40), at(20)]


async def test_old_firings_that_are_over_are_pruned_and_the_newest_stay(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule(overlap=Overlap.ALLOW, max_runs=KEPT_FIRINGS + 10))
    await storage.schedules.add(schedule("rarely"))
    await fired(storage, "rarely", run=None)
    # Of six more than are kept, the second had a run that has ended, and the third one that goes on.
    for number in range(KEPT_FIRINGS + 6):
        run = new_run() if number in (1, 2) else None
        made = await fired(
            storage, run=run, deliveries=(delivery(id=delivery_id("nightly", at(0), number), due=at(0)),)
        )
        if number == 1:
            await storage.schedules.settle(replace(made, outcome=FiringOutcome.PASSED), ())
    everything = await storage.schedules.firings("nightly", limit=200)
    claimed = await storage.deliveries.claim(at(50), at(60))
    assert claimed is not None
    await storage.deliveries.done(replace(claimed, status=DeliveryStatus.DELIVERED, next_attempt_at=None))

    policy = RetentionPolicy(firings_for=timedelta(seconds=100))
    assert (await storage.upkeep.prune(policy, at(140), dry_run=True)).firings == 2
    assert (await storage.upkeep.prune(policy, at(9999), dry_run=True)).firings == 5
    assert await storage.schedules.firings("nightly", limit=200) == everything
    assert (await storage.upkeep.prune(policy, at(140))).firings == 2
    assert (await storage.upkeep.prune(policy, at(9999))).firings == 3
    assert (await storage.upkeep.prune(policy, at(9999))).firings == 0

    left = await storage.schedules.firings("nightly", limit=200)
    assert left == (*everything[:KEPT_FIRINGS], everything[-3])
    assert [each.outcome for each in (left[-1], *await storage.schedules.firings("rarely"))] == ["started", "error"]
    sent = await storage.deliveries.of_schedule("nightly", limit=200)
    assert len(sent) == KEPT_FIRINGS + 5
    assert claimed.id not in {each.id for each in sent}
    # What was pruned is still counted, and not done again.
    await fired(storage)
    after = await storage.schedules.get("nightly")
    assert after.run_count == 3
    again = await storage.schedules.replace(replace(after, next_due=left[0].due, next_at=left[0].due))
    assert await storage.schedules.fire(fire(again)) is None


async def test_deleting_a_schedule_leaves_its_runs(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    firing = await fired(storage, deliveries=(delivery(),))
    await storage.schedules.delete("nightly")
    assert await storage.schedules.all() == ()
    assert await storage.schedules.firings("nightly") == ()
    assert await storage.deliveries.of_schedule("nightly") == ()
    assert firing.run_id is not None
    assert (await storage.runs.get(firing.run_id)).status is RunStatus.PENDING
    assert await storage.schedules.started() == ()


async def test_a_delivery_is_given_to_one_at_a_time_until_it_is_done(storage: StorageInterface) -> None:
    await storage.schedules.add(schedule())
    await fired(storage, deliveries=(delivery(), delivery(position=1, next_attempt_at=at(60))))
    assert await storage.deliveries.claim(at(9), at(100)) is None
    claims = await asyncio.gather(*(storage.deliveries.claim(at(10), at(40)) for _ in range(4)))
    [claimed] = [each for each in claims if each is not None]
    assert (claimed.attempts, claimed.sealed, claimed.status) == (1, b"\x00\xff", DeliveryStatus.PENDING)
    assert await storage.deliveries.claim(at(39), at(80)) is None
    again = await storage.deliveries.claim(at(40), at(80))
    assert again is not None
    assert (again.id, again.attempts) == (claimed.id, 2)
    # The first one comes too late to say anything.
    await storage.deliveries.done(replace(claimed, status=DeliveryStatus.FAILED, error="late", next_attempt_at=None))
    await storage.deliveries.done(
        replace(again, status=DeliveryStatus.DELIVERED, delivered_at=at(41), next_attempt_at=None)
    )
    kept = {each.id: each for each in await storage.deliveries.of_schedule("nightly")}
    assert kept[again.id].status is DeliveryStatus.DELIVERED
    assert (kept[again.id].delivered_at, kept[again.id].error) == (at(41), None)
    other = await storage.deliveries.claim(at(90), at(99))
    assert other is not None
    assert other.id == delivery(position=1).id
