"""What people see when something is wrong: one form, on every path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atm.cli.main import main


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str]]:
    code = main(arguments)
    captured = capsys.readouterr()
    assert captured.out == ""
    return code, captured.err.splitlines()


def documented(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(arguments)
    captured = capsys.readouterr()
    assert captured.err == ""
    document: dict[str, Any] = json.loads(captured.out)
    return code, document


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            ("valdate", "x"),
            [
                "error: no such command 'valdate' [usage]",
                "  at: atm",
                "  hint: Did you mean `atm validate`? See `atm --help`",
            ],
        ),
        (
            ("shop.yaml",),
            ["error: no such command 'shop.yaml' [usage]", "  at: atm", "  hint: Did you mean `atm run shop.yaml`?"],
        ),
        (
            ("run", "--rat", "5"),
            [
                "error: no such option: --rat [usage]",
                "  at: atm run",
                "  hint: Did you mean `--rate`? See `atm run --help`",
            ],
        ),
        (
            ("run", "http://127.0.0.1/", "-n", "many"),
            [
                "error: --requests: 'many' is not a whole number [usage]",
                "  at: atm run",
                "  hint: See `atm run --help`",
            ],
        ),
        (
            ("doctor", "--color", "blue"),
            [
                "error: --color: 'blue' is not one of auto, always, never [usage]",
                "  at: atm doctor",
                "  hint: See `atm doctor --help`",
            ],
        ),
        (
            ("run",),
            [
                "error: missing argument 'SPEC|URL|-' [usage]",
                "  at: atm run",
                "  hint: See `atm run --help`",
            ],
        ),
        (
            ("run", "127.0.0.1:8000/health"),
            [
                "error: there is no file 127.0.0.1:8000/health [spec_not_found]",
                "  at: SPEC",
                "  hint: A URL needs a scheme: `http://127.0.0.1:8000/health`",
            ],
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_wrong_usage_says_what_where_and_what_to_type(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], lines: list[str]
) -> None:
    assert said(capsys, *arguments) == (2, lines)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("shp.yaml", "Did you mean shop.yaml? `atm init` writes a starter spec"),
        ("specs/other.yml", "Found: specs/a.json, specs/b.yaml; `atm init` writes a starter spec"),
        ("nowhere/shop.yaml", "`atm init` writes a starter spec"),
    ],
)
def test_a_spec_that_is_not_there_is_answered_with_those_that_are(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("specs").mkdir()
    for name in ("shop.yaml", "specs/a.json", "specs/b.yaml"):
        Path(name).touch()
    assert said(capsys, "run", typed) == (
        2,
        [f"error: there is no file {typed} [spec_not_found]", "  at: SPEC", f"  hint: {hint}"],
    )


def test_all_problems_of_a_spec_are_named_with_their_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text("name: shop\nurl: http://127.0.0.1/{{user_id}}\nconcurency: 5\ntimeout: -1s\n")
    code, lines = said(capsys, "validate", "shop.yaml")
    text = "\n".join(lines)
    assert code == 2
    assert 'error: unknown field "concurency" [unknown_field]\n  at: concurency, shop.yaml:3\n' in text
    assert "shop.yaml:2" in text
    assert "shop.yaml:4" in text
    assert text.count("error: ") == 3


def test_with_json_errors_are_a_document_on_stdout(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spec = tmp_path / "shop.yaml"
    spec.write_text("name: shop\nurl: http://127.0.0.1/\nconcurency: 5\ntimeout: -1s\n")
    code, document = documented(capsys, "run", str(spec), "--json")
    assert code == 2
    assert document["error"]["code"] == "unknown_field"
    assert document["error"]["message"] == 'unknown field "concurency"'
    assert document["error"]["where"] == f"concurency, {spec}:3"
    assert len(document["error"]["problems"]) == 2


@pytest.mark.parametrize("arguments", [("run", "--json", "--nope"), ("run", "--json"), ("nope", "--json")])
def test_with_json_wrong_usage_is_a_document_too(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, document = documented(capsys, *arguments)
    assert code == 2
    assert document["error"]["code"] == "usage"


def test_an_unexpected_error_is_told_without_a_stack_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import atm.cli.machine

    def broken() -> None:
        raise ZeroDivisionError("no cores")

    monkeypatch.setattr(atm.cli.machine, "CHECKS", (broken,))
    code, lines = said(capsys, "doctor")
    assert code == 1
    assert lines[0] == "error: unexpected ZeroDivisionError: no cores [internal]"
    assert "`--debug`" in lines[2]
    with pytest.raises(ZeroDivisionError):
        main(["doctor", "--debug"])


def test_init_writes_a_spec_that_is_valid_and_never_overwrites(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert capsys.readouterr().out == "wrote test.yaml\nnext: `atm target`, then `atm run test.yaml`\n"
    assert main(["validate", "test.yaml"]) == 0
    sentence = capsys.readouterr().out
    assert sentence.startswith(
        "valid: 1 endpoint, open 50/s, for 30 s after 2 s warm-up, ≈ 1,500 requests, 2 thresholds"
    )
    Path("test.yaml").write_text("mine")
    code, lines = said(capsys, "init")
    assert code == 2
    assert lines[0] == "error: test.yaml already exists [file_exists]"
    assert Path("test.yaml").read_text() == "mine"


def test_schema_is_a_json_schema_that_the_quickstart_satisfies(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].endswith("2020-12/schema")
    assert {"url", "endpoints", "load", "thresholds"} <= set(schema["properties"])


@pytest.mark.parametrize(
    ("load", "fleet", "expected"),
    [
        ("load: {rate: 75}\nduration: 10s", "processes: 2", "open 75/s, in 2 processes with 37.5/s each, for 10 s"),
        ("concurrency: 7\ntotal_requests: 70", "processes: 2", "7 users, in 2 processes with 3 or 4 users each, 70"),
        (
            "load: {model: open, start: 0, stages: [{duration: 5s, target: 90}]}",
            "on: ray:local, workers: 3",
            "on 3 workers of ray:local with up to 30/s each if their nodes are equal, for 5 s",
        ),
    ],
)
def test_validate_says_what_each_worker_sends(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, load: str, fleet: str, expected: str
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(f"name: a\nurl: http://127.0.0.1:1/\n{load}\nfleet: {{{fleet}}}\n")
    assert main(["validate", str(path)]) == 0
    assert expected in capsys.readouterr().out
    path.write_text(f"name: a\nurl: http://127.0.0.1:1/\nconcurrency: 1\ntotal_requests: 5\nfleet: {{{fleet}}}\n")
    code, lines = said(capsys, "validate", str(path))
    assert code == 2
    assert "1 user cannot be split among" in lines[0]


def test_validate_describes_the_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    quickstart = Path(__file__).parents[2] / "examples" / "quickstart.yaml"
    code, document = documented(capsys, "validate", str(quickstart), "--json")
    assert code == 0
    assert document["endpoints"] == ["GET /users", "GET /orders/{id}", "POST /orders"]
    assert document["expected_requests"] == 1_500
