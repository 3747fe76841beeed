from __future__ import annotations

import subprocess
import sys

import pytest

from benches.measure import (
    Figure,
    MeasurementError,
    Row,
    against,
    cpu_seconds,
    cpu_seconds_so_far,
    figures,
    interleaved,
    table,
)

# Burns 0.2 s of CPU by its own clock, however fast the machine is.
BURN = "import time\nwhile time.process_time() < 0.2: pass\n"


def test_cpu_time_of_a_command_is_what_the_command_used() -> None:
    assert 0.2 <= cpu_seconds([sys.executable, "-c", BURN]) < 0.4


def test_waiting_is_not_cpu_time() -> None:
    assert cpu_seconds([sys.executable, "-c", "import threading; threading.Event().wait(0.3)"]) < 0.2


def test_a_command_that_fails_is_not_a_measurement() -> None:
    with pytest.raises(MeasurementError, match=r"ended with 3: no such flag$"):
        cpu_seconds([sys.executable, "-c", "import sys; print('no such flag', file=sys.stderr); sys.exit(3)"])


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the CPU clock of another process")
def test_cpu_time_of_a_running_process_counts_its_threads() -> None:
    program = (
        f"import sys, threading\nthread = threading.Thread(target=exec, args=({BURN!r}, {{}}))\n"
        "thread.start(); thread.join(); print('burnt', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        assert 0.2 <= cpu_seconds_so_far(process.pid) < 0.4
        process.communicate()


def test_rounds_interleave_and_the_first_is_thrown_away() -> None:
    calls: list[str] = []

    def subject(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    samples = interleaved({"a": lambda: subject("a"), "b": lambda: subject("b")}, rounds=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert samples == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_a_ratio_is_taken_within_a_round() -> None:
    samples = {"base": [0.01, 0.02, 0.04], "atm": [0.02, 0.03, 0.16]}
    [row] = against(samples, "base", {"atm": 2.0})
    assert row == Row("atm", seconds=0.03, ratio=2.0, lowest=1.5, highest=4.0, bar=2.0)
    assert row.holds


def test_the_table_says_which_bar_was_missed() -> None:
    rows = [Row("atm --version", 0.012, 1.2, 1.1, 1.4, 2.0), Row("atm --help", 0.2, 14.5, 13.0, 15.0, 12.0)]
    assert table(rows, "python -c pass").splitlines() == [
        "                  CPU ms   x python -c pass (range)            bar",
        "atm --version       12.0    1.20 (1.10 to 1.40)             2  ok",
        "atm --help         200.0   14.50 (13.00 to 15.00)          12  MISSED",
    ]


def test_a_figure_may_have_a_bar() -> None:
    rows = [Figure("memory", 1234.5, "MB", 90), Figure("requests", 7, "million"), Figure("failed", 0, "", 0)]
    assert figures(rows).splitlines() == [
        "memory        1,234.50 MB   at most 90: MISSED",
        "requests          7.00 million",
        "failed            0.00    at most 0: ok",
    ]
    assert [row.holds for row in rows] == [False, True, True]
