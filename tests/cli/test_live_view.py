from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import pexpect
import pytest

from atm.cli.live_view import REDRAWS_PER_SECOND, LiveView, Moment, frame, sparkline
from atm.cli.output import Surface
from atm.cli.plain_progress import PlainView, progress_line
from atm.cli.progress import Course
from atm.cli.text import Paper, cells, joined
from atm.metrics.live_status import LiveStatus
from atm.metrics.snapshot import Snapshot
from atm.models.fleet_figures import WorkerSecond
from atm.models.outcome import Outcome
from atm.models.run import Measurement
from atm.models.run_figures import EndpointSoFar, ErrorSoFar, FiguresSoFar, Second
from atm.testing import TargetServer
from tests.cli import results
from tests.cli.comparison import assert_snapshot
from tests.metrics.shop import DATA, ENDPOINTS, shop_collector, shop_seconds

NAMES = ("GET /users", "GET /orders/{id}", "POST /orders")
COURSE = Course("quickstart", "open 500/s · up to 64 users", "native", 7, NAMES, 0.0, 60.0, None, 64, 2)
SECOND = Second(
    second=33,
    phase="hold",
    warm_up=False,
    duration_seconds=1.0,
    offered_rate=500.0,
    started=500,
    completed=500,
    failed=2,
    latency_p50_ms=12.0,
    latency_p95_ms=40.0,
    latency_p99_ms=96.0,
    latency_max_ms=110.0,
    in_flight=7,
    schedule_lag_p99_ms=0.2,
    cpu_share=0.68,
    requests_per_second=499.8,
    outcomes={},
    missed=0,
    users=64,
    waiting=0,
    busiest_thread_share=0.34,
)
SO_FAR = FiguresSoFar(
    due=17_000,
    started=17_000,
    ok=16_954,
    failed=38,
    completed=16_992,
    generator_errors=0,
    missed=0,
    waited=0,
    error_rate=38 / 16_992,
    latency_p50_ms=12.4,
    latency_p90_ms=31.0,
    latency_p95_ms=50.2,
    latency_p99_ms=176.0,
    latency_max_ms=2040.0,
    schedule_lag_p99_ms=0.21,
    endpoints=tuple(
        EndpointSoFar(
            name=name,
            requests_per_second=166.6,
            started=5_664,
            completed=5_664,
            failed=failed,
            latency_p50_ms=12.4,
            latency_p95_ms=48.9,
            latency_p99_ms=132.0,
        )
        for name, failed in zip(NAMES, (0, 0, 38), strict=True)
    ),
    errors=(
        ErrorSoFar(outcome=Outcome.UNEXPECTED_STATUS, message="503, expected 201", count=26, last_seconds=20.9),
        ErrorSoFar(outcome=Outcome.TIMEOUT, message="no full answer in 2 s", count=12, last_seconds=20.4),
    ),
)
SNAPSHOT = Snapshot(
    SECOND,
    SO_FAR,
    rates=tuple(300.0 if second % 9 == 0 else 500.0 for second in range(34)),
    p99s_ms=tuple(None if second == 7 else 2040.0 if second == 20 else 96.0 for second in range(34)),
)
STANDING = LiveStatus(SNAPSHOT, results.thresholds(), Measurement.VALID)
NOW = Moment(34.3)


def drawn(course: Course, standing: LiveStatus | None, moment: Moment, paper: Paper) -> str:
    return joined(frame(course, standing, moment, paper), color=False)


def test_the_frame_is_as_it_was() -> None:
    assert_snapshot("live-80.txt", drawn(COURSE, STANDING, NOW, Paper(80)))


def test_the_frame_in_ascii_is_as_it_was() -> None:
    text = drawn(COURSE, STANDING, NOW, Paper(80, unicode=False))
    assert text.isascii()
    assert_snapshot("live-ascii.txt", text)


@pytest.mark.parametrize("count", [1, 3, 8, 9, 500])
@pytest.mark.parametrize("rows", [24, 30, 50])
def test_a_frame_fits_its_terminal_and_never_changes_height(count: int, rows: int) -> None:
    names = tuple(f"GET /things/{number}/{'x' * 60}" for number in range(count))
    endpoints = tuple(replace(SO_FAR.endpoints[0], name=name) for name in names)
    course = replace(COURSE, endpoints=names)
    later = LiveStatus(
        replace(SNAPSHOT, so_far=replace(SO_FAR, endpoints=endpoints)),
        results.thresholds() * 4,
        Measurement.SUSPECT,
        "late " * 40,
    )
    first = frame(course, None, Moment(0.0, rows), Paper(80))
    last = frame(course, later, Moment(34.3, rows, "stopping: waiting"), Paper(80))
    assert len(first) == len(last) < rows
    assert max(cells(line.plain) for line in last) <= 80


def shop_status(seconds: int = 3) -> LiveStatus:
    collector = shop_collector()
    for interval in shop_seconds()[:seconds]:
        collector.add(interval)
    return LiveStatus(collector.snapshot(), [], Measurement.VALID)


SHOP = replace(COURSE, name="shop", endpoints=ENDPOINTS, scenarios=("browse", "order"))


def test_the_frame_of_scenarios_is_as_it_was() -> None:
    assert_snapshot("live-scenarios-80.txt", drawn(SHOP, shop_status(), Moment(3.0), Paper(80)))


def with_data(status: LiveStatus) -> LiveStatus:
    so_far = replace(status.snapshot.so_far, data=DATA)
    return replace(status, snapshot=replace(status.snapshot, so_far=so_far))


@pytest.mark.parametrize("width", [80, 120])
def test_the_frame_shows_the_rows_of_test_data_that_were_used(width: int) -> None:
    course = replace(SHOP, data=("accounts", "words"))
    begun = frame(course, None, Moment(0.0), Paper(width))
    ended = frame(course, with_data(shop_status(4)), Moment(4.0), Paper(width))
    assert len(begun) == len(ended) == len(frame(SHOP, None, Moment(0.0), Paper(width))) + 1
    (line,) = (line.plain for line in ended if line.plain.startswith(" data"))
    assert line.startswith(" data         words 10 of 10 rows used, 20 times again, all after 2 s · ")
    assert line.endswith("1 more" if width == 80 else "accounts 30 of 1,200 rows used")
    assert max(cells(line.plain) for line in ended) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_the_frame_of_scenarios_never_changes_height(width: int) -> None:
    begun = frame(SHOP, None, Moment(0.0), Paper(width))
    ended = frame(SHOP, shop_status(4), Moment(4.0), Paper(width))
    assert len(begun) == len(ended) < 24
    assert max(cells(line.plain) for line in ended) <= width


WORKER = WorkerSecond(
    name="worker 1",
    host="load-1",
    state="running",
    share=0.25,
    requests_per_second=124.9,
    schedule_lag_p99_ms=0.2,
    cpu_share=0.34,
    busiest_thread_share=0.2,
    in_flight=2,
    delta=34,
)
LOST = replace(WORKER, name="worker 4", state="lost", delta=12, message="worker 4 did not answer for 3 s")


def on_workers(count: int) -> LiveStatus:
    """One of them late, one with a verdict, the last one lost."""
    names = [f"worker {number} on load-{number}.example.test" for number in range(1, count)]
    workers = [replace(WORKER, name=name) for name in names]
    workers[1] = replace(workers[1], schedule_lag_p99_ms=12.5, measurement=Measurement.SUSPECT)
    return replace(STANDING, snapshot=replace(SNAPSHOT, workers=(*workers, LOST)))


def test_the_frame_of_workers_is_as_it_was() -> None:
    assert_snapshot("live-workers-80.txt", drawn(replace(COURSE, workers=4), on_workers(4), NOW, Paper(80)))


@pytest.mark.parametrize("count", [3, 4, 12, 200])
@pytest.mark.parametrize("course", [COURSE, SHOP], ids=["endpoints", "scenarios"])
def test_the_frame_of_workers_never_changes_height_and_counts_those_it_leaves_out(course: Course, count: int) -> None:
    course = replace(course, workers=count)
    status = on_workers(count) if course.endpoints == NAMES else with_workers(shop_status(4), count)
    begun = frame(course, None, Moment(0.0), Paper(80))
    ended = frame(course, status, Moment(34.3), Paper(80))
    assert len(begun) == len(ended) < 24
    assert max(cells(line.plain) for line in ended) <= 80
    lines = [line.plain for line in ended]
    head = next(number for number, line in enumerate(lines) if line.startswith(" worker "))
    # The lost one is first, then the one that is late.
    assert lines[head + 1].startswith(" worker 4 ")
    assert lines[head + 1].endswith("lost 00:12")
    table = [line for line in lines[head + 1 :] if line.startswith(" worker ")]
    more = next((line for line in lines if line.startswith(" … and ")), " … and 0 more")
    assert len(table) + int(more.split()[2]) == count


def with_workers(status: LiveStatus, count: int) -> LiveStatus:
    return replace(status, snapshot=replace(status.snapshot, workers=on_workers(count).snapshot.workers))


def test_plain_progress_says_once_that_a_worker_is_lost() -> None:
    output = io.StringIO()
    view = PlainView(replace(COURSE, workers=4), Surface(output, color=False, paper=Paper(80), interactive=False))
    for _ in range(3):
        view.update(on_workers(4))
    assert output.getvalue().count("00:12 worker 4 lost: worker 4 did not answer for 3 s") == 1


def test_plain_progress_names_iterations_and_failed_checks() -> None:
    assert "iterations 6/16 /s (8 failed)  checks failed 1" in progress_line(shop_status().snapshot)


def test_a_frame_fits_120_columns() -> None:
    lines = frame(COURSE, STANDING, NOW, Paper(120))
    assert max(cells(line.plain) for line in lines) == 120


def test_a_sparkline_shows_the_worst_of_the_seconds_that_share_a_column() -> None:
    paper = Paper(80)
    assert sparkline([1.0, 8.0, 1.0, 1.0], 2, paper, worst=max) == "█▂"
    assert sparkline([8.0, 8.0, 1.0, 8.0], 2, paper, worst=min) == "█▂"
    assert sparkline([None, None, 4.0, 8.0], 4, paper, worst=max) == "  ▅█"
    assert sparkline([], 17, paper, worst=max) == ""
    assert sparkline([0.0, 0.0], 17, paper, worst=max) == "▁▁"


def test_an_endpoint_cannot_move_the_cursor() -> None:
    course = replace(COURSE, endpoints=("\x1b[2J", *NAMES[1:]))
    assert "\x1b" not in drawn(course, STANDING, NOW, Paper(80))


def test_four_frames_a_second_cost_less_than_three_percent_of_a_core() -> None:
    view = LiveView(COURSE, Surface(io.StringIO(), color=True, paper=Paper(80), interactive=True))
    view.start()
    begun = time.process_time()
    for _ in range(100):
        view.update(STANDING)
        view.tick()
    assert (time.process_time() - begun) / 100 * REDRAWS_PER_SECOND < 0.03


def test_the_view_wipes_what_it_drew() -> None:
    stream = io.StringIO()
    view = LiveView(COURSE, Surface(stream, color=False, paper=Paper(80), interactive=True))
    view.start()
    view.update(STANDING)
    view.tick()
    before = stream.tell()
    view.close()
    stream.seek(before)
    ending = stream.read()
    height = len(frame(COURSE, STANDING, NOW, Paper(80)))
    assert ending.count("\x1b[2K") == height + 1
    assert ending.endswith("\x1b[?25h")
    assert "\x1b[J" not in ending


def plain_lines(*snapshots: Snapshot) -> list[str]:
    stream = io.StringIO()
    view = PlainView(COURSE, Surface(stream, color=False, paper=Paper(80), interactive=False))
    view.start()
    for snapshot in snapshots:
        view.update(LiveStatus(snapshot))
    view.close()
    return stream.getvalue().splitlines()


def at_second(end: int, so_far: FiguresSoFar = SO_FAR, **second: Any) -> Snapshot:
    """The snapshot at the end of a second."""
    return replace(SNAPSHOT, second=replace(SECOND, second=end - 1, **second), so_far=so_far)


QUIET = replace(SO_FAR, errors=(), failed=0)


def test_plain_progress_is_one_line_in_five_seconds() -> None:
    lines = plain_lines(*(at_second(end, QUIET) for end in range(1, 17)))
    assert lines[0] == "atm  quickstart  open 500/s · up to 64 users · native · seed 7"
    assert [line[:5] for line in lines[1:]] == ["00:01", "00:05", "00:10", "00:15"]


def test_plain_progress_speaks_up_at_each_phase_and_each_new_failure() -> None:
    lines = plain_lines(
        at_second(1, QUIET, phase="warm_up", warm_up=True), at_second(2, QUIET), at_second(3), at_second(4)
    )
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "00:01 warm-up",
        "00:02 hold",
        "00:20 first unexpected_status: 503, expected 201",
        "00:20 first timeout: no full answer in 2 s",
    ]


def test_the_progress_line_reads_as_documented() -> None:
    assert progress_line(at_second(35)) == (
        "00:35 hold  499.8/500 /s  p50 12.4 ms  p95 50.2 ms  p99 176 ms  failed 38 (0.22 %)  in flight 7"
    )


def on_a_terminal(*arguments: str) -> pexpect.spawn[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "NO_COLOR", "GITHUB_ACTIONS")}
    return pexpect.spawn(
        sys.executable,
        ["-m", "atm", *arguments],
        env={**environment, "TERM": "xterm-256color"},
        dimensions=(24, 80),
        encoding="utf-8",
        timeout=200,
    )


def test_on_a_terminal_the_run_is_drawn_and_wiped_and_reported(target: TargetServer) -> None:
    terminal = on_a_terminal("run", f"{target.url}/users", "-r", "40", "-z", "2s")
    terminal.expect("Ctrl-C stops and reports")
    terminal.expect(r"\d /s of 40")
    terminal.expect(re.escape("\x1b[?25h"))
    terminal.expect("MEASUREMENT")
    terminal.expect(pexpect.EOF)
    terminal.close()
    # 4: a machine that is busy with other tests makes the measurement invalid.
    assert terminal.exitstatus in (0, 4)


def test_ctrl_c_on_a_terminal_stops_and_says_what_it_waits_for(target: TargetServer) -> None:
    terminal = on_a_terminal("run", f"{target.url}/delay/1500", "-c", "3", "-z", "60s")
    terminal.expect("in flight.*3 of 3")
    terminal.sendintr()
    terminal.expect("stopping: up to 30 s for 3 requests in flight")
    terminal.expect("STOPPED.*by Ctrl-C")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130


def test_ctrl_c_twice_on_a_terminal_quits(target: TargetServer) -> None:
    terminal = on_a_terminal("run", f"{target.url}/never", "-c", "3", "-z", "60s")
    terminal.expect("in flight.*3 of 3")
    terminal.sendintr()
    terminal.expect("stopping")
    terminal.sendintr()
    terminal.expect(r"3\s+in\s+flight\s+were\s+cut")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130


def test_in_ci_nothing_is_drawn_even_on_a_terminal(target: TargetServer) -> None:
    environment = {**os.environ, "CI": "true"}
    command = [sys.executable, "-m", "atm", "run", f"{target.url}/users", "-n", "20"]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert "\x1b[" not in process.stderr
