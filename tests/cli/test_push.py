"""`atm tests push`: the spec becomes a test on a server, with the files beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.server import ApiServer
from tests.cli.program import Said, atm

SPEC = """\
name: {name}
base_url: http://127.0.0.1:1
data:
  accounts: accounts.csv
scenarios:
  use:
    load: {{users: 1}}
    steps:
      - POST: /orders?{{{{accounts.name}}}}
        file: order.json
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("push") / "data", ATM_MAX_FILE_BYTES="2000000")
    yield started.ready()
    started.stop()


def push(server: ApiServer, spec: Path, *options: str) -> Said:
    return atm(server.data_dir, "tests", "push", str(spec), "--server", server.url, *options)


def written(folder: Path, name: str) -> Path:
    """A spec with its files."""
    folder.mkdir(exist_ok=True)
    (folder / "accounts.csv").write_text("name\nada\nbob\n")
    (folder / "order.json").write_bytes(b"[" + b" " * 1_000_000 + b"]")
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.format(name=name))
    return spec


def test_a_spec_is_stored_with_its_files_and_only_changed_ones_are_sent_again(
    server: ApiServer, tmp_path: Path
) -> None:
    spec = written(tmp_path / "shop", "pushed")
    first = push(server, spec, "--tag", "team", "--description", "orders")
    assert first.code == 0, first.err
    assert first.out.splitlines() == [
        f"stored the test pushed on {server.url}",
        "  uploaded   accounts.csv",
        "  uploaded   order.json",
    ]
    (tmp_path / "shop" / "accounts.csv").write_text("name\ncid\n")
    second = push(server, spec, "--json")
    assert second.code == 0, second.err
    document = json.loads(second.out)
    assert (document["created"], document["uploaded"], document["unchanged"]) == (
        False,
        ["accounts.csv"],
        ["order.json"],
    )
    with server.client() as client:
        test = client.get("/tests/pushed").json()
        assert (test["tags"], test["description"]) == (["team"], "orders")
        assert client.get("/tests/pushed/files/accounts.csv").content == b"name\ncid\n"
        assert client.get("/tests/pushed/files/order.json").content == (tmp_path / "shop" / "order.json").read_bytes()
        assert client.post("/tests/pushed/run").status_code == 202


def test_every_file_that_is_missing_or_refused_is_reported(server: ApiServer, tmp_path: Path) -> None:
    spec = written(tmp_path / "broken", "half pushed")
    (tmp_path / "broken" / "accounts.csv").unlink()
    (tmp_path / "broken" / "order.json").write_bytes(b"x" * 2_000_001)
    said = push(server, spec)
    assert said.code == 2, said.err
    assert 'the file "accounts.csv" cannot be read: No such file or directory' in said.err
    assert "put it beside the spec" in said.err
    assert "the body is larger than 2,000,000 bytes" in said.err
    with server.client() as client:
        assert client.get("/tests/half pushed/files").json()["files"] == []


def test_a_file_in_a_directory_needs_a_plain_name(server: ApiServer, tmp_path: Path) -> None:
    spec = written(tmp_path / "nested", "nested")
    spec.write_text(spec.read_text().replace("accounts.csv", "rows/accounts.csv"))
    (tmp_path / "nested" / "rows").mkdir()
    (tmp_path / "nested" / "rows" / "accounts.csv").write_text("name\nada\n")
    said = push(server, spec)
    assert said.code == 2
    assert "rows/accounts.csv" in said.err
    assert "it has a separator of directories" in said.err


def test_problems_of_the_spec_have_their_line(server: ApiServer, tmp_path: Path) -> None:
    spec = written(tmp_path / "wrong", "wrong")
    spec.write_text(spec.read_text().replace("users: 1", "users: 1, rate: 2"))
    said = push(server, spec)
    assert (said.code, "spec.yaml:" in said.err) == (2, True), said.err
    with server.client() as client:
        assert client.get("/tests/wrong").status_code == 404


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = written(tmp_path / "alone", "alone")
    said = atm(tmp_path / "data", "tests", "push", str(spec), "--server", "http://127.0.0.1:9")
    assert said.code != 0
    assert "no server at http://127.0.0.1:9" in said.err
