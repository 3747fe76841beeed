"""Runs of locustfiles: their end, thresholds, exceptions, output, and what is refused before a run."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from atm.testing import TargetServer
from tests.cli.program import atm, started
from tests.code.locust_counts import FILES
from tests.code.locust_runs import counts_of, run


def locustfile(folder: Path, body: str, imports: str = "HttpUser, task") -> Path:
    file = folder / "locustfile.py"
    file.write_text(f"import time\nfrom locust import {imports}\n{body}", encoding="utf-8")
    return file


def problems_in(out: str) -> list[dict[str, str]]:
    error = json.loads(out)["error"]
    problems: list[dict[str, str]] = error.get("problems") or [error]
    return problems


def test_users_that_are_there_at_the_end_run_on_stop(target: TargetServer, tmp_path: Path) -> None:
    result = run(tmp_path, "ending.py", target, "--users", "6", "--duration", "400ms")

    counts = counts_of(result)
    assert counts["POST login"] == counts["POST logout"] == [3, 0]
    assert counts["GET once"] == counts["GET left"] == [3, 0]
    assert counts["GET cart"][0] >= 3
    assert sum(requests for requests, _ in counts.values()) == target.settled_stats().received
    # What users do at the end is no iteration, and those who wait have none that is unfinished.
    assert [scenario["unfinished"] for scenario in result["scenarios"]] == [0, 0]
    assert result["scenarios"][1]["started"] == result["scenarios"][1]["completed"] == 3


def test_listeners_hear_of_the_end(target: TargetServer, tmp_path: Path) -> None:
    command = ("run", str(FILES / "ending.py"), "--host", target.url, "-z", "100ms", "--json", "--no-fail")
    said = atm(tmp_path, *command, "--users", "2", "--no-history")

    assert said.err.index("the test has stopped, users left: 0") < said.err.index("quitting")
    json.loads(said.out)


def test_what_a_file_prints_is_not_in_the_document(target: TargetServer, tmp_path: Path) -> None:
    file = locustfile(
        tmp_path,
        """
from locust.exception import StopUser
print("at the top")
class Visitor(HttpUser):
    @task
    def visit(self):
        print("in a task")
        self.client.get("/fixed")
        raise StopUser
""",
    )
    said = atm(tmp_path, "run", str(file), "--host", target.url, "-z", "5s", "--json", "--no-fail", "--no-history")

    assert counts_of(json.loads(said.out)) == {"GET /fixed": [1, 0]}
    assert "at the top" in said.err
    assert "in a task" in said.err


def test_thresholds_judge_the_names_of_a_locustfile(target: TargetServer, tmp_path: Path) -> None:
    passing, failing = "Often/Often: p95 < 60s", "error_rate > 50%"
    command = ("run", str(FILES / "classes.py"), "--host", target.url, "--users", "6", "-z", "5s", "--json")
    said = atm(tmp_path, *command, "--threshold", passing, "--threshold", failing, "--no-history")

    assert [threshold["passed"] for threshold in json.loads(said.out)["thresholds"]] == [True, False]
    assert said.code in (99, 4)  # 4 where a busy machine spoiled the measurement


def test_an_exception_fails_its_task_with_file_and_line_and_the_user_goes_on(
    target: TargetServer, tmp_path: Path
) -> None:
    result = run(tmp_path, "failures.py", target, "--users", "2", "--duration", "6s")

    (scenario,) = result["scenarios"]
    assert (scenario["started"], scenario["completed"], scenario["failed"]) == (12, 6, 6)
    messages = json.dumps(result)
    assert "ValueError: a bug in the task (failures.py:" in messages
    assert "500 Server Error" in messages


@pytest.mark.parametrize("users", ["2"])
def test_ctrl_c_ends_a_task_that_sleeps_within_two_seconds(users: str, target: TargetServer, tmp_path: Path) -> None:
    file = locustfile(
        tmp_path,
        """
class Sleeper(HttpUser):
    @task
    def visit(self):
        self.client.get("/fixed")
        time.sleep(3600)
""",
    )
    process = started(tmp_path, "run", str(file), "--host", target.url, "--users", users, "-z", "1h", "--no-history")
    while target.stats().received < int(users):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130, err
    assert f"{users} unfinished" in out
    # The limit itself, and not how long this machine takes to print a report.
    assert "up to 1 s" in err


def test_a_spawn_rate_is_a_ramp(target: TargetServer, tmp_path: Path) -> None:
    result = run(tmp_path, "shape.py", target, "--users", "6", "--spawn-rate", "5", "--duration", "2s")

    assert counts_of(result) == {"GET arrived": [6, 0]}
    assert result["metrics"]["duration_seconds"] > 1


def test_every_unsupported_use_is_one_error_with_its_line(tmp_path: Path) -> None:
    file = locustfile(
        tmp_path,
        """import gevent

@events.worker_report.add_listener
def on_report(**kwargs): ...

@events.init.add_listener
def on_init(environment, **kwargs):
    if environment.web_ui:
        environment.web_ui.app.route("/mine")
    environment.web_ui.app.route("/mine")

@events.quitting.add_listener
def on_quitting(environment, **kwargs):
    environment.process_exit_code = 1 if environment.stats.total.fail_ratio else 0

class Visitor(HttpUser):
    @task
    def visit(self):
        self.client.get("/", verify=False)
        self.environment.events.request.fire(name="mine")

class Shape(LoadTestShape):
    def tick(self):
        return 1, 1, [Visitor]
""",
        "HttpUser, LoadTestShape, MarkovTaskSet, events, task",
    )
    said = atm(tmp_path, "run", str(file), "--host", "http://127.0.0.1:1", "--json")

    assert said.code == 2
    errors = problems_in(said.out)
    places = [(error["where"].rpartition(":")[2], error["message"].partition(" is not")[0]) for error in errors]
    assert places == [
        ("2", "MarkovTaskSet"),
        ("3", "the module gevent"),
        ("5", "events.worker_report"),
        ("12", "web_ui.app"),
        ("16", "environment.process_exit_code"),
        ("16", "environment.stats"),
        ("21", "verify=False"),
        ("22", "events.request.fire"),
        ("26", "a LoadTestShape with user classes"),
    ]
    assert all(error["hint"] for error in errors)


@pytest.mark.parametrize(
    ("body", "imports", "arguments", "message"),
    [
        ("class Own(User):\n    @task\n    def t(self): ...\n", "User, task", (), "a client of its own"),
        ("class None_(HttpUser): ...\n", "HttpUser", (), "has no tasks"),
        ("", "HttpUser", (), "no user class"),
        ("class V(HttpUser):\n    @task\n    def t(self): ...\n", "HttpUser, task", ("--host", ""), "no host"),
        ("import nothing_like_this\n", "HttpUser", (), "ModuleNotFoundError"),
        ("class V(HttpUser):\n    @task\n    def t(self): ...\n", "HttpUser, task", ("--rate", "5"), "--users"),
        ("class V(HttpUser):\n    @task\n    def t(self): ...\n", "HttpUser, task", ("--tags", "x"), "has no tasks"),
    ],
)
def test_what_cannot_run_is_an_error_before_the_run(
    body: str, imports: str, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    file = locustfile(tmp_path, body, imports)
    said = atm(tmp_path, "run", str(file), "--host", "http://127.0.0.1:1", "--json", *arguments)

    assert said.code == 2
    (error,) = problems_in(said.out)
    assert message in error["message"]
    assert "locustfile.py" in error["where"]


def test_flags_of_locustfiles_are_refused_for_other_specs(tmp_path: Path) -> None:
    said = atm(tmp_path, "run", "http://127.0.0.1:1", "--spawn-rate", "2", "--tags", "a", "--json")

    assert said.code == 2
    assert [error["where"] for error in problems_in(said.out)][:2] == ["--spawn-rate", "--tags"]
