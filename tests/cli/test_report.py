from __future__ import annotations

import base64
import re
from dataclasses import replace

import pytest

from atm.cli.report import report_lines
from atm.cli.report.verdicts import why_unreachable
from atm.cli.text import Paper, cells, joined
from atm.metrics.histogram import Histogram
from atm.models.load_description import described_loads
from atm.models.outcome import Outcome, RunStatus, StopReason
from atm.models.run import FailureSummary, Measurement, RunResult
from tests.cli import results
from tests.cli.comparison import assert_snapshot
from tests.metrics.shop import shop_result

ANSI = re.compile(r"\x1b\[(\d*)m")


def written(
    result: RunResult, width: int = 80, *, unicode: bool = True, quiet: bool = False, saved: bool = False
) -> str:
    return joined(report_lines(result, Paper(width, unicode), quiet=quiet, saved=saved), color=False)


def unreachable() -> RunResult:
    nothing = {name: None for name in results.figures() if name.endswith("_ms")}
    metrics = results.metrics(
        **nothing,
        total_requests=10,
        successful_requests=0,
        failed_requests=10,
        status_code_counts={},
        errors_by_type={Outcome.CONNECT_ERROR: 10},
        requests_per_second=4000.0,
        throughput=0.0,
        total_bytes_received=0,
        total_bytes_sent=0,
        duration_seconds=0.0025,
        warm_up_seconds=0.0,
        warm_up_requests=0,
        offered_rate=None,
    )
    refused = FailureSummary(
        outcome=Outcome.CONNECT_ERROR,
        endpoint="GET /users",
        message="connection refused",
        count=10,
        first_seconds=0.0,
        last_seconds=0.01,
        sample=1,
        example="",
    )
    return results.result(
        metrics=metrics,
        histograms={},
        endpoint_metrics=[results.endpoint("GET /users", **nothing)],
        failures=[refused],
        generator=results.generator(connections_opened=0, schedule_lag_p99_ms=None),
        thresholds=[results.threshold("p99 < 300 ms", None, 300.0, "ms", False, None, "no data")],
        verdict=results.verdict(False, exit_code=3),
        run=results.info(model="closed", stop_reason=StopReason.TOTAL),
        spec={"url": "http://127.0.0.1:8080/users", "seed": 1},
    )


def invalid() -> RunResult:
    reason = results.reason(
        Measurement.INVALID,
        "18.1 % of requests were never sent: 12,204 × no free local port",
        "`sysctl -w net.ipv4.ip_local_port_range='10240 65535'`",
    )
    return results.result(verdict=results.verdict(False, Measurement.INVALID, [reason], 4))


def suspect() -> RunResult:
    reason = results.reason(
        Measurement.SUSPECT,
        "sent 431 of 500 /s, 14 % of them waited, no free user for 21 s: 64 users are too few",
        "`--users 200`; until then the times hold for 431 /s only",
    )
    return results.result(thresholds=[], verdict=results.verdict(None, Measurement.SUSPECT, [reason], 0))


def stopped() -> RunResult:
    run = results.info(stop_reason=StopReason.STOPPED, stopped_by="Ctrl-C")
    metrics = results.metrics(duration_seconds=29.0)
    return results.result(run=run, metrics=metrics, verdict=results.verdict(True, exit_code=130), thresholds=[])


CASES = {
    "failed": results.result(),
    "unreachable": unreachable(),
    "invalid": invalid(),
    "suspect": suspect(),
    "stopped": stopped(),
}


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_report_is_as_it_was(width: int) -> None:
    assert_snapshot(f"report-{width}.txt", written(results.result(), width))


@pytest.mark.parametrize("name", [name for name in CASES if name != "failed"])
def test_the_report_of_a_run_that_went_wrong_is_as_it_was(name: str) -> None:
    assert_snapshot(f"report-{name}.txt", written(CASES[name]))


def test_the_report_in_ascii_is_as_it_was() -> None:
    assert_snapshot("report-ascii.txt", written(results.result(), unicode=False))


def test_a_report_of_a_run_that_is_kept_names_what_shows_more() -> None:
    assert_snapshot("report-saved.txt", written(results.result(), saved=True))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_shows_more_fits_the_paper(width: int) -> None:
    lines = written(results.result(), width, saved=True).splitlines()
    assert not [line for line in lines if cells(line) > width]
    assert lines[-1] == " saved as 7f3a2c   again: atm show 7f3a2c"


def test_of_many_endpoints_all_are_shown_when_all_are_asked_for() -> None:
    many = [results.endpoint(f"GET /{number}") for number in range(15)]
    result = results.result(endpoint_metrics=many)
    assert "5 more, none worse: `atm show 7f3a2c --all`" in written(result, saved=True)
    text = joined(report_lines(result, Paper(80), saved=True, everything=True), color=False)
    assert "more, none" not in text
    assert all(f"GET /{number} " in text for number in range(15))


def test_quiet_prints_the_verdicts_only() -> None:
    assert_snapshot("report-quiet.txt", written(results.result(), quiet=True))


def test_quiet_speaks_of_no_times_that_it_does_not_print() -> None:
    text = written(invalid(), quiet=True)
    assert "invalid: do not quote the times of this run" in text
    assert '"?" below' not in text


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [80, 97, 120])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_the_paper(name: str, width: int, unicode: bool) -> None:
    too_long = [line for line in written(CASES[name], width, unicode=unicode).splitlines() if cells(line) > width]
    assert not too_long


@pytest.mark.parametrize("name", CASES)
def test_without_utf8_everything_is_ascii(name: str) -> None:
    assert written(CASES[name], unicode=False).isascii()


def test_color_stands_only_where_something_was_judged() -> None:
    colored = joined(report_lines(results.result(), Paper(80)), color=True)
    assert ANSI.sub("", colored) == written(results.result())
    painted = re.findall(r"\x1b\[3[123]m([^\x1b]*)\x1b", colored)
    assert set(painted) == {
        "✗", "✓", " THRESHOLDS", " MEASUREMENT", "0.13 %", "132 ms", "499.9 /s", "132", "200", "503", "none",
        "26", "12", "38",
    }  # fmt: skip


def test_the_name_of_a_test_cannot_write_to_the_terminal() -> None:
    text = written(results.result(run=results.info(name="\x1b]52;c;ZXZpbA==\x07evil\u202e")))
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "\\x1b]52;c;ZXZpbA==\\x07evil\\u202e" in text


def test_percentiles_that_share_a_rung_are_all_named() -> None:
    histogram = Histogram()
    histogram.record(300_000, 100)
    encoded = base64.b64encode(histogram.encode()).decode()
    assert "◂ p50 p95 p99" in written(results.result(histograms={"response": encoded}))


def test_many_endpoints_are_cut_to_the_ten_worst() -> None:
    many = [results.endpoint(f"GET /things/{number}", failed_requests=number) for number in range(24)]
    text = written(results.result(endpoint_metrics=many))
    shown = re.findall(r"GET /things/(\d+) ", text)
    assert shown == [str(number) for number in range(23, 13, -1)]
    assert "14 more, none worse: `-o FILE.csv` has all" in text


def test_a_long_name_is_cut_in_the_middle() -> None:
    long = [results.endpoint(f"GET /{'very/' * 20}long/{number}") for number in range(2)]
    assert "GET /very/ver…y/very/long/1" in written(results.result(endpoint_metrics=long))


def test_a_failed_run_says_why() -> None:
    run = results.info(stop_reason=StopReason.FAILED, status=RunStatus.FAILED, error="the token server answered 500")
    text = written(results.result(run=run, verdict=results.verdict(None, exit_code=1)))
    assert " ✗ ERROR        at 01:05 of 01:05: the token server answered 500" in text


def test_a_report_names_no_command_that_this_build_does_not_have() -> None:
    from atm.cli.main import COMMANDS

    known = {entry.name for entry in COMMANDS}
    for name in CASES:
        assert set(re.findall(r"`atm (\w+)", written(CASES[name]))) <= known


@pytest.mark.parametrize(
    ("message", "what", "hint"),
    [
        ("certificate not trusted: self-signed", "h:1: certificate not trusted: self-signed", "`--insecure`"),
        ("wrong version number", "h:1 does not speak TLS", "Is its scheme http? Try `curl -i http://h:1/a`"),
        ("handshake failed", "h:1: handshake failed", "Try `curl -iv https://h:1/a`"),
    ],
)
def test_tls_that_was_not_agreed_upon_gets_the_hint_of_its_cause(message: str, what: str, hint: str) -> None:
    failure = results.failures()[0].model_copy(update={"outcome": Outcome.TLS_ERROR, "message": message})
    problem = why_unreachable(failure, "https://h:1/a")
    assert (problem.what, problem.code) == (what, "tls_error")
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("snapshot", "width", "unicode"),
    [
        ("report-scenarios-80.txt", 80, True),
        ("report-scenarios-60.txt", 60, True),
        ("report-scenarios-ascii.txt", 80, False),
    ],
)
def test_the_report_of_scenarios_is_as_it_was(snapshot: str, width: int, unicode: bool) -> None:
    text = written(shop_result(), width, unicode=unicode, saved=True)
    assert max(cells(line) for line in text.splitlines()) <= width
    assert_snapshot(snapshot, text)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_long_names_of_scenarios_and_checks_fit(width: int) -> None:
    result = shop_result()
    long = "x" * 90
    scenarios = [
        replace(entry, name=long, steps=[replace(step, name=long) for step in entry.steps])
        for entry in result.scenarios
    ]
    checks = [replace(check, name=long, endpoint=long) for check in result.checks]
    text = written(result.model_copy(update={"scenarios": scenarios, "checks": checks}), width)
    assert max(cells(line) for line in text.splitlines()) <= width


def test_many_checks_and_steps_end_with_a_count() -> None:
    result = shop_result()
    good = [replace(result.checks[0], name=f"check {number}") for number in range(30)]
    text = written(result.model_copy(update={"checks": [*good, *result.checks]}), saved=True)
    assert "   23 more, all passed: `atm show" in text
    assert text.index("✗ in stock known") < text.index("✓ check 0")
    assert "! never judged" in text


def test_each_scenario_has_its_load() -> None:
    spec = {
        "scenarios": {
            "browse": {"load": {"rate": 40, "arrival": "poisson"}},
            "order": {"load": {"users": 50}},
        }
    }
    assert described_loads(spec, "open", 40.0) == ["browse: open, 40 /s poisson", "order: closed, 50 users"]
    assert described_loads({"load": {"users": 3}, "scenarios": {"a": {}}}, "closed", None) == ["closed, 3 users"]
