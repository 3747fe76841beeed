"""Runs of the command line in the history of this machine, and the commands that look into it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from atm.cli.history.base import resolve_run
from atm.cli.history.local import StorageHistory
from atm.cli.run_list import age
from atm.config import Settings
from atm.errors import NotFoundError
from atm.models.outcome import RunStatus
from atm.storage import open_storage
from atm.testing import TargetServer
from tests.cli.program import atm, environment
from tests.storage.builders import new_run


@pytest.fixture(scope="module")
def target() -> Iterator[TargetServer]:
    with TargetServer() as server:
        yield server


@dataclass(frozen=True, slots=True)
class Kept:
    """A run that the command line made and kept."""

    data_dir: Path
    output: str
    id: str


@pytest.fixture(scope="module")
def kept(target: TargetServer, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    data_dir = tmp_path_factory.mktemp("history")
    url = f"{target.url}/status/503"
    process = atm(data_dir, "run", url, "-n", "30", "-c", "2", "--threshold", "error_rate < 1%", "--no-fail")
    assert process.code == 0, process.err
    found = re.search(r"saved as (\w+)   again: atm show \1\n$", process.out)
    assert found, process.out
    return Kept(data_dir, process.out, found[1])


def test_show_prints_the_same_bytes_as_the_report(kept: Kept) -> None:
    for named in (kept.id, kept.id[:3], "last"):
        process = atm(kept.data_dir, "show", named)
        assert (process.code, process.out, process.err) == (0, kept.output, "")


def test_the_requests_that_were_kept_are_shown_whole(kept: Kept) -> None:
    samples = json.loads(atm(kept.data_dir, "show", kept.id, "--slowest", "3", "--json").out)["samples"]
    assert len(samples) == 3
    assert samples == sorted(samples, key=lambda sample: -sample["response_ms"])
    process = atm(kept.data_dir, "show", kept.id, "--sample", str(samples[0]["request_number"]))
    assert "> GET /status/503 HTTP/1.1" in process.out
    assert "< HTTP/1.1 503" in process.out


def test_a_request_that_was_not_kept_names_those_that_were(kept: Kept) -> None:
    process = atm(kept.data_dir, "show", kept.id, "--sample", "999")
    assert process.code == 2
    assert f"error: run {kept.id} has no sample of request 999 [sample_not_found]" in process.err
    assert "hint: Sampled requests: 1, " in process.err


def test_show_writes_the_files_that_run_writes(kept: Kept, tmp_path: Path) -> None:
    process = atm(kept.data_dir, "show", kept.id, "-o", str(tmp_path / "again.json"), "--json")
    document = json.loads(process.out)
    assert json.loads((tmp_path / "again.json").read_text()) == document
    assert document["metrics"]["failed_requests"] == 30


def test_list_and_status_tell_how_it_ended(kept: Kept) -> None:
    listed = atm(kept.data_dir, "list").out
    # On a busy machine its measurement may be invalid, and then nothing is said about the target.
    invalid = " ✗ MEASUREMENT" in kept.output
    sign, outcome = ("!", "invalid") if invalid else ("✗", "failed")
    assert re.search(rf"^ {sign} {kept.id}  http.*  100 %  +\d+ s ago$", listed, re.MULTILINE)
    page = json.loads(atm(kept.data_dir, "list", "--json", "--outcome", outcome, "--since", "1h").out)
    assert [run["source"] for run in page["runs"]] == ["cli"]
    assert page["total"] == 1
    assert "no run matches" in atm(kept.data_dir, "list", "--passed").out
    status = atm(kept.data_dir, "status", "last").out
    assert status.startswith(f" {sign} {outcome}  http")
    assert " why         error_rate < 1 %: actual 100 %" in status
    assert status.endswith(f" next        `atm show {kept.id}`\n")


def test_watching_a_run_that_has_ended_shows_its_report(kept: Kept) -> None:
    process = atm(kept.data_dir, "watch", kept.id)
    assert process.out == kept.output


def test_the_seconds_of_a_run_are_kept_too(kept: Kept) -> None:
    import asyncio

    async def read() -> tuple[int, list[str]]:
        storage = await open_storage(Settings(data_dir=kept.data_dir))
        try:
            run_id = (await storage.runs.find(kept.id))[0]
            seconds = await storage.series.intervals(run_id)
            kinds = [event.kind for event in await storage.series.events(run_id)]
            return sum(part.started for each in seconds for part in each.endpoints), kinds
        finally:
            await storage.close()

    started, kinds = asyncio.run(read())
    assert started == 30
    assert kinds[0] == "started"
    assert "interval" in kinds


def test_a_run_travels_to_another_history(kept: Kept, tmp_path: Path) -> None:
    bundle = tmp_path / "run.atm.gz"
    assert atm(kept.data_dir, "export", kept.id, "-o", str(bundle)).code == 0
    again = atm(kept.data_dir, "export", kept.id, "-o", str(bundle))
    assert "already exists [file_exists]" in again.err
    elsewhere = tmp_path / "elsewhere"
    assert atm(elsewhere, "import", str(bundle)).code == 0
    assert atm(elsewhere, "show", "last").out == kept.output
    assert "run_exists" in atm(elsewhere, "import", "-", given=bundle.read_bytes()).err
    assert atm(elsewhere, "import", "--new-id", str(bundle)).code == 0
    runs = json.loads(atm(elsewhere, "list", "--json").out)["runs"]
    assert len(runs) == 2
    assert atm(elsewhere, "rm", *(run["id"] for run in runs), "last").out.count("deleted ") == 2
    assert atm(elsewhere, "list").out == "no runs yet: `atm demo` creates one\n"


def test_what_is_no_bundle_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    process = atm(tmp_path, "import", "-", given=b"not a bundle")
    assert process.code == 1
    assert "error: this is not the bundle of a run" in process.err
    assert "  at: stdin\n" in process.err


def test_no_history_keeps_nothing(target: TargetServer, tmp_path: Path) -> None:
    process = atm(tmp_path / "data", "run", f"{target.url}/users", "-n", "5", "--no-history", "--no-fail")
    assert "saved as" not in process.out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ATM_DATA_DIR": "/dev/null/data"}, "note: this run is not in the history: "),
        ({"ATM_DATABASE_URL": "postgresql://127.0.0.1:9/atm"}, "note: this run is not in the history: "),
        ({"ATM_STORAGE_TYPE": "stone"}, "note: this run is not in the history: ATM_STORAGE_TYPE"),
    ],
)
def test_a_history_that_cannot_be_written_is_a_note(
    target: TargetServer, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    process = atm(tmp_path, "run", f"{target.url}/users", "-n", "5", "--no-fail", more=settings)
    assert process.code == 0
    assert said in process.err
    assert "Traceback" not in process.err
    assert " REQUESTS  5 started = 5 ok + 0 failed + 0 unfinished" in process.out
    assert "saved as" not in process.out


def test_a_stopped_run_is_shown_as_it_was_reported(target: TargetServer, tmp_path: Path) -> None:
    import signal

    from tests.cli.program import started

    process = started(tmp_path, "run", f"{target.url}/users", "-r", "20", "-z", "60s")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("00:01"):
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=200)
    assert " ■ STOPPED      by Ctrl-C at 00:0" in output
    assert atm(tmp_path, "show", "last").out == output
    # A part of it is missing: it has not passed, although nothing was missed of what was judged.
    assert atm(tmp_path, "list").out.splitlines()[1].startswith(" ■ ")
    assert atm(tmp_path, "status", "last").out.startswith(" ■ stopped ")


def test_a_run_that_was_killed_is_found_by_the_next_command(target: TargetServer, tmp_path: Path) -> None:
    from tests.cli.program import started

    process = started(tmp_path, "run", f"{target.url}/users", "-c", "2", "-z", "60s", "--engine", "asyncio")
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("00:01"):
            break
    # Two whole seconds are in the spool before the kill, however long that takes.
    spools = tmp_path / "spool"
    while sum(path.read_text().count('"kind":"interval"') for path in spools.glob("local-*.jsonl")) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.communicate(timeout=60)
    [run] = json.loads(atm(tmp_path, "list", "--json").out)["runs"]
    assert (run["status"], run["passed"]) == ("failed", None)
    assert "was killed" in run["error_message"]
    shown = atm(tmp_path, "show", "last").out
    assert "was killed" in shown
    document = json.loads(atm(tmp_path, "show", "last", "--json").out)
    assert document["metrics"]["total_requests"] > 0
    assert not list((tmp_path / "spool").glob("local-*"))


def spools(data_dir: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in (data_dir / "spool").iterdir())


def test_a_run_is_stored_after_its_report_by_a_process_that_the_next_command_waits_for(
    target: TargetServer, tmp_path: Path
) -> None:
    for number in range(3):
        process = atm(tmp_path, "run", f"{target.url}/users", "-n", str(number + 1), "--no-fail")
        assert "saved as" in process.out
    listed = json.loads(atm(tmp_path, "list", "--json").out)["runs"]
    assert sorted(run["total_requests"] for run in listed) == [1, 2, 3]
    assert spools(tmp_path) == []
    assert len(atm(tmp_path, "list").out.splitlines()) == 4


def test_a_run_that_no_process_stores_is_stored_by_the_next_command(target: TargetServer, tmp_path: Path) -> None:
    broken = tmp_path / "atm.db"
    broken.write_bytes(b"not a database" * 1000)
    url = f"{target.url}/users"
    assert atm(tmp_path, "run", url, "-n", "7", "--no-fail").code == 0
    deadline = time.monotonic() + 60
    # The process that could not store it leaves it to the commands.
    while spools(tmp_path) != ["local"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    refused = atm(tmp_path, "list")
    assert refused.code != 0
    assert "error:" in refused.err
    broken.unlink()
    [run] = json.loads(atm(tmp_path, "list", "--json").out)["runs"]
    assert (run["total_requests"], run["outcome"]) == (7, "passed")
    assert spools(tmp_path) == []


def test_fast_commands_import_no_storage_stack(target: TargetServer, tmp_path: Path) -> None:
    assert atm(tmp_path, "run", f"{target.url}/users", "-n", "1", "-q", "--no-fail").code == 0
    for command, more in (("list", ()), ("status", ("last",)), ("show", ("last",))):
        code = f"""
import sys
from atm.cli.main import main
assert main([{command!r}, *{more!r}]) == 0
print(*sys.modules, file=sys.stderr)
"""
        process = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path), timeout=50
        )
        loaded = set(process.stderr.split())
        assert process.returncode == 0, process.stderr
        assert "atm.storage.sqlite_reader" in loaded
        assert not {"sqlalchemy", "alembic", "httpx", "pydantic_settings"} & loaded
        assert ("pydantic" in loaded) is (command == "show")


def test_nothing_of_the_history_is_imported_before_the_first_request(target: TargetServer, tmp_path: Path) -> None:
    code = f"""
import sys
from atm.runs import local_history

begin = local_history.LocalHistory.started

def started(self, execution):
    print(*sys.modules, file=sys.stderr)
    begin(self, execution)

local_history.LocalHistory.started = started
from atm.cli.main import main
sys.exit(main(["run", {target.url!r} + "/users", "-n", "1", "-q", "--no-fail"]))
"""
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(tmp_path), timeout=50
    )
    loaded = set(process.stderr.split())
    assert process.returncode == 0, process.stderr
    assert "atm.engine.executor" in loaded
    heavy = {"sqlalchemy", "alembic", "httpx", "pydantic", "pydantic_settings", "fastapi", "rich"}
    assert not heavy & loaded
    assert not [name for name in loaded if name.startswith(("atm.storage", "atm.client", "atm.config"))]
    assert len(json.loads(atm(tmp_path, "list", "--json").out)["runs"]) == 1


def test_the_storage_says_what_it_is_and_prunes(kept: Kept, tmp_path: Path) -> None:
    status = json.loads(atm(kept.data_dir, "db", "status", "--json").out)
    assert (status["kind"], status["runs"]["completed"]) == ("sqlite", 1)
    assert atm(tmp_path, "db", "upgrade").out.startswith("the storage has revision ")
    unsaid = atm(tmp_path, "db", "prune")
    assert unsaid.code == 2
    assert "hint: For example `--runs 90d`, or `--keep 1000`" in unsaid.err
    bundle = tmp_path / "run.atm.gz"
    atm(kept.data_dir, "export", kept.id, "-o", str(bundle))
    for _ in range(3):
        atm(tmp_path, "import", "--new-id", str(bundle))
    assert "      2 runs would be deleted" in atm(tmp_path, "db", "prune", "--keep", "1", "--dry-run").out
    assert "      2 runs deleted" in atm(tmp_path, "db", "prune", "--keep", "1").out
    assert json.loads(atm(tmp_path, "list", "--json").out)["total"] == 1


def test_a_key_is_shown_once_and_revoked_by_its_name(tmp_path: Path) -> None:
    made = atm(tmp_path, "keys", "create", "ci", "--role", "viewer")
    key = made.out.strip()
    assert re.fullmatch(r"atm_[A-Za-z0-9_-]{43}", key)
    listed = atm(tmp_path, "keys", "list").out
    assert re.search(r"^ ci +viewer +\d+ s ago +never$", listed, re.MULTILINE)
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key.encode() not in kept
    assert "name_taken" in atm(tmp_path, "keys", "create", "ci").err
    assert atm(tmp_path, "keys", "revoke", "ci").out == "revoked ci\n"
    assert atm(tmp_path, "keys", "revoke", "ci").code == 2
    assert "no active keys" in atm(tmp_path, "keys", "list").out
    assert atm(tmp_path, "keys", "create", "x", "--role", "king").code == 2


@pytest.mark.anyio
async def test_an_id_may_be_as_short_as_it_is_unique(tmp_path: Path) -> None:
    storage = await open_storage(Settings(data_dir=tmp_path))
    try:
        history = StorageHistory(storage)
        with pytest.raises(NotFoundError, match="there is no run"):
            await resolve_run(history, "last")
        for run_id in ("abc111", "abc222", "abd333"):
            await storage.runs.create(new_run(run_id))
        assert await resolve_run(history, "abd") == "abd333"
        assert await resolve_run(history, "abc111") == "abc111"
        with pytest.raises(NotFoundError, match=r"several run ids start with 'ab': abc111 .*abc222 .*abd333"):
            await resolve_run(history, "ab")
        with pytest.raises(NotFoundError, match="no run in the local history has an id that starts with 'x%'"):
            await resolve_run(history, "x%")
        assert (await history.run("abc111")).status is RunStatus.PENDING
    finally:
        await storage.close()


@pytest.mark.parametrize(
    ("ago", "said"),
    [(0, "0 s ago"), (89, "89 s ago"), (90, "1 min ago"), (7200, "2 h ago"), (200_000, "2 days ago")],
)
def test_an_age_is_told_in_words(ago: int, said: str) -> None:
    now = datetime(2026, 5, 4, 12, tzinfo=UTC)
    assert age(now - timedelta(seconds=ago), now) == said
    assert age(now - timedelta(days=30), now) == "2026-04-04"
