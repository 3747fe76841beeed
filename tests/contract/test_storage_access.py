"""Every storage keeps sessions, the audit log and the limits of keys by the same rules."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from atm.config import Settings
from atm.errors import ConflictError, NotFoundError
from atm.storage import StorageInterface, open_storage
from atm.storage.access import ActorKind, AuditEntry, AuditOutcome, AuditQuery, Session
from atm.storage.api_keys import ApiKey, Role
from atm.storage.upkeep import RetentionPolicy

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def session(number: int, **changes: object) -> Session:
    made = Session(f"s{number}", f"{number:064d}", "0" * 64, "ci", NOW, NOW + timedelta(hours=12), "192.0.2.1", "curl")
    return replace(made, **changes)  # type: ignore[arg-type]  # by the names of its fields


def entry(number: int, **changes: object) -> AuditEntry:
    made = AuditEntry(
        id=f"e{number:03d}",
        at=NOW + timedelta(seconds=number),
        actor_kind=ActorKind.KEY,
        actor="ci",
        source="api",
        action="run.create",
        outcome=AuditOutcome.DONE,
        object_kind="run",
        object_id=f"r{number}",
        address="192.0.2.1",
        key_id="k1",
        status=202,
        request_id="q",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # by the names of its fields


def key(number: int, name: str, **changes: object) -> ApiKey:
    made = ApiKey(f"k{number}", name, Role.OPERATOR, f"{number:064d}", NOW + timedelta(seconds=number))
    return replace(made, **changes)  # type: ignore[arg-type]  # by the names of its fields


async def test_a_session_is_kept_until_it_is_ended(storage: StorageInterface, settings: Settings) -> None:
    await storage.sessions.add(session(1))
    await storage.sessions.add(session(2, created_at=NOW + timedelta(seconds=1), user_agent="ä"))
    assert await storage.sessions.by_token(session(1).token_hash) == session(1)
    await storage.sessions.used("s2", NOW)
    await storage.sessions.used("nobody", NOW)
    other = await open_storage(settings)
    assert [each.last_used_at for each in await other.sessions.all()] == [None, NOW]
    await other.sessions.end("s1", NOW)
    await other.close()
    assert await storage.sessions.by_token(session(1).token_hash) is None
    assert [each.id for each in await storage.sessions.all()] == ["s2"]
    for gone in ("s1", "nobody"):
        with pytest.raises(NotFoundError):
            await storage.sessions.end(gone, NOW)


async def test_expired_sessions_go_when_a_new_one_comes(storage: StorageInterface) -> None:
    await storage.sessions.add(session(1))
    await storage.sessions.add(session(2, created_at=session(1).expires_at))
    assert [each.id for each in await storage.sessions.all()] == ["s2"]


async def test_entries_come_newest_first_and_page_by_page(storage: StorageInterface) -> None:
    made = [entry(number, at=NOW + timedelta(seconds=number // 2)) for number in range(7)]
    await asyncio.gather(*(storage.audit.append(each) for each in made))
    found = list(await storage.audit.page(AuditQuery(limit=3)))
    while more := await storage.audit.page(AuditQuery(limit=3, before=(found[-1].at, found[-1].id))):
        found += more
    assert found == made[::-1]
    assert await storage.audit.page(AuditQuery(limit=0)) == ()


async def test_entries_are_found_by_all_conditions_together(storage: StorageInterface) -> None:
    odd = entry(
        3, actor="o'brien_%", action="run_x", object_id="ü", outcome=AuditOutcome.REFUSED, key_id=None, status=None
    )
    for each in (entry(1), entry(2, action="run.delete"), odd):
        await storage.audit.append(each)

    async def ids(**conditions: object) -> list[str]:
        query = AuditQuery(**conditions)  # type: ignore[arg-type]  # by the names of its fields
        found = await storage.audit.page(query)
        assert await storage.audit.count(replace(query, limit=1)) == len(found)
        return [each.id for each in found]

    assert await ids() == ["e003", "e002", "e001"]
    assert await ids(action="run.") == ["e002", "e001"]
    assert await ids(action="run.delete") == ["e002"]
    assert (
        await ids(actor="o'brien_%") == await ids(object_id="ü") == await ids(outcome=AuditOutcome.REFUSED) == ["e003"]
    )
    assert await ids(key_id="k1", since=NOW + timedelta(seconds=2)) == ["e002"]
    assert await ids(until=NOW + timedelta(seconds=2)) == ["e001"]
    assert await ids(actor="_'brien__") == []


async def test_of_entries_that_come_at_once_no_more_are_kept_than_may(storage: StorageInterface) -> None:
    query = AuditQuery(key_id="k1", action="run.create", since=NOW)
    kept = await asyncio.gather(*(storage.audit.append_within(entry(number), query, 3) for number in range(12)))
    assert sum(kept) == await storage.audit.count(AuditQuery()) == 3
    assert await storage.audit.append_within(entry(50, key_id="k2"), replace(query, key_id="k2"), 3)


async def test_old_entries_go_by_retention_and_young_ones_never(storage: StorageInterface) -> None:
    now = datetime.now(UTC)
    ages = {"e001": timedelta(days=40), "e002": timedelta(days=20), "e003": timedelta(hours=2)}
    for number, (entry_id, age) in enumerate(ages.items()):
        await storage.audit.append(entry(number, id=entry_id, at=now - age))
    policy = RetentionPolicy(audit_for=timedelta(days=30))
    assert (await storage.upkeep.prune(policy, now, dry_run=True)).audit == 1
    assert await storage.audit.count(AuditQuery()) == 3
    assert (await storage.upkeep.prune(policy, now)).audit == 1
    assert (await storage.upkeep.prune(RetentionPolicy(audit_for=timedelta(0)), now)).audit == 1
    assert [each.id for each in await storage.audit.page(AuditQuery())] == ["e003"]


async def test_a_database_refuses_to_change_or_to_remove_entries(storage: StorageInterface) -> None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from atm.storage.sql.storage import SqlStorage

    if not isinstance(storage, SqlStorage):
        return
    await storage.audit.append(entry(1, at=datetime.now(UTC)))
    for statement in ("UPDATE audit_log SET actor = 'another'", "DELETE FROM audit_log"):
        with pytest.raises(DBAPIError, match="never"):
            async with storage._database.engine.connect() as connection, connection.begin():
                await connection.execute(text(statement))
    assert (await storage.audit.page(AuditQuery()))[0].actor == "ci"


async def test_the_limits_of_a_key_are_kept(storage: StorageInterface) -> None:
    until = NOW + timedelta(days=90)
    made = key(1, "ci", expires_at=until, tags=("a", "ü"), networks=("10.0.0.0/8", "::1/128"), runs_per_hour=7)
    await storage.keys.add(made)
    assert await storage.keys.by_hash(made.key_hash) == made
    assert await storage.keys.all() == (made,)


async def test_names_that_look_the_same_are_taken(storage: StorageInterface) -> None:
    await storage.keys.add(key(1, "Nightly-1"))
    for number, name in enumerate(("nightly-1", "nightly-l", "NIGHTLY 1", "nightlу-1", "níghtly-1"), 2):
        with pytest.raises(ConflictError):
            await storage.keys.add(key(number, name))
    await storage.keys.revoke("k1", NOW)
    await storage.keys.add(key(9, "nightly-l"))


async def test_of_look_alikes_that_come_at_once_one_is_kept(storage: StorageInterface) -> None:
    names = ("deploy", "dep1oy", "DEPLOY", "depl0y")
    made = await asyncio.gather(
        *(storage.keys.add(key(number, name)) for number, name in enumerate(names, 1)), return_exceptions=True
    )
    assert sum(each is None for each in made) == 1
    assert len(await storage.keys.all()) == 1


async def test_an_installation_stays_closed_until_it_is_released(storage: StorageInterface) -> None:
    assert not await storage.keys.is_closed()
    await storage.keys.release(NOW)
    await storage.keys.add(key(1, "ci"))
    assert await storage.keys.is_closed()
    with pytest.raises(ConflictError):
        await storage.keys.release(NOW)
    await storage.keys.revoke("k1", NOW)
    assert await storage.keys.is_closed()
    await storage.keys.release(NOW)
    assert not await storage.keys.is_closed()
    await storage.keys.add(key(2, "ci"))
    assert await storage.keys.is_closed()
