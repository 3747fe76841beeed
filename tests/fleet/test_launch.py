"""A test whose spec or flag names several processes, from the spec to the result."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import atm
from atm.errors import SpecError
from atm.fleet.launch import execution_of
from atm.fleet.transport import FleetError
from atm.library import compile_spec
from atm.mcp_server import summaries
from atm.metrics.interval import Interval
from atm.metrics.live_status import LiveStatus
from atm.models.events import EVENTS, IntervalEvent, event_json
from atm.models.outcome import Measurement, RunStatus, StopReason
from atm.models.run import RunResult
from atm.runs import events
from atm.runs.policy import Policy
from atm.testing import TargetServer
from tests.contract.engine_runs import open_connections
from tests.fleet.processes import is_running


def spec(target: TargetServer, **fields: Any) -> dict[str, Any]:
    return {
        "name": "fleet",
        "url": f"{target.url}/",
        "load": {"rate": 100},
        "duration": "2s",
        "fleet": {"processes": 2},
        **fields,
    }


def test_a_run_in_two_processes_counts_as_one(target: TargetServer) -> None:
    result = atm.run_sync(spec(target))
    assert result.metrics.total_requests == 200
    assert target.settled_stats().completed == 200
    assert result.fleet is not None
    assert [worker.requests for worker in result.fleet.workers] == [100, 100]
    assert [worker.share for worker in result.fleet.workers] == [0.5, 0.5]
    assert result.run.engine_reason.endswith("in 2 processes")
    assert result.run.started_at is not None
    assert result.run.created_at < result.run.started_at


def test_each_second_of_a_run_has_the_figures_of_each_worker(target: TargetServer) -> None:
    execution = execution_of(compile_spec(spec(target)))
    seconds: list[IntervalEvent] = []

    def take(interval: Interval) -> None:
        assert Interval.from_bytes(interval.to_bytes()).workers == interval.workers
        status = LiveStatus(execution.collector.snapshot())
        event = events.interval(status, len(seconds) + 1, datetime.now(UTC))
        seconds.append(EVENTS.validate_json(event_json(event)))  # type: ignore[arg-type]

    asyncio.run(execution.run(take))
    first = seconds[0].workers
    assert [(worker.name, worker.state, worker.share) for worker in first] == [
        ("worker 1", "running", 0.5),
        ("worker 2", "running", 0.5),
    ]
    assert all(0 < worker.requests_per_second <= 50.0 for worker in first)
    assert all(worker.delta >= 1 and worker.host and worker.cpu_share > 0 for worker in first)
    assert sum(worker.in_flight for worker in first) == seconds[0].in_flight


def test_a_run_in_one_process_has_no_table_of_workers(target: TargetServer) -> None:
    result = atm.run_sync(spec(target, fleet={}))
    assert result.fleet is None
    assert "fleet" not in json.loads(result.model_dump_json())


def test_setup_and_teardown_run_once_and_their_values_reach_every_worker(target: TargetServer) -> None:
    result = atm.run_sync(
        {
            "name": "hooks",
            "base_url": target.url,
            "load": {"rate": 50},
            "duration": "1s",
            "fleet": {"processes": 2},
            "setup": [{"GET": "/?once=setup", "extract": {"word": {"regex": "(hello)"}}}],
            "scenarios": {"read": {"steps": [{"GET": "/?word={{word}}"}]}},
            "teardown": [{"GET": "/?once=teardown"}],
        }
    )
    raw = [request.raw or b"" for request in target.captured()]
    assert sum(b"once=setup" in request for request in raw) == 1
    assert sum(b"once=teardown" in request for request in raw) == 1
    assert sum(b"word=hello" in request for request in raw) == 50
    assert result.setup is not None
    assert result.setup.status == "passed"


def test_samples_are_as_many_as_of_one_process(target: TargetServer) -> None:
    assert sum(sample.reason == "first" for sample in atm.run_sync(spec(target)).samples) == 2


def test_a_threshold_with_abort_ends_all_workers(target: TargetServer) -> None:
    rule = {"expression": "error_rate < 1%", "abort": True, "abort_after": 1}
    result = atm.run_sync(spec(target, url=f"{target.url}/status/500", duration="300s", thresholds=[rule]))
    assert result.run.stop_reason is StopReason.THRESHOLD
    # Not `passed` of the run: it is None where this machine was too busy to measure.
    assert [threshold.passed for threshold in result.thresholds] == [False]
    assert open_connections(target) == 0


def test_a_plan_that_cannot_be_split_is_refused_before_any_request(target: TargetServer) -> None:
    with pytest.raises(FleetError, match="cannot be split"):
        atm.run_sync(spec(target, load={"users": 1}, duration=None, total_requests=10))
    assert target.stats().received == 0


@pytest.mark.parametrize("processes", [0, 1025, "two"])
def test_a_wrong_number_of_processes_is_a_problem_of_the_spec(target: TargetServer, processes: object) -> None:
    with pytest.raises(SpecError, match=r"fleet\.processes"):
        atm.run_sync(spec(target, fleet={"processes": processes}))


@pytest.mark.parametrize(
    "fields",
    [
        {"load": {"users": 4}},
        {
            "url": None,
            "scenarios": {"read": {"before_user": [{"GET": "/"}], "steps": [{"GET": "/"}]}},
            "load": {"rate": 10},
        },
    ],
)
def test_what_only_its_own_worker_can_continue_is_not_reassigned(target: TargetServer, fields: dict[str, Any]) -> None:
    given = spec(target, **fields, fleet={"processes": 2, "on_loss": "reassign"}, base_url=target.url)
    with pytest.raises(SpecError, match="cannot be reassigned") as caught:
        compile_spec({name: value for name, value in given.items() if value is not None})
    assert [(problem.path, problem.code) for problem in caught.value.problems] == [("fleet.on_loss", "cannot_reassign")]


def test_a_server_allows_as_many_processes_as_its_setting(target: TargetServer) -> None:
    with pytest.raises(SpecError, match="this server allows 1") as caught:
        Policy(max_processes=1).compile(spec(target), {}, 1)
    assert caught.value.problems[0].path == "fleet.processes"
    assert Policy(max_processes=2).compile(spec(target), {}, 1).spec.fleet is not None


def command(target: TargetServer, *flags: str) -> list[str]:
    options = ("--rate", "100", "--no-history", "--json", "--processes", "2", *flags)
    return [sys.executable, "-m", "atm", "run", f"{target.url}/", *options]


def test_the_command_line_runs_in_several_processes(target: TargetServer) -> None:
    finished = subprocess.run(command(target, "-n", "50", "--no-fail"), capture_output=True, check=False)
    result = json.loads(finished.stdout)
    assert result["metrics"]["total_requests"] == 50
    assert [worker["requests"] for worker in result["fleet"]["workers"]] == [25, 25]


def test_every_report_has_a_table_of_the_workers(target: TargetServer, tmp_path: Path) -> None:
    page, saved = tmp_path / "run.html", tmp_path / "run.json"
    flags = ("-n", "50", "--no-fail", "-o", str(page), "-o", str(saved))
    arguments = [argument for argument in command(target, *flags) if argument != "--json"]
    report = subprocess.run(arguments, capture_output=True, check=False, text=True).stdout
    assert " WORKERS" in report
    assert "50.0 %" in report.partition(" WORKERS")[2].splitlines()[1]
    assert "Workers" in page.read_text()
    assert "worker 2" in page.read_text()
    result = RunResult.model_validate_json(saved.read_bytes())
    assert "workers: 2, 0 lost" in summaries.result(result)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_workers_and_the_report_follows(target: TargetServer, number: signal.Signals) -> None:
    process = subprocess.Popen(command(target, "-z", "300s"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while target.stats().received < 50:
        assert process.poll() is None
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    result = json.loads(output)
    assert result["run"]["stop_reason"] == "stopped"
    assert result["metrics"]["total_requests"] == target.settled_stats().completed
    assert open_connections(target) == 0


def test_nothing_is_left_when_the_controller_is_killed(target: TargetServer) -> None:
    process = subprocess.Popen(command(target, "-z", "300s"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while target.stats().received < 50:
        assert process.poll() is None
    workers = children_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.wait()
    assert open_connections(target, 30) == 0
    assert not [worker for worker in workers if stays(worker)]


def test_workers_of_a_stopped_controller_end_and_the_run_fails_when_it_continues(
    target: TargetServer, tmp_path: Path
) -> None:
    process = subprocess.Popen(
        command(target, "-z", "300s"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    while target.stats().received < 50:
        assert process.poll() is None
    workers = children_of(process.pid)
    process.send_signal(signal.SIGSTOP)
    assert not [worker for worker in workers if stays(worker)]
    assert open_connections(target) == 0
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)
    result = json.loads(output)
    assert result["run"]["status"] == RunStatus.FAILED
    assert "all workers were lost" in result["run"]["error"]
    # What it did not fetch is in a file of each worker.
    assert len(list(tmp_path.glob("atm-worker-*.jsonl"))) == 2


def test_a_run_whose_worker_is_killed_is_an_error_that_names_it(target: TargetServer) -> None:
    process = subprocess.Popen(command(target, "-z", "300s"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    while target.stats().received < 150:
        assert process.poll() is None
    os.kill(children_of(process.pid)[0], signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    result = json.loads(output)
    assert result["run"]["status"] == RunStatus.FAILED
    assert "50.0 % of the load" in result["run"]["error"]
    assert result["verdict"]["measurement"] == Measurement.INVALID
    assert "lost" in {worker["state"] for worker in result["fleet"]["workers"]}
    metrics = result["metrics"]
    ended = metrics["successful_requests"] + metrics["failed_requests"] + metrics["unfinished"]
    assert metrics["total_requests"] == ended + metrics["generator_errors"]


def children_of(pid: int) -> list[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    return sorted(child for child, parent in parents.items() if parent == pid)


def stays(pid: int) -> bool:
    """Whether a process is still there after a generous time."""
    deadline = time.monotonic() + 30
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_running(pid)
