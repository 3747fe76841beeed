from __future__ import annotations

import json
from pathlib import Path

import pytest

from atm.cli.exchange import pretty
from atm.cli.main import main
from atm.testing import TargetServer


def spec_of(folder: Path, target: TargetServer, *paths: str) -> str:
    endpoints = [{"name": path, "url": target.url + path} for path in paths]
    spec = {
        "name": "shop",
        "endpoints": endpoints,
        "distribution_strategy": "weighted",
        "requests_per_second": 500,
        "duration": "60s",
        "auth": {"type": "bearer_token", "token": "atm-token-that-is-secret"},
        "thresholds": ["p99 < 1us"],
    }
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return str(path)


def test_each_endpoint_gets_one_request_in_order(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target.reset()
    assert main(["try", spec_of(tmp_path, target, "/users", "/fixed", "/echo")]) == 0
    said = capsys.readouterr().out
    assert said.index(" ✓ /users  200  ok") < said.index(" ✓ /fixed  200  ok") < said.index(" ✓ /echo  200  ok")
    assert [row.route for row in target.record()] == ["/users", "/fixed", "/echo"]
    assert "   > GET /users HTTP/1.1\n" in said
    assert '   <     "name": "Ada"\n' in said


def test_a_fleet_is_ignored_and_a_note_says_so(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"name: a\nurl: {target.url}/users\nfleet: {{processes: 3}}\n")
    target.reset()
    assert main(["try", str(path)]) == 0
    assert "note: `fleet` is ignored: a trial runs in this process" in capsys.readouterr().err
    assert len(target.record()) == 1


def test_secrets_are_masked_wherever_they_come_back(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", spec_of(tmp_path, target, "/echo")]) == 0
    said = capsys.readouterr().out
    assert "that-is-secret" not in said
    assert "   > Authorization: ***\n" in said


def test_an_answer_that_is_not_expected_exits_with_99(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", spec_of(tmp_path, target, "/users", "/status/503")]) == 99
    assert " ✗ /status/503  503  unexpected status: 503, expected 200, 201 or 204" in capsys.readouterr().out


def test_no_answer_at_all_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", "http://127.0.0.1:1/x"]) == 3
    assert " ✗ GET /x  connect error: connection refused" in capsys.readouterr().out


def test_a_run_that_cannot_begin_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"name": "a", "url": "https://127.0.0.1:9/", "tls": {"ca": str(authority)}}))
    for options in ([], ["--json"]):
        assert main(["try", str(spec), *options]) not in (0, 3)
        assert "not_tried" in "".join(capsys.readouterr())


def test_as_json_every_exchange_is_there(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["try", spec_of(tmp_path, target, "/users", "/status/404"), "--json"]) == 99
    exchanges = json.loads(capsys.readouterr().out)["endpoints"]
    assert [(each["endpoint"], each["ok"], each["status"]) for each in exchanges] == [
        ("/users", True, 200),
        ("/status/404", False, 404),
    ]


def test_only_json_is_laid_out() -> None:
    assert pretty('{"a":[1]}') == '{\n  "a": [\n    1\n  ]\n}'
    assert pretty("{not json") == "{not json"
    assert pretty("plain") == "plain"


def test_one_iteration_of_each_scenario_runs_without_its_long_waits(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [
        {"GET": "/shop/products?size=3", "name": "list", "extract": {"product": "$.items[*].id | last"}},
        {"think": "10m"},
        {"GET": "/shop/products/{{product}}", "name": "open", "extract": {"stock": "$.stock"}},
        {"when": "stock < 0", "steps": [{"GET": "/fixed", "name": "never"}]},
    ]
    scenarios = {"browse": {"steps": steps, "pace": "10m"}, "look": {"steps": [{"GET": "/users", "name": "users"}]}}
    spec = {"name": "shop", "base_url": target.url, "scenarios": scenarios, "duration": "1h"}
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    target.reset()
    assert main(["try", str(path), "--json"]) == 0
    tried = json.loads(capsys.readouterr().out)["endpoints"]
    assert [each["endpoint"] for each in tried] == ["browse/list", "browse/open", "look/users"]
    assert tried[1]["url"] == f"{target.url}/shop/products/3"
    assert tried[0]["values"] == [{"name": "product", "value": "3"}]
    assert [value["name"] for value in tried[1]["values"]] == ["stock"]
    assert tried[2]["values"] == tried[2]["checks"] == []


def test_checks_and_extracted_values_are_shown_with_their_step(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = {
        "POST": "/echo",
        "name": "login",
        "extract": {"token": "$.method", "path": "$.target", "none": "$.no | default null"},
        "checks": {"found": "status == 200", "slow": {"check": "time > 10m", "counts_only": True}},
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"name": "s", "base_url": target.url, "scenarios": {"shop": {"steps": [step]}}}))
    assert main(["try", str(path), "--color", "never"]) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert {"✓ found", "✗ slow", "token = ***", "path = /echo", "none = null"} <= set(lines)


def test_of_a_loop_the_first_round_is_shown_with_the_number_of_rounds(
    target: TargetServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [{"repeat": 3, "steps": [{"GET": "/users", "name": "again"}]}, {"GET": "/fixed", "name": "once"}]
    path = tmp_path / "spec.json"
    path.write_text(json.dumps({"name": "s", "base_url": target.url, "scenarios": {"loop": {"steps": steps}}}))
    assert main(["try", str(path), "--color", "never"]) == 0
    said = capsys.readouterr().out
    assert said.count("the first of ") == said.count("   the first of 3 requests\n") == 1
    assert main(["try", str(path), "--json"]) == 0
    assert [each["requests"] for each in json.loads(capsys.readouterr().out)["endpoints"]] == [3, 1]
