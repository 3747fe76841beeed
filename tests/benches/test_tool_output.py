from __future__ import annotations

import json

import pytest

from benches.measure import MeasurementError
from benches.peers import instructions, tool_output
from benches.peers.command import Printed
from benches.peers.nginx import requests_of

WRK = """\
Running 6s test @ http://127.0.0.1:35853/
  1 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.98ms    1.24ms   1.99s    89.76%
    Req/Sec    62.31k    28.35k   98.85k    53.66%
  Latency Distribution
     50%  578.00us
     75%  675.00us
     90%    2.28ms
     99%    1.10s 
  253867 requests in 6.01s, 26.39MB read
"""  # noqa: W291  (wrk pads seconds with a blank)

AB = """\
Total:          5    6   0.6      6      10

Percentage of the requests served within a certain time (ms)
  50%      6
  66%      6
  90%      7
  99%      9
 100%     10 (longest request)
"""

HEY = """\
Summary:
  Total:	1.0071 secs
  Slowest:	0.0280 secs
  Fastest:	0.0053 secs

Latency distribution:
  10% in 0.0055 secs
  50% in 0.0058 secs
  90% in 0.0067 secs
  99% in 0.0118 secs

Details (average, fastest, slowest):
  DNS+dialup:	0.0000 secs, 0.0053 secs, 0.0280 secs
"""

LOCUST = """\
Type,Name,Request Count,Failure Count,Max Response Time,50%,90%,99%,99.9%,100%
GET,target,500,0,12.5,5,6,8,11,13
,Aggregated,500,0,12.5,5,6,8,11,13
"""


def rounded(figures: Printed) -> Printed:
    values = (figures.p50, figures.p90, figures.p99, figures.p99_9, figures.maximum)
    return Printed(*(None if value is None else round(value, 6) for value in values))


def test_wrk_prints_in_several_units() -> None:
    assert rounded(tool_output.wrk(WRK)) == Printed(0.578, 2.28, 1100.0, None, 1990.0)


def test_ab_prints_whole_milliseconds() -> None:
    assert tool_output.ab(AB) == Printed(6.0, 7.0, 9.0, None, 10.0)


def test_hey_prints_seconds() -> None:
    assert rounded(tool_output.hey(HEY)) == Printed(5.8, 6.7, 11.8, None, 28.0)


def test_hey_leaves_out_what_it_has_too_few_samples_for() -> None:
    assert tool_output.hey(HEY.replace("  99% in 0.0118 secs\n", "")).p99 is None


def test_the_percentiles_of_h2load_come_from_its_log_without_its_failures() -> None:
    rows = [f"1700000000{number:06}\t200\t{number}" for number in range(1, 1001)] + ["1700000000000000\t-1\t9999999"]
    assert tool_output.h2load_log(rows) == Printed(0.5, 0.9, 0.99, 0.999, 1.0)


def test_vegeta_prints_nanoseconds() -> None:
    report = {"latencies": {"50th": 1_200_000, "90th": 2_000_000, "99th": 50_000_000, "max": 51_000_000}}
    assert tool_output.vegeta(json.dumps(report)) == Printed(1.2, 2.0, 50.0, None, 51.0)


def test_oha_prints_seconds_and_null_without_samples() -> None:
    report = {
        "summary": {"slowest": 0.5},
        "latencyPercentiles": {"p50": 0.001, "p90": 0.25, "p99": 0.5, "p99.9": None},
    }
    assert tool_output.oha(json.dumps(report)) == Printed(1.0, 250.0, 500.0, None, 500.0)


def test_k6_speaks_before_its_summary() -> None:
    values = {"min": 0.1, "med": 1.5, "p(90)": 2.5, "p(99)": 3.5, "p(99.9)": 4.5, "max": 5.5}
    text = "WARN no script metadata\n" + json.dumps({"http_req_duration": {"values": values}})
    assert tool_output.k6(text) == Printed(1.5, 2.5, 3.5, 4.5, 5.5)


def test_autocannon_prints_json() -> None:
    report = {"latency": {"p50": 6, "p90": 10, "p99": 22, "p99_9": 23, "max": 24}}
    assert tool_output.autocannon(json.dumps(report)) == Printed(6, 10, 22, 23, 24)


def test_locust_is_read_from_its_table() -> None:
    assert tool_output.locust(LOCUST) == Printed(5.0, 6.0, 8.0, 11.0, 12.5)


def test_our_own_figures_are_response_times() -> None:
    metrics = {
        "latency_p50_ms": 1.0,
        "latency_p90_ms": 2.0,
        "latency_p99_ms": 3.0,
        "latency_p99_9_ms": None,
        "latency_max_ms": "Infinity",
    }
    assert tool_output.atm(json.dumps({"metrics": metrics})) == Printed(1.0, 2.0, 3.0, None, float("inf"))


@pytest.mark.parametrize(
    "read", [tool_output.wrk, tool_output.ab, tool_output.hey, tool_output.oha, tool_output.k6, tool_output.locust]
)
def test_an_error_message_is_not_a_figure(read: object) -> None:
    assert callable(read)
    with pytest.raises(MeasurementError, match="printed something unexpected: unable to connect"):
        read("unable to connect")


@pytest.mark.parametrize(("percent", "value"), [(50, 5), (90, 9), (99, 10), (100, 10), (0, 1), (10, 1), (10.1, 2)])
def test_a_percentile_is_the_smallest_value_with_enough_at_or_below_it(percent: float, value: float) -> None:
    assert tool_output.percentile(range(1, 11), percent) == value


def test_the_rank_of_a_percentile_is_not_a_hair_too_high() -> None:
    assert tool_output.percentile(range(1, 5001), 99.9) == 4995


def test_nginx_tells_its_requests() -> None:
    page = "Active connections: 65 \nserver accepts handled requests\n 130 130 54321 \nReading: 0 Writing: 1 \n"
    assert requests_of(page) == 54321
    with pytest.raises(MeasurementError, match="not a page of stub_status"):
        requests_of("<html>404</html>")


def test_perf_counts_are_read_and_missing_counters_are_named() -> None:
    line = '{{"counter-value" : "{value}", "unit" : "", "event" : "{event}", "pcnt-running" : 100.00}}\n'
    text = "Some note\n" + "".join(
        line.format(value=value, event=event)
        for value, event in (("1500000.0", "instructions:u"), ("6000000.0", "instructions:k"), ("2e9", "duration_time"))
    )
    assert instructions.parse(text) == instructions.Instructions(1_500_000.0, 6_000_000.0, 2.0)
    with pytest.raises(MeasurementError, match="does not count instructions:u: <not supported>"):
        instructions.parse(line.format(value="<not supported>", event="instructions:u"))
