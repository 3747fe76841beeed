"""Migrations go up and down on both databases, agree with the tables, and say no where they must."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import SecretStr
from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.engine import URL

from atm.config import Settings
from atm.errors import SchemaError, SettingsError
from atm.models.outcome import RunOutcome
from atm.storage import open_storage, upgrade_storage
from atm.storage.migrations import HEAD, REVISIONS
from atm.storage.records import RunQuery
from atm.storage.sql import schema
from atm.storage.sql.database import Database, database_url, sqlite_url
from atm.storage.sql.tables import metadata, runs
from tests.contract.postgresql import PostgresqlServer
from tests.storage.builders import at, new_run
from tools.repository import ROOT

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Settings that name a database without a table."""
    if request.param == "sqlite":
        yield Settings(data_dir=tmp_path)
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    server.sql("DROP DATABASE IF EXISTS empty")
    server.sql("CREATE DATABASE empty")
    yield Settings(data_dir=tmp_path, database_url=SecretStr(server.url("empty")))


async def tables(url: URL) -> set[str]:
    database = Database(url)
    async with database.read() as connection:
        names = await connection.run_sync(lambda each: set(inspect(each).get_table_names()))
    await database.close()
    return names


def test_the_revisions_are_those_of_the_migrations() -> None:
    script = ScriptDirectory.from_config(schema.alembic_config())
    found = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS
    assert script.get_current_head() == HEAD


async def test_up_makes_the_tables_and_down_leaves_nothing(empty: Settings) -> None:
    url = schema.url_of(empty)
    for _ in range(2):
        await schema.upgrade(url)
        assert await tables(url) == {*metadata.tables, "alembic_version"}
        await schema.downgrade(url, "base")
        assert await tables(url) <= {"alembic_version"}


async def test_tables_and_migrations_agree(empty: Settings) -> None:
    url = schema.url_of(empty)
    await schema.upgrade(url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    database = Database(url)
    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_a_new_file_is_what_the_migrations_lead_to(tmp_path: Path) -> None:
    made, migrated = tmp_path / "made.db", tmp_path / "migrated.db"
    await schema.prepare_file(made)
    await schema.upgrade(sqlite_url(migrated))
    assert len(structure(made)) > 10
    assert structure(made) == structure(migrated)


def structure(path: Path) -> dict[str, object]:
    """What a file is made of: by table its columns, keys and indexes."""
    connection = sqlite3.connect(path)

    def rows(pragma: str, name: str) -> list[tuple[object, ...]]:
        return connection.execute(f"SELECT * FROM pragma_{pragma}(?)", (name,)).fetchall()

    try:
        found: dict[str, object] = {}
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in names:
            # Without their positions: what was added later comes last where it was migrated.
            columns = sorted(column[1:] for column in rows("table_xinfo", table))
            indexes = {
                index[1]: (index[2:], [(part[0], part[2:]) for part in rows("index_xinfo", str(index[1]))])
                for index in rows("index_list", table)
            }
            keys = sorted(key[2:] for key in rows("foreign_key_list", table))
            found[table] = (columns, indexes, keys)
        where = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE '%WHERE%'"
        found["partial indexes"] = tuple(sorted(connection.execute(where)))
        found["revision"] = tuple(connection.execute("SELECT version_num FROM alembic_version"))
        return found
    finally:
        connection.close()


async def test_a_database_of_a_newer_version_is_refused(empty: Settings) -> None:
    await upgrade_storage(empty)
    database = Database(schema.url_of(empty))
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await database.close()
    for attempt in (open_storage(empty), upgrade_storage(empty)):
        with pytest.raises(SchemaError, match="9999 of a newer version") as caught:
            await attempt
        assert caught.value.problems[0].code == "schema_newer"


async def test_a_database_with_other_tables_is_left_alone(empty: Settings) -> None:
    database = Database(schema.url_of(empty))
    async with database.write() as connection:
        await connection.execute(text("CREATE TABLE customers (id INTEGER)"))
    await database.close()
    for attempt in (open_storage(empty), upgrade_storage(empty)):
        with pytest.raises(SchemaError, match="tables of another program"):
            await attempt
    assert await tables(schema.url_of(empty)) == {"customers"}


async def test_a_server_that_is_behind_is_refused_until_it_is_upgraded(postgresql: PostgresqlServer) -> None:
    postgresql.sql("DROP DATABASE IF EXISTS behind")
    postgresql.sql("CREATE DATABASE behind")
    settings = Settings(database_url=SecretStr(postgresql.url("behind")))
    with pytest.raises(SchemaError) as caught:
        await open_storage(settings)
    [problem] = caught.value.problems
    assert (problem.code, problem.hint) == ("schema_behind", "atm db upgrade")
    assert await upgrade_storage(settings) == HEAD
    await (await open_storage(settings)).close()


async def test_the_file_upgrades_itself_and_leaves_a_copy_of_what_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    storage = await open_storage(settings)
    await storage.runs.create(new_run("kept"))
    await storage.close()
    # An older database, made by hand: the first revision is all there is so far.
    with sqlite3.connect(settings.database_file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    upgraded: list[str] = []

    async def upgrade(url: URL, revision: str = "head") -> None:
        with sqlite3.connect(str(url.database)) as again:
            again.execute("UPDATE alembic_version SET version_num = ?", (HEAD,))
        upgraded.append(revision)

    monkeypatch.setattr(schema, "REVISIONS", ("0000", *REVISIONS))
    monkeypatch.setattr(schema, "upgrade", upgrade)
    storages = await asyncio.gather(*(open_storage(settings) for _ in range(4)))
    assert upgraded == ["head"]
    for storage in storages:
        assert (await storage.runs.get("kept")).id == "kept"
        await storage.close()
    [copy] = list(tmp_path.glob("atm.db.0000-*.backup"))  # noqa: ASYNC240 (a test may wait for its disk)
    with sqlite3.connect(copy) as connection:
        assert connection.execute("SELECT id FROM runs").fetchall() == [("kept",)]


async def test_processes_that_start_at_once_make_one_database(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from atm.config import Settings;"
        "from atm.storage import open_storage;"
        "storage = asyncio.run(open_storage(Settings(data_dir=Path(sys.argv[1]))))"
    )
    started = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(tmp_path / "new")) for _ in range(3)
    ]
    assert [await each.wait() for each in started] == [0, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "named"), [(("upgrade", "head"), ""), (("current",), "deep/new"), (("upgrade", "head", "--sql"), "")]
)
def test_alembic_makes_the_data_directory_where_there_is_none(
    tmp_path: Path, arguments: tuple[str, ...], named: str
) -> None:
    left_out = ("ATM_DATA_DIR", "ATM_DATABASE_URL", "XDG_DATA_HOME", "ATM_STORAGE_TYPE")
    environment = {key: value for key, value in os.environ.items() if key not in left_out} | {"HOME": str(tmp_path)}
    environment |= {"ATM_DATA_DIR": str(tmp_path / named)} if named else {}
    command = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), *arguments]
    process = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert process.returncode == 0, process.stderr[-500:]


def test_alembic_says_in_one_line_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for variables in ({"ATM_DATA_DIR": str(tmp_path / "file" / "data")}, {"ATM_DATABASE_URL": "nonsense://x"}):
        command = [sys.executable, "-m", "alembic", "-c", str(ROOT / "alembic.ini"), "current"]
        process = subprocess.run(
            command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, timeout=60, check=False
        )
        assert process.returncode != 0
        assert "Traceback" not in process.stderr
        assert len((process.stderr + process.stdout).strip().splitlines()) <= 4


def test_alembic_works_from_the_checkout(tmp_path: Path) -> None:
    environment = {"ATM_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "alembic"]
    for arguments in (["upgrade", "head"], ["check"], ["downgrade", "base"]):
        done = subprocess.run([*command, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("value", ["mysql://host/x", "hello", "sqlite://", "redis://localhost"])
def test_a_database_url_of_another_kind_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="ATM_DATABASE_URL"):
        database_url(value)


def test_importing_the_storage_imports_no_database() -> None:
    program = (
        "import sys, atm.storage; heavy = {'sqlalchemy', 'alembic', 'aiosqlite', 'asyncpg', 'cryptography'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


async def test_runs_of_an_earlier_version_are_judged_by_todays_rule(empty: Settings) -> None:
    url = schema.url_of(empty)
    await schema.upgrade(url, "0002")
    fine = {"successful_requests": 9, "failed_requests": 0, "errors_by_type": {}}
    some = {"successful_requests": 8, "failed_requests": 1, "errors_by_type": {"unexpected_status": 1}}
    none = {"successful_requests": 0, "failed_requests": 9, "errors_by_type": {"connect_error": 9}}
    rules = {"thresholds": ["error_rate < 50%"], "endpoints": [{"url": "http://a/"}, {"url": "http://b/"}]}
    loose = {"thresholds": ["rps > 0"]}
    # status, stop reason, passed as it was stored, measurement, metrics, spec: passed as it is now
    before: dict[str, tuple[Any, ...]] = {
        "fine": ("completed", "total", True, "valid", fine, {}, True),
        "without": ("completed", "total", True, "valid", some, {}, False),
        "within": ("completed", "total", True, "valid", some, rules, True),
        "dead": ("completed", "total", True, "valid", none, loose, False),
        "missed": ("completed", "total", False, "valid", some, rules, False),
        "invalid": ("completed", "total", True, "invalid", fine, {}, None),
        "invalid-missed": ("completed", "total", False, "invalid", some, rules, None),
        "stopped": ("completed", "stopped", True, "valid", fine, {}, None),
        "error": ("failed", "failed", None, "valid", some, {}, None),
    }
    database = Database(url)
    async with database.write() as connection:
        for run_id, (status, reason, passed, measurement, metrics, spec, _) in before.items():
            completed = metrics["successful_requests"] + metrics["failed_requests"]
            values = {
                "id": run_id,
                "status": status,
                "stop_reason": reason,
                "passed": passed,
                "measurement": measurement,
                "error_rate": metrics["failed_requests"] / completed,
                "metrics_json": json.dumps(metrics),
                "spec_json": json.dumps(spec),
                "created_at": at(0),
                **dict.fromkeys(("name", "url", "method", "engine", "search_text", "notes"), ""),
                "source": "api",
                "tags_json": "[]",
            }
            await connection.execute(insert(runs).values(values))
    await database.close()
    await schema.upgrade(url)
    storage = await open_storage(empty)
    found = {run.id: run for run in (await storage.runs.page(RunQuery())).runs}
    reasons = (await storage.runs.get("without")).failure_reasons
    await storage.close()
    assert {run_id: run.passed for run_id, run in found.items()} == {name: case[-1] for name, case in before.items()}
    assert found["dead"].outcome is RunOutcome.FAILED
    assert (found["fine"].endpoint_count, found["within"].endpoint_count) == (1, 2)
    assert len(reasons) == 1
