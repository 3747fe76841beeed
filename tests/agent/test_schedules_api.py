"""Schedules over HTTP, and through the command line, on a server that fires them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from atm.notifications.webhook_signature import signature
from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.cli.program import Said, atm
from tests.notifications.receiver import Receiver

pytestmark = pytest.mark.timeout(300)

YEARLY = {"type": "cron", "expression": "0 0 1 1 *"}
SPEC = {"name": "shop", "url": "http://127.0.0.1:9/"}


@pytest.fixture
def client(server: ApiServer) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened
        for each in opened.get("/schedules").json()["schedules"]:
            opened.delete(f"/schedules/{each['id']}")


def until(read: Callable[[], Any], done: Callable[[Any], bool], seconds: float = 50) -> Any:
    deadline = time.monotonic() + seconds
    while not done(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def made(client: httpx.Client, **fields: Any) -> Any:
    answer = client.post("/schedules", json={"name": "nightly", "trigger": YEARLY, "spec": SPEC, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_dead_target_is_told_about_though_the_spec_has_no_thresholds(
    client: httpx.Client, receiver: Receiver
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    hook = {"type": "webhook", "url": receiver.url("/200/dead"), "secret": "a-shared-secret", "on": ["failure"]}
    made(
        client,
        name="dead",
        trigger={"type": "date", "run_date": soon.isoformat()},
        spec={"name": "dead", "url": "http://127.0.0.1:1/", "total_requests": 5},
        notify=[hook],
    )
    [delivery] = until(
        lambda: client.get("/schedules/dead/deliveries").json()["deliveries"],
        lambda deliveries: bool(deliveries) and deliveries[0]["status"] == "delivered",
    )
    assert delivery["event"] == "failure"
    [firing] = client.get("/schedules/dead/firings").json()["firings"]
    assert firing["outcome"] == "failed"
    assert firing["error"] == "no request got a response: 5 × connect_error (connection refused)"
    run = client.get(f"/runs/{firing['run_id']}").json()
    assert (run["outcome"], run["passed"], run["failure_reasons"]) == ("failed", False, [firing["error"]])
    [listed] = client.get("/runs", params={"outcome": "failed", "name": "dead"}).json()["runs"]
    assert listed["id"] == run["id"]


def refused(answer: httpx.Response, status: int = 422) -> list[tuple[str, str]]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [(each["code"], each["path"]) for each in answer.json()["errors"]]


def test_a_schedule_fires_runs_ends_and_is_told_about(
    client: httpx.Client, target: TargetServer, receiver: Receiver
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    hook = {"type": "webhook", "url": receiver.url("/200/whole"), "secret": "a-shared-secret", "on": ["always"]}
    view = made(
        client,
        name="whole",
        trigger={"type": "date", "run_date": soon.isoformat()},
        spec={
            "name": "whole",
            "url": f"{target.url}/status/503",
            "total_requests": 3,
            "thresholds": ["error_rate < 1%"],
        },
        tags=["by-itself"],
        notify=[hook],
    )
    assert view["notify"] == [{**hook, "url": f"http://127.0.0.1:{receiver.port}/***", "secret": "***"}]
    [firing] = until(
        lambda: client.get("/schedules/whole/firings").json()["firings"],
        lambda firings: bool(firings) and firings[0]["outcome"] != "started",
    )
    # On a busy machine its measurement may be invalid, and then nothing is said about the target.
    assert firing["outcome"] in ("failed", "invalid"), firing
    assert firing["error"].startswith("error_rate < 1 %: actual 100 %"), firing
    run = client.get(f"/runs/{firing['run_id']}").json()
    assert (run["source"], run["tags"], run["outcome"]) == ("schedule", ["by-itself"], firing["outcome"])
    after = client.get("/schedules/whole").json()
    assert (after["next_due"], after["upcoming"], after["run_count"]) == (None, [], 1)
    assert after["last_run"]["id"] == after["recent"][0]["run_id"] == run["id"]
    [delivery] = until(
        lambda: client.get("/schedules/whole/deliveries").json()["deliveries"],
        lambda deliveries: bool(deliveries) and deliveries[0]["status"] == "delivered",
    )
    assert (delivery["event"], delivery["attempts"]) == ("failure", 1)
    [got] = [each for each in receiver.received(1) if each.path == "/200/whole"]
    assert got.json["run_id"] == run["id"]
    assert got.json["error_rate"] == 1.0
    expected = signature(delivery["id"], int(got.headers["webhook-timestamp"]), got.body, "a-shared-secret")
    assert got.headers["webhook-signature"] == expected


def test_names_are_unique_and_one_can_be_read_by_id_or_name(client: httpx.Client) -> None:
    view = made(client)
    assert client.get(f"/schedules/{view['id']}").json() == client.get("/schedules/nightly").json()
    assert refused(client.post("/schedules", json={"name": "nightly", "trigger": YEARLY, "spec": SPEC}), 409) == [
        ("name_taken", "")
    ]
    assert [each["name"] for each in client.get("/schedules").json()["schedules"]] == ["nightly"]
    for path in ("", "/firings", "/deliveries"):
        assert refused(client.get(f"/schedules/missing{path}"), 404) == [("schedule_not_found", "")]
    assert client.delete("/schedules/nightly").status_code == 200
    assert refused(client.delete("/schedules/nightly"), 404) == [("schedule_not_found", "")]


def test_pausing_and_resuming_say_when_it_is_due_next(client: httpx.Client) -> None:
    due = made(client)["next_due"]
    paused = client.post("/schedules/nightly/pause").json()
    assert (paused["enabled"], paused["next_due"]) == (False, None)
    assert paused["upcoming"][0] == due
    resumed = client.post("/schedules/nightly/resume").json()
    assert (resumed["enabled"], resumed["next_due"]) == (True, due)


def test_what_is_shown_can_be_sent_back_and_nothing_of_it_is_lost(client: httpx.Client) -> None:
    view = made(
        client,
        spec={**SPEC, "auth": {"type": "bearer_token", "token": "hush"}},
        notify=[{"type": "webhook", "url": "https://hooks.example/T0/x", "secret": "a-shared-secret"}],
        overlap="queue",
        jitter_seconds=5,
    )
    assert "hush" not in json.dumps(view)
    known = client.get("/openapi.json").json()["components"]["schemas"]["ScheduleRequest"]["properties"]
    again = {name: value for name, value in view.items() if name in known and value is not None}
    changed = client.put("/schedules/nightly", json={**again, "name": "renamed", "description": "why"})
    assert changed.status_code == 200, changed.text
    left_alone = {name: value for name, value in view.items() if name not in ("name", "description", "updated_at")}
    assert {name: changed.json()[name] for name in left_alone} == left_alone
    elsewhere = {**again, "notify": [{**again["notify"][0], "url": "https://evil.example/"}]}
    assert refused(client.put("/schedules/renamed", json=elsewhere)) == [("credentials_needed", "notify[0].secret")]
    stolen = {**again, "spec": {**again["spec"], "url": "http://evil.example/"}}
    assert refused(client.put("/schedules/renamed", json=stolen)) == [("credentials_needed", "spec.auth.token")]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"trigger": {"type": "cron", "minute": "61"}}, ("bad_trigger", "trigger.minute")),
        (
            {"trigger": {"type": "cron", "minute": "1", "timezone": "Mars/Olympus"}},
            ("unknown_timezone", "trigger.timezone"),
        ),
        ({"trigger": {"type": "interval", "seconds": 0}}, ("value_error", "body.trigger.interval")),
        ({"trigger": {"type": "date", "run_date": "2020-01-01T00:00:00Z"}}, ("never_due", "trigger")),
        ({"trigger": {"type": "cron", "expression": "0 0 30 2 *"}}, ("never_due", "trigger")),
        ({"spec": None}, ("value_error", "body")),
        ({"spec": None, "test": "missing"}, ("test_not_found", "test")),
        ({"spec": {"name": "x", "url": "http://127.0.0.1/{{unset}}"}}, ("unknown_variable", "spec.url character 18")),
        (
            {"notify": [{"type": "webhook", "url": "http://169.254.169.254/latest/meta-data"}]},
            ("target_not_allowed", "notify[0].url"),
        ),
        ({"notify": [{"type": "apprise", "url": "dbus://"}]}, ("value_error", "body.notify.0.apprise")),
        (
            {"notify": [{"type": "webhook", "url": "https://hooks.example/***"}]},
            ("credentials_needed", "notify[0].url"),
        ),
        ({"overlap": "sometimes"}, ("enum", "body.overlap")),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    client: httpx.Client, fields: dict[str, Any], expected: tuple[str, str]
) -> None:
    body = {"name": "nightly", "trigger": YEARLY, "spec": SPEC, **fields}
    body = {name: value for name, value in body.items() if value is not None}
    assert expected in refused(client.post("/schedules", json=body))
    assert client.get("/schedules").json()["schedules"] == []


def test_a_preview_makes_nothing(client: httpx.Client) -> None:
    trigger = {"type": "cron", "expression": "30 2 * * 0", "timezone": "Europe/Berlin"}
    answer = client.post(
        "/schedules/preview", json={"trigger": trigger, "start_date": "2030-03-30T00:00:00Z", "count": 2}
    ).json()
    assert answer == {
        "describes": "on sun at 02:30 (Europe/Berlin)",
        "upcoming": ["2030-03-31T01:00:00Z", "2030-04-07T00:30:00Z"],
    }
    assert client.get("/schedules").json()["schedules"] == []


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-05:00"])
def test_a_moment_that_not_every_clock_can_show_is_refused(client: httpx.Client, moment: str) -> None:
    once = {"type": "date", "run_date": moment}
    for body, path in (
        ({"trigger": YEARLY, "start_date": moment}, "body.start_date"),
        ({"trigger": YEARLY, "end_date": moment}, "body.end_date"),
        ({"trigger": once}, "body.trigger.date.run_date"),
    ):
        assert refused(client.post("/schedules/preview", json=body)) == [("value_error", path)]
    for path, name in (("/runs", "since"), ("/runs", "until")):
        assert refused(client.get(path, params={name: moment})) == [("value_error", f"query.{name}")]


def test_a_schedule_that_has_begun_long_ago_is_due_as_any_other(client: httpx.Client) -> None:
    body = {"trigger": YEARLY, "start_date": "0002-01-01T00:00:00Z", "count": 1}
    [upcoming] = client.post("/schedules/preview", json=body).json()["upcoming"]
    assert upcoming == f"{datetime.now(UTC).year + 1}-01-01T00:00:00Z"


def test_the_command_line_does_it_all(
    client: httpx.Client, server: ApiServer, target: TargetServer, tmp_path: Path
) -> None:
    def schedule(*arguments: str) -> Said:
        return atm(
            tmp_path, "schedule", *arguments, "--server", server.url, more={"ATM_WEBHOOK_SECRET": "from-the-env"}
        )

    assert "no schedules yet" in schedule("list").out
    spec = tmp_path / "shop.yaml"
    spec.write_text(f"name: shop\nurl: {target.url}/fixed\ntotal_requests: 3\n")
    added = schedule(
        *("add", "from the shell", str(spec), "--every", "1s", "--max-runs", "1", "--tag", "cli", "--grace", "5m"),
        *("--notify", "https://hooks.example/T0/x", "--on", "failure"),
    )
    assert (added.code, added.err) == (0, "")
    assert "every 1 second" in added.out
    assert "https://hooks.example/*** on failure" in added.out
    until(
        lambda: client.get("/schedules/from the shell").json()["recent"],
        lambda all_: bool(all_) and all_[0]["outcome"] == "passed",
    )
    listed = schedule("list").out
    assert "✓ from the shell" in listed
    assert "ended" in listed
    firings = schedule("firings", "from the shell").out.splitlines()
    assert firings[0].split() == ["outcome", "due", "run", "late"]
    assert firings[1].split()[:2] == ["✓", "passed"]
    [firing] = json.loads(schedule("firings", "from the shell", "--json").out)["firings"]
    assert firing["outcome"] == "passed"
    assert "no notifications yet" in schedule("deliveries", "from the shell").out
    shown = schedule("show", "from the shell").out
    assert f"`atm show {firing['run_id'][:8]}`" in shown
    assert " count       1 of 1 run\n" in shown
    replaced = schedule("add", "from the shell", f"{target.url}/fixed", "--cron", "30 2 * * *", "--replace", "--paused")
    assert (replaced.code, replaced.err) == (0, "")
    assert "every day at 02:30 (UTC)" in replaced.out
    assert "paused" in replaced.out.splitlines()[0]
    assert "waiting" in schedule("resume", "from the shell").out
    assert "paused" in schedule("pause", "from the shell").out
    assert schedule("rm", "from the shell").out == "deleted schedule from the shell\n"
    gone = schedule("show", "from the shell")
    assert (gone.code, "schedule_not_found" in gone.err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "x", "http://127.0.0.1:9/"), "give exactly one of --cron, --every and --at"),
        (("add", "x", "http://127.0.0.1:9/", "--every", "soon"), '--every: "soon" is not a duration'),
        (("add", "x", "http://127.0.0.1:9/", "--at", "noon"), "--at: 'noon' is not a time"),
        (("add", "x", "--every", "1h"), "give either spec (a test spec) or test (the name of a stored test)"),
        (("add", "x", "http://127.0.0.1:9/", "--cron", "61 * * * *"), "cron field minute"),
        (
            ("add", "x", "http://127.0.0.1:9/", "--every", "1h", "--notify", "syslog://"),
            "syslog:// notifies only the server",
        ),
        (("firings", "x", "-n", "1000"), "--limit must be 1 to 200, not 1000"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    server: ApiServer, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    process = atm(tmp_path, "schedule", *arguments, "--server", server.url)
    assert process.code == 2
    assert said in process.err


def test_what_the_server_finds_in_a_file_is_told_with_its_line(server: ApiServer, tmp_path: Path) -> None:
    spec = tmp_path / "shop.yaml"
    spec.write_text("name: shop\nurl: http://127.0.0.1:9/\nheaders:\n  X-Order: '{{order}}'\n")
    process = atm(tmp_path, "schedule", "add", "x", str(spec), "--every", "1h", "--server", server.url)
    assert process.code == 2
    assert f"at: spec.headers.X-Order character 1, {spec}:4" in process.err


def test_a_preview_on_the_command_line(server: ApiServer, tmp_path: Path) -> None:
    process = atm(
        tmp_path,
        "schedule",
        "preview",
        "--cron",
        "0 12 * * *",
        "--start",
        "2030-01-01T00:00Z",
        "-n",
        "2",
        "--server",
        server.url,
    )
    lines = process.out.splitlines()
    assert lines[0] == " every day at 12:00 (UTC)"
    assert [line.split("  ")[0] for line in lines[1:]] == [" 2030-01-01 12:00:00 UTC", " 2030-01-02 12:00:00 UTC"]
