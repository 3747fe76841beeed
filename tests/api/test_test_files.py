"""Data files of stored tests: uploaded, read, limited, and used by every way to run a test."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from atm.storage.api_keys import Role
from atm.testing import TargetServer
from tests.api.server import ApiServer, ended
from tests.api.test_security import KEYS, SERVER_KEY, _store_keys, code

ACCOUNTS = b"name,password\nada,s3cret-one\nbob,s3cret-two\n"
SCHEMA = json.dumps({"type": "object", "required": ["method"]}).encode()
MOST_FILE, MOST_ALL = 200_000, 500_000


@pytest.fixture(scope="module")
def capturing_target() -> Iterator[TargetServer]:
    with TargetServer(capture=1000) as server:
        yield server


@pytest.fixture
def target(capturing_target: TargetServer) -> TargetServer:
    """A target that stores the bytes of each request."""
    capturing_target.settled_stats()
    capturing_target.reset()
    return capturing_target


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server with keys and small limits for files."""
    data_dir = tmp_path_factory.mktemp("limited") / "data"
    asyncio.run(_store_keys(data_dir))
    server = ApiServer(
        data_dir,
        API_TEST_MACHINE_API_KEY=SERVER_KEY,
        ATM_MAX_BODY_BYTES="20000",
        ATM_MAX_FILE_BYTES=str(MOST_FILE),
        ATM_MAX_FILES_BYTES=str(MOST_ALL),
    )
    yield server.ready()
    server.stop()


@pytest.fixture
def operator(limited: ApiServer) -> Iterator[httpx.Client]:
    with limited.client(**{"X-API-Key": KEYS[Role.OPERATOR]}) as client:
        yield client


def spec(target: TargetServer, name: str, **fields: Any) -> dict[str, Any]:
    """A scenario with data from a file, a body file, a multipart file and a schema."""
    return {
        "name": name,
        "base_url": target.url,
        "data": {"accounts": {"file": "accounts.csv", "pick": "once"}},
        "scenarios": {
            "use": {
                "load": {"users": 1},
                "steps": [
                    {"GET": "/echo/raw?name={{accounts.name}}", "name": "row"},
                    {"POST": "/echo/raw?body", "name": "body", "file": "order.json"},
                    {"POST": "/echo/raw?parts", "name": "parts", "multipart": {"photo": {"file": "photo.bin"}}},
                    {"GET": "/echo", "name": "checked", "checks": ["schema answer.schema.json"]},
                ],
            }
        },
        **fields,
    }


FILES = {
    "accounts.csv": ACCOUNTS,
    "order.json": b'{"order": 4711}',
    "photo.bin": bytes(range(256)),
    "answer.schema.json": SCHEMA,
}


def upload_all(client: httpx.Client, test: str) -> dict[str, str]:
    """Upload the files; return the digest of each."""
    for name, content in FILES.items():
        answer = client.put(f"/tests/{test}/files/{name}", content=content)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["name"], answer.json()["size"]) == (name, len(content))
        assert answer.json()["sha256"] == hashlib.sha256(content).hexdigest()
    return {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


def assert_sent(target: TargetServer) -> None:
    """Both rows were sent once, with the bodies of the files."""
    sent = [request.raw or b"" for request in target.captured()]
    rows = [request.split(b"?name=")[1][:3] for request in sent if b"?name=" in request]
    assert sorted(rows) == [b"ada", b"bob"]
    assert [request.endswith(FILES["order.json"]) for request in sent if b"?body" in request] == [True, True]
    assert [FILES["photo.bin"] in request for request in sent if b"?parts" in request] == [True, True]


def left_in_spool(server: ApiServer) -> list[Path]:
    return [path for path in (server.data_dir / "spool").iterdir() if path.suffix == ".files" or path.name[0] == "."]


def test_a_saved_test_runs_with_its_files(server: ApiServer, client: httpx.Client, target: TargetServer) -> None:
    saved = client.post("/tests", json={"spec": spec(target, "with files")})
    assert saved.status_code == 201, saved.text
    assert saved.json()["named_files"] == ["accounts.csv", "order.json", "photo.bin", "answer.schema.json"]
    warnings = {warning["path"]: warning for warning in saved.json()["warnings"]}
    assert set(warnings) == {
        "data.accounts.file",
        "scenarios.use.steps[3].checks[0]",
        "scenarios.use.steps[1].file",
        "scenarios.use.steps[2].multipart.photo.file",
    }
    first = warnings["data.accounts.file"]
    assert (first["code"], first["message"]) == ("file_missing", 'the test has no file "accounts.csv"')
    assert "Upload it to the test" in first["hint"]
    test = saved.json()["id"]
    refused = client.post(f"/tests/{test}/run")
    assert code(refused) == (422, "file_missing")
    assert {error["path"] for error in refused.json()["errors"]} == set(warnings)
    digests = upload_all(client, test)
    listed = client.get(f"/tests/{test}/files").json()
    assert [file["name"] for file in listed["files"]] == sorted(FILES)
    answer = client.put(f"/tests/{test}", json={"spec": spec(target, "with files")})
    assert answer.json()["warnings"] == []
    run = ended(client, client.post(f"/tests/{test}/run").json()["id"])
    # On a busy machine the measurement may be invalid; what was sent is not.
    assert (run["status"], run["error_message"], run["error_rate"]) == ("completed", None, 0), run
    assert run["files"] == digests
    assert_sent(target)
    assert left_in_spool(server) == []
    assert "s3cret-one" not in json.dumps(run) + server.log()


def test_a_run_has_the_version_of_its_start_and_a_rerun_the_same(client: httpx.Client, target: TargetServer) -> None:
    test = client.post("/tests", json={"spec": spec(target, "versions")}).json()["id"]
    before = upload_all(client, test)
    # No other test has this content.
    answer = client.put(f"/tests/{test}/files/accounts.csv", content=ACCOUNTS + b"\n\n")
    before["accounts.csv"] = answer.json()["sha256"]
    answer = client.put(f"/tests/{test}/files/photo.bin", content=FILES["photo.bin"] + b" of this test")
    before["photo.bin"] = answer.json()["sha256"]
    first = ended(client, client.post(f"/tests/{test}/run").json()["id"])
    target.reset()
    again = ended(client, client.post(f"/runs/{first['id']}/rerun", json={}).json()["id"])
    assert again["files"] == first["files"] == before
    assert_sent(target)
    changed = client.put(f"/tests/{test}/files/photo.bin", content=b"another").json()["sha256"]
    second = ended(client, client.post(f"/tests/{test}/run").json()["id"])
    assert second["files"] == {**before, "photo.bin": changed}
    gone = client.post(f"/runs/{first['id']}/rerun", json={})
    assert code(gone) == (422, "file_missing")
    assert gone.json()["errors"][0]["message"] == (
        'the version of the file "photo.bin" that this run names was deleted'
    )
    assert client.delete(f"/tests/{test}/files/accounts.csv").status_code in (200, 204)
    gone = client.post(f"/runs/{second['id']}/rerun", json={})
    assert code(gone) == (422, "file_missing")
    (error,) = gone.json()["errors"]
    assert (error["path"], error["hint"]) == ("data.accounts.file", "Run the test again, with its present files")


def test_run_all_and_a_schedule_use_the_files(client: httpx.Client, target: TargetServer) -> None:
    test = client.post("/tests", json={"spec": spec(target, "nightly")}).json()["id"]
    digests = upload_all(client, test)
    started = client.post("/tests/run-all", json={"tests": ["nightly"]}).json()
    assert started["skipped"] == []
    assert ended(client, started["run_ids"][0])["files"] == digests
    assert_sent(target)
    target.reset()
    trigger = {"type": "interval", "seconds": 1}
    made = client.post("/schedules", json={"name": "each", "test": test, "trigger": trigger, "max_runs": 1})
    assert made.status_code == 201, made.text
    deadline = time.monotonic() + 240
    while (runs := client.get("/runs", params={"name": "nightly"}).json())["total"] != 2:
        assert time.monotonic() < deadline, runs
        time.sleep(0.2)
    newest = ended(client, runs["runs"][0]["id"])
    assert (newest["source"], newest["files"], newest["error_rate"]) == ("schedule", digests, 0)
    assert_sent(target)
    client.delete("/schedules/each")


def test_a_spec_alone_is_refused_and_a_spec_with_a_test_has_its_files(
    client: httpx.Client, target: TargetServer
) -> None:
    document = spec(target, "spec with test")
    refused = client.post("/runs", json={"spec": document})
    assert code(refused) == (422, "file_not_allowed")
    for error in refused.json()["errors"]:
        assert "Save it as a test, upload the file to that and run the test" in error["hint"]
    test = client.post("/tests", json={"spec": document}).json()["id"]
    digests = upload_all(client, test)
    assert client.post("/specs/validate", json={"spec": document}).json()["valid"] is False
    assert client.post("/specs/validate", json={"spec": document, "test": test}).json()["valid"] is True
    assert code(client.post("/specs/validate", json={"spec": document, "test": "missing"})) == (404, "test_not_found")
    tried = client.post("/specs/try", json={"spec": document, "test": test})
    assert tried.status_code == 200, tried.text
    assert [sample["endpoint"] for sample in tried.json()["exchanges"]] == [
        "use/row",
        "use/body",
        "use/parts",
        "use/checked",
    ]
    target.reset()
    run = ended(client, client.post("/runs", json={"spec": document, "test": "spec with test"}).json()["id"])
    assert run["files"] == digests
    assert_sent(target)


def test_a_wrong_column_of_an_uploaded_file_is_found_before_the_run(client: httpx.Client, target: TargetServer) -> None:
    document = spec(target, "columns")
    document["scenarios"]["use"]["steps"] = [{"GET": "/echo?{{accounts.nam}}"}]
    test = client.post("/tests", json={"spec": document}).json()["id"]
    client.put(f"/tests/{test}/files/accounts.csv", content=ACCOUNTS)
    [error] = client.post("/specs/validate", json={"spec": document, "test": test}).json()["errors"]
    assert (error["code"], "Did you mean {{accounts.name}}?" in error["hint"]) == ("unknown_column", True)


def test_a_path_of_the_server_is_only_a_name(client: httpx.Client, target: TargetServer) -> None:
    for path in ("/etc/passwd", "../accounts.csv", "./accounts.csv", "~/x.csv", "file:///etc/passwd", "C:\\x.csv"):
        endpoint = {"name": "send", "url": target.url, "method": "POST", "file": path}
        document = {"name": f"path {path}", "endpoints": [endpoint]}
        test = client.post("/tests", json={"spec": document})
        assert test.status_code == 201, test.text
        [warning] = test.json()["warnings"]
        assert warning["message"] == f'the test has no file "{path}"'
        assert code(client.post(f"/tests/{test.json()['id']}/run")) == (422, "file_missing")


@pytest.mark.parametrize(
    "name",
    # A client or the server resolves the first two: they lead to the list, or to the test, which refuses this body.
    [".", "..", ".env", "a\\b", "a\nb", "a\0b", " a", "a ", "\u202ea", "\u2028", "\x7f", "a" * 201, "é" * 101],
)
def test_hostile_names_are_refused(client: httpx.Client, target: TargetServer, name: str) -> None:
    test = client.get("/tests/names")
    if test.status_code == 404:
        client.post("/tests", json={"spec": {"name": "names", "url": target.url}})
    answer = client.put(f"/tests/names/files/{quote(name, safe='')}", content=b"x")
    assert answer.status_code in (400, 404, 405, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["code"] in ("bad_file_name", "string_too_long", "model_attributes_type")
    assert client.get("/tests/names/files").json()["files"] == []


def test_a_separator_in_a_name_leads_to_no_route(client: httpx.Client, target: TargetServer) -> None:
    client.post("/tests", json={"spec": {"name": "separators", "url": target.url}})
    for name in ("a%2Fb", "..%2Fb", "%2Fetc%2Fpasswd", "a/b"):
        assert client.put(f"/tests/separators/files/{name}", content=b"x").status_code in (404, 405)
    assert client.get("/tests/separators/files").json()["files"] == []


def test_a_file_comes_back_byte_by_byte_and_goes(client: httpx.Client, target: TargetServer) -> None:
    client.post("/tests", json={"spec": {"name": "back", "url": target.url}})
    name = 'rows "ä" %41.json'
    content = b'[{"a": 1}]' + b" " * 3_000_000
    path = f"/tests/back/files/{quote(name, safe='')}"
    # The body is not parsed, whatever type it is said to have.
    assert client.put(path, content=content, headers={"Content-Type": "application/json"}).json()["name"] == name
    answer = client.get(path)
    assert answer.content == content
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.delete(path).json()["name"] == name
    assert code(client.get(path)) == code(client.delete(path)) == (404, "file_not_found")
    assert code(client.put("/tests/missing/files/a.csv", content=b"x")) == (404, "test_not_found")
    assert code(client.get("/tests/missing/files")) == (404, "test_not_found")


def test_limits_hold_for_announced_and_streamed_bodies(limited: ApiServer, operator: httpx.Client) -> None:
    assert operator.post("/tests", json={"spec": {"name": "limits", "url": "http://127.0.0.1/"}}).status_code == 201
    path = "/tests/limits/files/large.bin"
    assert code(operator.put(path, content=b"x" * (MOST_FILE + 1))) == (413, "body_too_large")
    refused = operator.put(path, content=(b"y" * 50_000 for _ in range(5)))
    assert refused.status_code == 413
    assert "ATM_MAX_FILE_BYTES" in json.dumps(operator.put(path, content=b"x" * (MOST_FILE + 1)).json())
    for number in range(2):
        answer = operator.put(f"/tests/limits/files/{number}.bin", content=bytes([number]) * MOST_FILE)
        assert answer.status_code == 200, answer.text
    assert code(operator.put(path, content=b"z" * MOST_FILE)) == (409, "files_full")
    # An equal content needs no room.
    assert operator.put(path, content=bytes([1]) * MOST_FILE).status_code == 200
    listed = operator.get("/tests/limits/files").json()
    assert (listed["total_bytes"], listed["most_total_bytes"], listed["most_file_bytes"]) == (
        2 * MOST_FILE,
        MOST_ALL,
        MOST_FILE,
    )
    assert left_in_spool(limited) == []
    assert operator.delete("/tests/limits").status_code == 200
    assert operator.post("/tests", json={"spec": {"name": "limits", "url": "http://127.0.0.1/"}}).status_code == 201
    assert operator.get("/tests/limits/files").json()["total_bytes"] == 0


def test_a_viewer_sees_names_only_and_changes_nothing(limited: ApiServer, operator: httpx.Client) -> None:
    operator.post("/tests", json={"spec": {"name": "viewed", "url": "http://127.0.0.1/"}})
    path = "/tests/viewed/files/accounts.csv"
    assert operator.put(path, content=ACCOUNTS).status_code == 200
    with limited.client(**{"X-API-Key": KEYS[Role.VIEWER]}) as viewer:
        assert code(viewer.put(path, content=b"x")) == (403, "role_too_low")
        assert code(viewer.delete(path)) == (403, "role_too_low")
        assert code(viewer.get(path)) == code(viewer.get(f"{path}/preview")) == (403, "role_too_low")
        assert [file["name"] for file in viewer.get("/tests/viewed/files").json()["files"]] == ["accounts.csv"]
    assert operator.get(path).content == ACCOUNTS


def test_a_key_with_tags_changes_files_of_its_tests_only(limited: ApiServer) -> None:
    with limited.client(**{"X-API-Key": SERVER_KEY}) as admin:
        key = admin.post("/keys", json={"name": f"team-{secrets.token_hex(4)}", "tags": ["team"]}).json()["key"]
        for name, tags in (("mine", ["team"]), ("other", ["others"])):
            admin.post("/tests", json={"spec": {"name": name, "url": "http://127.0.0.1/"}, "tags": tags})
        with limited.client(**{"X-API-Key": key}) as team:
            json_type = {"Content-Type": "application/json"}
            assert team.put("/tests/mine/files/a.json", content=b"{}", headers=json_type).status_code == 200
            assert code(team.put("/tests/other/files/a.json", content=b"{}")) == (403, "out_of_scope")
            assert code(team.delete("/tests/other/files/a.json")) == (403, "out_of_scope")
            assert team.delete("/tests/mine/files/a.json").status_code == 200


def test_the_audit_log_has_each_change(limited: ApiServer, operator: httpx.Client) -> None:
    test = operator.post("/tests", json={"spec": {"name": "audited", "url": "http://127.0.0.1/"}}).json()["id"]
    operator.put(f"/tests/{test}/files/accounts.csv", content=ACCOUNTS)
    operator.put(f"/tests/{test}/files/.hidden", content=ACCOUNTS)
    operator.delete(f"/tests/{test}/files/accounts.csv")
    with limited.client(**{"X-API-Key": SERVER_KEY}) as admin:
        entries = admin.get("/audit", params={"object_id": test}).json()["entries"]
    found = [(entry["action"], entry["outcome"], entry["actor"], entry["detail"]) for entry in entries[:3]]
    assert found[0] == ("test.delete_file", "done", "operator", "accounts.csv")
    assert found[1][:3] == ("test.upload", "refused", "operator")
    assert found[2] == ("test.upload", "done", "operator", "accounts.csv")


def test_a_preview_shows_columns_first_rows_and_their_number(client: httpx.Client, target: TargetServer) -> None:
    client.post("/tests", json={"spec": {"name": "previewed", "url": target.url}})

    def preview(name: str, content: bytes, **options: Any) -> Any:
        assert client.put(f"/tests/previewed/files/{name}", content=content).status_code == 200
        answer = client.get(f"/tests/previewed/files/{name}/preview", params=options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    rows = b"".join(b"user-%d;%d\n" % (number, number) for number in range(5_000))
    shown = preview("users.csv", b"name;number\n" + rows, separator=";", rows=2)
    assert shown["columns"] == ["name", "number"]
    assert shown["rows"] == [["user-0", "0"], ["user-1", "1"]]
    assert (shown["total_rows"], shown["text"], shown["problem"]) == (5_000, None, None)
    typed = preview("typed.json", b'[{"n": 1, "s": "a"}, {"n": null, "s": "' + b"x" * 500 + b'"}]')
    assert (typed["columns"], typed["rows"][0]) == (["n", "s"], ["1", "a"])
    assert len(typed["rows"][1][1]) == 201
    broken = preview("broken.csv", b"a,b\n1\n")
    assert (broken["text"], broken["columns"]) == ("a,b\n1\n", [])
    assert "broken.csv:2" in broken["problem"]["message"] + str(broken["problem"])
    # Columns with the name of a credential are masked, as in samples.
    assert preview("accounts.csv", ACCOUNTS)["rows"] == [["ada", "***"], ["bob", "***"]]
    assert preview("text.xml", "ä".encode() * 4_000)["text"].startswith("ää")
    assert preview("photo.png", bytes(range(256)))["text"] is None
    assert preview("empty.csv", b"")["problem"] is not None
    named = preview("plain.txt", b"one\ntwo\n", columns=["word"])
    assert (named["columns"], named["rows"]) == (["word"], [["one"], ["two"]])
