from __future__ import annotations

import sys
from collections import Counter

import pytest

from tools import suites
from tools.suites import Outcome, Suite, closing_lines, read_line, run


def test_the_output_of_a_suite_is_shown_and_read(capfd: pytest.CaptureFixture[str]) -> None:
    lines = "SKIPPED [1] tests/test_tls.py:7: no IPv6 here\n==== 12 passed, 1 skipped in 61.20s (0:01:01) ====\n"
    outcome = run(Suite("core", (sys.executable, "-c", f"print({lines!r}, end=''); raise SystemExit(3)")), prove=False)
    assert capfd.readouterr().out == f"suite: core\n{lines}"
    assert outcome.status == 3
    assert outcome.counts == Counter(passed=12, skipped=1)
    assert outcome.skips == ["SKIPPED [1] tests/test_tls.py:7: no IPv6 here"]


def test_a_suite_is_told_which_profile_it_runs_under(capfd: pytest.CaptureFixture[str]) -> None:
    run(Suite("core", (sys.executable, "-c", "import os; print(os.environ['ATM_TEST_PROFILE'])")), prove=False)
    assert capfd.readouterr().out.splitlines() == ["suite: core", "test"]


def test_only_the_closing_line_of_pytest_is_counted() -> None:
    outcome = Outcome("core", status=0, seconds=1.0)
    for line in ("===== FAILURES =====", "waited 3 times in 2s", "1 failed in 2.00s"):
        read_line(line, outcome)
    assert outcome.counts == Counter()


def test_what_vitest_says_of_its_tests_is_counted() -> None:
    outcome = Outcome("dashboard", status=1, seconds=1.0)
    for line in (
        "      Tests  2 failed | 40 passed | 1 skipped (43)",
        "      Tests  9 passed (9)",
        " Test Files  1 passed (1)",
    ):
        read_line(line, outcome)
    assert outcome.counts == Counter(failed=2, passed=49, skipped=1)


def test_several_suites_end_in_their_skips_and_one_closing_line() -> None:
    native = Outcome("native", 0, 8.04, Counter(passed=40), ["SKIPPED [1] a.py:1: no cargo"], cpu=15.2)
    core = Outcome("core", 0, 61.2, Counter(passed=300, skipped=2, xfailed=1), ["SKIPPED [2] b.py:2: no IPv6"])
    lines = closing_lines([native, core])
    assert lines[:2] == ["suite: native         ok  8.0 s, CPU 15 s", "suite: core           ok  61.2 s, CPU 0 s"]
    assert lines[2:4] == ["SKIPPED [1] a.py:1: no cargo  (native)", "SKIPPED [2] b.py:2: no IPv6  (core)"]
    assert lines[4].strip("=") == " 340 passed, 2 skipped, 1 xfailed in 69.24s "


def test_a_suite_that_fails_without_a_count_fails_the_closing_line() -> None:
    lines = closing_lines([Outcome("dashboard", 1, 2.0), Outcome("core", 0, 3.0, Counter(passed=5))])
    assert "1 failed, 5 passed in 5.00s" in lines[-1]


def test_a_failure_that_was_counted_is_not_counted_twice() -> None:
    lines = closing_lines([Outcome("core", 1, 3.0, Counter(passed=5, failed=2)), Outcome("agents", 0, 1.0)])
    assert "2 failed, 5 passed in 4.00s" in lines[-1]


def test_an_unknown_suite_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert suites.main(["kernel"]) == 2
    assert capsys.readouterr().err == "error: no suite named kernel\n"
