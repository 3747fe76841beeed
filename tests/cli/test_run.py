"""`atm run` against a real target: exit codes, streams, files, signals. What depends on the process runs in one."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from atm.testing import TargetServer
from tests.cli import program

PLAIN = {key: value for key, value in os.environ.items() if key not in ("CI", "GITHUB_ACTIONS", "FORCE_COLOR")}


def atm(
    *arguments: str, given: str = "", where: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process: what it writes and returns is the same, and costs a third."""
    more = {"ATM_NO_HISTORY": "1", **(environment or {})}
    with contextlib.chdir(where or Path.cwd()):
        said = program.atm(Path(os.environ["ATM_DATA_DIR"]), *arguments, given=given.encode(), more=more)
    return subprocess.CompletedProcess(arguments, said.code, said.out, said.err)


def process_of(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "atm", *arguments],
        input=given,
        capture_output=True,
        text=True,
        env={**PLAIN, "COLUMNS": "80"},
        timeout=200,
    )


def check_exit(process: subprocess.CompletedProcess[str], code: int, json_output: bool = False) -> None:
    """It exits with `code`, or with 4 where its measurement is invalid, as a busy machine can make any, and says so."""
    if process.returncode == 4 and json_output:
        assert json.loads(process.stdout)["verdict"]["measurement"] == "invalid"
    elif process.returncode == 4:
        assert " ✗ MEASUREMENT  invalid: " in process.stdout
    else:
        assert process.returncode == code, process.stderr


def started(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "atm", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**PLAIN, "COLUMNS": "80", **(environment or {})},
    )


def test_a_passed_run_prints_its_report_and_exits_with_0(target: TargetServer) -> None:
    process = process_of("run", f"{target.url}/users", "-n", "50", "--threshold", "p99 < 5s")
    check_exit(process, 0)
    assert " ✓ THRESHOLDS   1 of 1 holds" in process.stdout
    assert " REQUESTS  50 started = 50 ok + 0 failed + 0 unfinished" in process.stdout
    assert "\x1b" not in process.stdout + process.stderr


def test_a_missed_threshold_exits_with_99(target: TargetServer) -> None:
    process = process_of("run", f"{target.url}/users", "-n", "20", "--threshold", "p99 < 1us")
    check_exit(process, 99)
    assert " ✗ THRESHOLDS   1 of 1 failed" in process.stdout
    assert f"exit {process.returncode}" in process.stdout


def test_a_run_without_thresholds_passes_when_no_request_fails(target: TargetServer) -> None:
    process = atm("run", f"{target.url}/users", "-n", "20", "--json")
    check_exit(process, 0, json_output=True)
    [implied] = json.loads(process.stdout)["thresholds"]
    assert (implied["is_implied"], implied["passed"], implied["actual"]) == (True, True, 0.0)
    process = atm("run", f"{target.url}/status?ok=200&other=503&share=0.5", "-n", "40")
    check_exit(process, 99)
    assert " ✗ THRESHOLDS   1 of 1 failed" in process.stdout
    assert "error_rate <= 0 %" in process.stdout
    assert "implied, because the spec has no thresholds" in " ".join(process.stdout.split())


def test_a_target_that_never_answers_has_failed_though_its_thresholds_hold(tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    process = atm("run", "http://127.0.0.1:1/", "-n", "5", "--threshold", "rps >= 0", "--json", "--junit", str(junit))
    assert process.returncode == 3
    verdict = json.loads(process.stdout)["verdict"]
    assert (verdict["outcome"], verdict["passed"]) == ("failed", False)
    [case] = [each for each in ElementTree.parse(junit).iter("testcase") if each.get("name") == "the target answers"]
    failure = case.find("failure")
    assert failure is not None
    assert failure.get("message") == "no request got a response: 5 × connect_error (connection refused)"


def test_no_fail_reports_and_exits_with_0(target: TargetServer) -> None:
    process = atm("run", f"{target.url}/users", "-n", "20", "--threshold", "p99 < 1us", "--no-fail", "--json")
    assert process.returncode == 0
    verdict = json.loads(process.stdout)["verdict"]
    assert (verdict["outcome"], verdict["exit_code"]) in (("failed", 0), ("invalid", 0))


def test_a_target_that_refuses_exits_with_3_and_says_what_to_try() -> None:
    process = process_of("run", "http://127.0.0.1:1/users", "-n", "10")
    assert process.returncode == 3
    assert " ✗ UNREACHABLE  0 of 10 requests got a response" in process.stdout
    assert "error: 127.0.0.1:1 refused the connection [connect_refused]" in process.stdout
    assert "`curl -i http://127.0.0.1:1/users`" in process.stdout


def test_a_name_that_does_not_exist_exits_with_3() -> None:
    process = atm("run", "http://does-not-exist.invalid/", "-n", "10")
    assert process.returncode == 3
    assert 'the name "does-not-exist.invalid" does not exist' in process.stderr
    assert "Traceback" not in process.stderr


def test_json_is_the_only_thing_on_stdout(target: TargetServer) -> None:
    process = atm("run", f"{target.url}/users", "-n", "20", "--json")
    check_exit(process, 0, json_output=True)
    document = json.loads(process.stdout)
    assert list(document)[:8] == [
        "run", "verdict", "thresholds", "metrics", "endpoint_metrics", "failures", "generator", "environment",
    ]  # fmt: skip
    assert document["metrics"]["total_requests"] == 20
    assert document["verdict"]["exit_code"] == process.returncode


def test_the_flags_override_the_spec(target: TargetServer, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"name: shop\nurl: {target.url}/status/201\ntotal_requests: 7\nthresholds: [p99 < 1us]\n")
    process = atm("run", str(spec), "-n", "9", "-c", "2", "-H", "X-Test: yes", "--seed", "5", "--json")
    document = json.loads(process.stdout)
    assert document["metrics"]["total_requests"] == 9
    assert document["run"]["seed"] == 5
    assert document["samples"][0]["request_headers"][-1] == ["X-Test", "yes"]


def test_a_spec_comes_from_standard_input(target: TargetServer) -> None:
    given = json.dumps({"name": "piped", "url": f"{target.url}/users", "total_requests": 5})
    process = process_of("run", "-", "--quiet", given=given)
    check_exit(process, 0)
    assert process.stderr == ""
    assert process.stdout.startswith(" ✓ THRESHOLDS   1 of 1 holds")
    assert " MEASUREMENT " in process.stdout


def test_result_files_are_written_whole(target: TargetServer, tmp_path: Path) -> None:
    names = ("out.json", "out.csv", "out.html", "out.md", "out.pdf")
    outputs = [word for name in names for word in ("-o", str(tmp_path / name))]
    process = atm("run", f"{target.url}/users", "-n", "20", *outputs, "--junit", str(tmp_path / "out.xml"))
    check_exit(process, 0)
    assert json.loads((tmp_path / "out.json").read_text())["metrics"]["total_requests"] == 20
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [(row["endpoint"], row["total_requests"]) for row in rows] == [("GET /users", "20"), ("total", "20")]
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "out.md").read_text().startswith("## ")
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF-")
    # The measurement is a test of its own in there.
    failures = "1" if process.returncode == 4 else "0"
    assert ElementTree.parse(tmp_path / "out.xml").getroot().get("failures") == failures
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "out.xml"])


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("-o", "missing/out.json"), "error: directory missing does not exist [unwritable]"),
        (("-o", "out.txt"), "error: out.txt has no known file name suffix [unknown_format]"),
        (("--junit", "."), "error: . is a directory [unwritable]"),
    ],
)
def test_an_unwritable_file_is_reported_before_anything_is_sent(
    target: TargetServer, tmp_path: Path, flags: tuple[str, str], said: str
) -> None:
    target.reset()
    process = atm("run", f"{target.url}/users", *flags, where=tmp_path)
    assert process.returncode == 2
    assert said in process.stderr
    assert target.stats().received == 0
    assert not list(tmp_path.iterdir())


def test_the_first_interrupt_stops_and_the_report_follows(target: TargetServer) -> None:
    process = started("run", f"{target.url}/delay/300", "-c", "4", "-z", "60s")
    wait_for_line(process, "00:01")
    process.send_signal(signal.SIGINT)
    output, said = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "stopping: up to 30 s for 4 requests in flight" in said
    assert " ■ STOPPED      by Ctrl-C at 00:0" in output
    assert "+ 0 failed + 0 unfinished" in output


def test_the_second_interrupt_quits_at_once(target: TargetServer) -> None:
    # The first interrupt alone would wait until the requests time out.
    process = started("run", f"{target.url}/never", "-c", "4", "-z", "1h", "--timeout", "1h")
    wait_for_line(process, "00:01")
    process.send_signal(signal.SIGINT)
    wait_for_line(process, "stopping")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130
    assert " REQUESTS  4 started = 0 ok + 0 failed + 4 unfinished" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_terminate_and_hang_up_are_a_stop(target: TargetServer, number: signal.Signals) -> None:
    # Processes of `nohup make test` would ignore SIGHUP.
    before = signal.signal(number, signal.SIG_DFL)
    process = started("run", f"{target.url}/delay/50", "-c", "2", "-z", "60s")
    signal.signal(number, before)
    wait_for_line(process, "00:01")
    process.send_signal(number)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 130
    assert f" ■ STOPPED      by {number.name} at 00:0" in output


def test_nohup_still_ignores_the_end_of_a_session(target: TargetServer) -> None:
    command = ["nohup", sys.executable, "-m", "atm", "run", f"{target.url}/users", "-z", "2s", "--no-fail"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN)
    wait_for_line(process, "00:01")
    process.send_signal(signal.SIGHUP)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    assert "STOPPED" not in output


def wait_for_line(process: subprocess.Popen[str], beginning: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith(beginning):
            # communicate() does not return lines read before; the tests look at later lines only.
            return
    raise AssertionError(f"no line began with {beginning!r}")


def test_a_reader_that_has_gone_is_no_error(target: TargetServer) -> None:
    command = f"'{sys.executable}' -m atm run {target.url}/users -n 10 -q --no-fail | true; echo ${{PIPESTATUS[0]}}"
    process = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=PLAIN, timeout=200)
    assert process.stdout.strip() == "0"
    assert process.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("flags", ["-q", "--json"])
def test_an_output_that_is_full_is_told_on_the_other_one(target: TargetServer, flags: str) -> None:
    command = f"'{sys.executable}' -m atm run {target.url}/users -n 3 --no-fail {flags} >/dev/full"
    process = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=PLAIN, timeout=200)
    assert process.returncode == 6
    assert "error: cannot write to standard output: No space left on device [unwritable]" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_version_that_cannot_be_printed_is_one_line_of_error() -> None:
    command = f"'{sys.executable}' -m atm --version >/dev/full"
    process = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=PLAIN, timeout=200)
    assert process.returncode == 1
    assert process.stderr == "error: cannot write to standard output: No space left on device [unwritable]\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_is_no_error(target: TargetServer, closed: str) -> None:
    command = f"'{sys.executable}' -m atm run {target.url}/users -n 3 --no-fail {closed}"
    process = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=PLAIN, timeout=200)
    assert process.returncode == 0
    assert "Traceback" not in process.stdout + process.stderr


def test_a_file_that_cannot_be_written_leaves_json_one_document(target: TargetServer, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    files = [str(folder / "out.json"), str(tmp_path / "out.csv"), str(folder / "out.html")]
    outputs = [word for name in files for word in ("-o", name)]
    # The step summary of GitHub is a directory here, which takes no text.
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(tmp_path)}
    process = started(
        "run", f"{target.url}/users", "-z", "1s", "--no-fail", "--json", *outputs, environment=environment
    )
    wait_for_line(process, "atm ")
    folder.rmdir()
    output, said = process.communicate(timeout=200)
    assert process.returncode == 6
    assert json.loads(output)["run"]["status"] == "completed"
    assert said.count("error: cannot write ") == 3
    assert "GITHUB_STEP_SUMMARY" in said
    assert (tmp_path / "out.csv").read_text().startswith("endpoint,")


def test_a_failed_threshold_matters_more_than_a_file(target: TargetServer, tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    outputs = ("-o", str(folder / "out.json"))
    process = started("run", f"{target.url}/users", "-z", "1s", "--threshold", "p99 < 1us", *outputs)
    wait_for_line(process, "atm ")
    folder.rmdir()
    _, said = process.communicate(timeout=200)
    assert process.returncode in (4, 99)
    assert "error: cannot write" in said


def test_github_gets_annotations_and_a_summary(target: TargetServer, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    environment = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "CI": "true"}
    process = atm("run", f"{target.url}/users", "-n", "20", "--threshold", "p99 < 1us", environment=environment)
    assert "::error title=atm%3A" in process.stdout
    assert "| ✗ failed | p99 \\< 1 µs |" in summary.read_text()


def test_the_demo_passes_and_stops_its_target(tmp_path: Path) -> None:
    process = process_of("demo", "--json", "-o", str(tmp_path / "demo.html"))
    document: dict[str, Any] = json.loads(process.stdout)
    # Also where the machine is busy and the measurement invalid: the report says so, and the demo did its work.
    assert process.returncode == 0
    assert document["run"]["name"] == "quickstart"
    assert document["verdict"]["outcome"] in ("passed", "invalid")
    assert document["metrics"]["due"] == 1_500
    assert (tmp_path / "demo.html").exists()
