"""Several specs in one command: order, table, JUnit, exit code, problems of all, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from atm.testing import TargetServer
from tests.cli import program


def written(folder: Path, name: str, url: str, **fields: Any) -> Path:
    """A spec as JSON, which is YAML too."""
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps({"name": name, "url": url, "total_requests": 20, "concurrency": 2, **fields}))
    return path


def test_specs_and_folders_run_one_after_the_other_with_one_table_one_junit_file_and_one_exit_code(
    target: TargetServer, tmp_path: Path
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    first = written(tmp_path, "first", f"{target.url}/users")
    written(folder, "a passing one", f"{target.url}/users")
    written(folder, "failing", f"{target.url}/status/503")
    (folder / "rows.json").write_text("[]")
    junit = tmp_path / "all.xml"
    said = program.atm(tmp_path, "run", str(first), str(folder), "--junit", str(junit), "--no-history")
    # A busy machine can make any measurement invalid, which comes before a failed threshold.
    assert said.code in (99, 4), said.err
    table = said.out[said.out.index(" TESTS  3: ") :].splitlines()
    assert table[0].endswith(f"exit {said.code}")
    assert [line.split("  ")[1].strip(" ✓✗!") for line in table[2:]] == ["first", "a passing one", "failing"]
    assert max(map(len, table)) <= 80
    assert [line for line in said.err.splitlines() if line.startswith(" test ")] == [
        " test 1 of 3: first",
        " test 2 of 3: a passing one",
        " test 3 of 3: failing",
    ]
    suites = ElementTree.parse(junit).getroot()
    assert [suite.get("name") for suite in suites] == ["first", "a passing one", "failing"]
    assert int(suites.get("tests") or 0) == sum(int(suite.get("tests") or 0) for suite in suites)
    assert target.settled_stats().received == 60


def test_json_is_one_document_with_all_results(target: TargetServer, tmp_path: Path) -> None:
    specs = [str(written(tmp_path, name, f"{target.url}/users")) for name in ("a", "b")]
    said = program.atm(tmp_path, "run", *specs, "--json", "--no-history")
    document = json.loads(said.out)
    assert document["exit_code"] == said.code
    assert [(run["name"], run["state"], run["spec"]) for run in document["runs"]] == [
        ("a", "ended", specs[0]),
        ("b", "ended", specs[1]),
    ]
    assert [run["result"]["metrics"]["total_requests"] for run in document["runs"]] == [20, 20]


def test_the_problems_of_all_specs_are_reported_before_any_request(target: TargetServer, tmp_path: Path) -> None:
    good = written(tmp_path, "good", f"{target.url}/users")
    bad = written(tmp_path, "bad", "nope", concurency=3)
    worse = written(tmp_path, "worse", f"{target.url}/users", duration="soon")
    said = program.atm(tmp_path, "run", str(good), str(bad), str(worse))
    assert said.code == 2
    assert 'unknown field "concurency"' in said.err
    assert "bad.yaml" in said.err
    assert '"soon" is not a duration' in said.err
    assert "worse.yaml" in said.err
    assert target.settled_stats().received == 0


def test_a_test_that_cannot_be_carried_out_does_not_keep_the_others_from_running(
    target: TargetServer, tmp_path: Path
) -> None:
    auth = {"type": "oauth2_client_credentials", "token_url": f"{target.url}/status/500"}
    lacking = written(
        tmp_path, "no token", f"{target.url}/users", auth={**auth, "client_id": "a", "client_secret": "b"}
    )
    good = written(tmp_path, "good", f"{target.url}/users")
    junit = tmp_path / "all.xml"
    said = program.atm(tmp_path, "run", str(lacking), str(good), "--junit", str(junit), "--no-history")
    assert said.code == 1
    assert "REQUESTS  20 started" in said.out
    first, second = ElementTree.parse(junit).getroot()
    assert (first.get("errors"), second.get("errors")) == ("1", "0")


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT")
def test_ctrl_c_stops_the_current_run_and_skips_the_rest(target: TargetServer, tmp_path: Path) -> None:
    long = {"total_requests": None, "duration": "5m", "requests_per_second": 20}
    specs = [str(written(tmp_path, name, f"{target.url}/users", **long)) for name in ("now", "never")]
    junit = tmp_path / "all.xml"
    process = program.started(tmp_path, "run", *specs, "--junit", str(junit), "--no-history")
    while target.stats().received < 20:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "1 stopped · 1 skipped" in out
    assert out.splitlines()[-1].split() == ["never", "skipped"]
    _, skipped = ElementTree.parse(junit).getroot()
    assert (skipped.get("name"), skipped.get("skipped")) == ("never", "1")


def test_files_are_written_for_each_test_with_its_name(target: TargetServer, tmp_path: Path) -> None:
    names = ("first", "a/b?", "First")
    specs = [str(written(tmp_path, f"spec-{number}", f"{target.url}/users")) for number in range(len(names))]
    for spec, name in zip(specs, names, strict=True):
        document = json.loads(Path(spec).read_text())
        Path(spec).write_text(json.dumps({**document, "name": name}))
    out = tmp_path / "out"
    out.mkdir()
    flags = ("-o", str(out / "report.md"), "-o", str(out / "all.json"))
    said = program.atm(tmp_path, "run", *specs, *flags, "--no-history")
    assert said.code in (0, 4), said.err
    labels = ("First-2", "a-b", "first")
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [*(f"report-{label}.md" for label in labels), *(f"all-{label}.json" for label in labels)]
    )
    for label, name in zip(labels, ("First", "a/b?", "first"), strict=True):
        assert json.loads((out / f"all-{label}.json").read_text())["run"]["name"] == name


def test_files_are_written_with_json_too(target: TargetServer, tmp_path: Path) -> None:
    specs = [str(written(tmp_path, name, f"{target.url}/users")) for name in ("a", "b")]
    said = program.atm(tmp_path, "run", *specs, "--json", "-o", str(tmp_path / "x.csv"), "--no-history")
    assert len(json.loads(said.out)["runs"]) == 2
    assert {"x-a.csv", "x-b.csv"} <= {path.name for path in tmp_path.iterdir()}


def test_a_folder_without_specs_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = program.atm(tmp_path, "run", str(tmp_path / "empty"))
    assert (said.code, "there is no spec in" in said.err) == (2, True)
