from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from atm.testing.target_server.record import Outcome, RequestRow
from benches.measure import MeasurementError
from benches.peers import campaign, closed_rows, install, paced_rows, truth_rows
from benches.peers.campaign import Campaign, Settings
from benches.peers.clients import CLIENTS
from benches.peers.command import Closed, Command, Protocol
from benches.peers.install import NotInstalledError
from benches.peers.nginx import ANSWER, BIG_BYTES, Nginx
from benches.peers.processes import ClientProcess, Usage, last_words
from benches.peers.quota import Quota

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None, reason="nginx is not installed"
)
MILLISECOND = 1_000_000
SECOND = 1_000_000_000


def row(number: int, arrived_ns: int, answered_ns: int) -> RequestRow:
    return RequestRow(number, "/", number, 1, arrived_ns, answered_ns, 200, Outcome.COMPLETED, None, 0, 100)


# Arrivals


def test_even_arrivals_have_no_spread_and_their_own_rate() -> None:
    arrivals = [5 * SECOND + number * MILLISECOND for number in range(10_000)]
    sample = paced_rows.sample("", 1000, 10, arrivals, Usage(0.4, 0.1, 0.3), (6 * SECOND, 14 * SECOND))
    assert sample.rate == pytest.approx(1000, rel=1e-9)
    assert (sample.spread, sample.fine_spread, sample.received) == (0, 0, 10_000)
    assert sample.cpu_per_100k == pytest.approx(5.0)
    assert sample.cpu_share == pytest.approx(0.05)


def test_bursts_every_10_ms_show_per_1_ms_only_and_do_not_change_the_rate() -> None:
    arrivals = [burst * 10 * MILLISECOND + place * 100 for burst in range(1000) for place in range(50)]
    sample = paced_rows.sample("", 5000, 10, arrivals, Usage(1.0, 0.5, 0.5), (0, 10 * SECOND))
    assert sample.rate == pytest.approx(5000, rel=1e-4)
    assert sample.spread < 0.01
    assert sample.fine_spread == pytest.approx(3.0, abs=0.05)


def test_a_tool_that_sent_next_to_nothing_has_no_rate() -> None:
    with pytest.raises(MeasurementError, match="sent only 1 requests"):
        paced_rows.sample("", 1000, 10, [5], Usage(0, 0, 0), (0, SECOND))


# The closed form of the pause


def test_visitors_of_a_frozen_server_wait_until_it_goes_on() -> None:
    gap = SECOND // truth_rows.RATE
    began, thawed = 4 * SECOND, 6 * SECOND
    rows = []
    for number in range(truth_rows.RATE * truth_rows.SECONDS):
        due = number * gap
        answered = thawed if began <= due < thawed else due
        rows.append(row(number + 1, due, answered))
    waited = truth_rows.waited(rows, (began, thawed))
    # 1,000 of 5,000 visitors come while it is frozen, and wait 2,000, 1,998, ... 2 ms.
    assert (waited.p50, waited.p90, waited.p99, waited.maximum) == (0.0, 1000.0, 1900.0, 2000.0)


def test_those_who_come_later_wait_for_those_before_them() -> None:
    gap, drain = SECOND // truth_rows.RATE, MILLISECOND // 10
    began, thawed = 4 * SECOND, 6 * SECOND
    rows, free = [], thawed
    for number in range(truth_rows.RATE * truth_rows.SECONDS):
        due = number * gap
        answered = due
        if due >= began and max(due, free) == free:
            free += drain
            answered = free
        rows.append(row(number + 1, due, answered))
    waited = truth_rows.waited(rows, (began, thawed))
    assert waited.maximum == pytest.approx(2000.1)
    # The visitor at p90 came when about half of the 1,000 were waiting, so some 50 ms after the thaw are due to them.
    assert waited.p90 is not None
    assert 1010 < waited.p90 < 1056


def test_a_tool_that_kept_silent_does_not_improve_the_truth() -> None:
    gap = SECOND // truth_rows.RATE
    began, thawed = 4 * SECOND, 6 * SECOND
    rows = [
        row(number + 1, number * gap, number * gap)
        for number in range(truth_rows.RATE * truth_rows.SECONDS)
        if not began <= number * gap < thawed
    ]
    assert truth_rows.waited(rows, (began, thawed)).p90 == 1000.0


# Processes


@linux_only
def test_a_session_is_measured_and_ended_with_its_children(tmp_path: Path) -> None:
    child = "import time\nwhile time.process_time() < 0.1: pass\nprint('burnt', flush=True)\ntime.sleep(60)"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"
    cpu = min(os.sched_getaffinity(0))
    with ClientProcess(Command((sys.executable, "-c", parent)), cpu, tmp_path) as process:
        with subprocess.Popen(["tail", "-f", "-n+1", str(tmp_path / "stdout")], stdout=subprocess.PIPE) as tail:
            assert tail.stdout is not None
            assert tail.stdout.readline() == b"burnt\n"
            tail.terminate()
        pids, usage = process.pids(), process.usage()
        assert process.peak_memory_bytes() > 5_000_000
    assert len(pids) == 2
    assert 0.1 <= usage.total < 2.0
    assert not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids)


@linux_only
def test_a_client_that_fails_says_why(tmp_path: Path) -> None:
    command = Command((sys.executable, "-c", "import sys; sys.exit('no such flag')"))
    cpu = min(os.sched_getaffinity(0))
    refused = pytest.raises(MeasurementError, match="ended with 1: no such flag")
    with ClientProcess(command, cpu, tmp_path) as process, refused:
        process.wait(20)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Usage:\n  k6 run\n\nunknown flag: --fast\n", "Usage: k6 run unknown flag: --fast"),
        (
            '{"error": {"message": "the native engine cannot do HTTP/2", "hint": null}}',
            "the native engine cannot do HTTP/2",
        ),
        ("{not json", "{not json"),
        ("", "it said nothing"),
        ("x" * 500, "x" * 160),
    ],
)
def test_the_last_words_of_a_program_fit_into_a_table(text: str, words: str) -> None:
    assert last_words(text) == words


def test_user_and_system_time_are_split_as_the_ticks_are() -> None:
    used = Usage(3.0, 1.0, 1.0).since(Usage(1.0, 0.5, 0.0))
    assert (used.total, used.user, used.system) == pytest.approx((2.0, 2 / 3, 4 / 3))


# nginx, quota


@linux_only
@needs_nginx
def test_nginx_serves_what_the_rows_are_named_after_and_counts_it() -> None:
    with Nginx(install.path_of("nginx"), min(os.sched_getaffinity(0))) as nginx:
        before = nginx.count()
        bodies = []
        connection = http.client.HTTPConnection("127.0.0.1", nginx.ports.plain, timeout=10)
        for path in ("/", "/big", "/"):
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            bodies.append(answer.read())
        connection.close()
        after = nginx.count()
    assert [len(body) for body in bodies] == [98, BIG_BYTES, 98]
    assert bodies[0].decode() == ANSWER
    assert after.requests - before.requests == 3


@linux_only
def test_a_quota_is_a_control_group_that_goes_away() -> None:
    quota = Quota(0.4)
    try:
        quota.__enter__()
    except MeasurementError as error:
        pytest.skip(str(error))
    limits = [
        (quota.path / name).read_text().split()
        for name in ("cpu.max", "cpu.cfs_quota_us")
        if (quota.path / name).exists()
    ]
    quota.__exit__(None, None, None)
    assert limits in ([["4000", "10000"]], [["4000"]])
    assert not quota.path.exists()


# Clients and campaign


def test_every_section_names_known_clients_and_a_baseline_of_its_own() -> None:
    for scenario in (*closed_rows.SCENARIOS, closed_rows.QUOTA):
        assert set(scenario.clients) <= set(CLIENTS)
        assert scenario.baseline in scenario.clients
    for names in (truth_rows.CLIENTS, *paced_rows.CLIENTS.values()):
        assert set(names) <= set(CLIENTS)


def test_each_client_that_is_there_can_do_what_it_is_down_for(tmp_path: Path) -> None:
    for scenario in (*closed_rows.SCENARIOS, closed_rows.QUOTA):
        load = Closed("http://127.0.0.1:1/", scenario.protocol, scenario.connections, scenario.streams, 1, tmp_path)
        for name in scenario.clients:
            try:
                command = CLIENTS[name].closed(load)
            except NotInstalledError:
                continue
            assert command is not None, f"{name} is down for {scenario.key}"


def test_the_shown_command_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    command = Command((str(tmp_path / "bin" / "k6"), "run", "--address", ""), {"VUS": "64"})
    assert command.shown() == "VUS=64 k6 run --address ''"


def test_what_is_not_installed_is_a_row_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATM_PEERS_DIR", str(tmp_path))
    said: list[str] = []
    document = Campaign(Settings(sections=("delays",), clients=("k6", "vegeta")), said.append).run()
    assert document["sections"]["delays"] == {
        "k6": {"problem": "not installed: no k6 1.8.1 in the folder of peers"},
        "vegeta": {"problem": "not installed: no vegeta 12.13.0 in the folder of peers"},
    }
    assert said == []


def test_installing_without_the_installer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ATM_PEERS_DIR", str(tmp_path / "peers"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install, "_SBIN", str(tmp_path))
    campaign.install_all(["oha"])
    printed = capsys.readouterr()
    assert "peers: oha: not installed: cargo is not there to install it" in printed.err.splitlines()
    assert not list((tmp_path / "peers").glob("oha*"))


def test_hey_speaks_no_http2_without_tls(tmp_path: Path) -> None:
    assert CLIENTS["hey"].closed(Closed("http://127.0.0.1:1/", Protocol.HTTP2_CLEAR, 4, 16, 1, tmp_path)) is None
