"""Parsers of the tools' output: each function takes the output of one tool and returns milliseconds.

They raise MeasurementError for unexpected output.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from typing import Any

from benches.measure import MeasurementError
from benches.peers.command import Printed

_UNITS = {"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def wrk(output: str) -> Printed:
    """`wrk --latency`: a table of percentiles, and the maximum in the thread statistics."""
    shares = {
        share: _wrk_time(text) for share, text in re.findall(r"^\s+(\d+)%\s+(\S+)\s*$", output, flags=re.MULTILINE)
    }
    statistics = re.search(r"^\s+Latency\s+\S+\s+\S+\s+(\S+)\s", output, flags=re.MULTILINE)
    if not {"50", "90", "99"} <= shares.keys() or statistics is None:
        raise _unreadable("wrk", output)
    return Printed(shares["50"], shares["90"], shares["99"], maximum=_wrk_time(statistics.group(1)))


def ab(output: str) -> Printed:
    """`ab`: percentages of the requests served within a certain time, in whole milliseconds."""
    shares = dict(re.findall(r"^\s+(\d+)%\s+(\d+)", output, flags=re.MULTILINE))
    if not {"50", "90", "99", "100"} <= shares.keys():
        raise _unreadable("ab", output)
    p50, p90, p99, most = (float(shares[share]) for share in ("50", "90", "99", "100"))
    return Printed(p50, p90, p99, maximum=most)


def hey(output: str) -> Printed:
    """`hey`: its summary, in seconds; it omits percentiles with too few samples."""
    shares = dict(re.findall(r"^\s+(\d+)%+ in ([\d.]+) secs", output, flags=re.MULTILINE))
    slowest = re.search(r"^\s+Slowest:\s+([\d.]+) secs", output, flags=re.MULTILINE)
    if "50" not in shares or slowest is None:
        raise _unreadable("hey", output)
    p50, p90, p99 = (None if share not in shares else float(shares[share]) * 1000 for share in ("50", "90", "99"))
    return Printed(p50, p90, p99, maximum=float(slowest.group(1)) * 1000)


def h2load_log(rows: Sequence[str]) -> Printed:
    """`h2load --log-file`: start, status, microseconds. h2load prints no percentiles, so this computes them."""
    times = sorted(int(row.split("\t")[2]) / 1000 for row in rows if row.strip() and row.split("\t")[1] != "-1")
    if not times:
        raise _unreadable("h2load", "\n".join(rows))
    p50, p90, p99, p99_9 = (percentile(times, share) for share in (50, 90, 99, 99.9))
    return Printed(p50, p90, p99, p99_9, times[-1])


def vegeta(output: str) -> Printed:
    """`vegeta report -type=json`: nanoseconds."""
    latencies = _json("vegeta", output)["latencies"]
    p50, p90, p99, most = (latencies[name] / 1e6 for name in ("50th", "90th", "99th", "max"))
    return Printed(p50, p90, p99, maximum=most)


def oha(output: str) -> Printed:
    """`oha --output-format json`: seconds."""
    document = _json("oha", output)
    shares = document["latencyPercentiles"]
    p50, p90, p99, p99_9 = (_milliseconds(shares[name]) for name in ("p50", "p90", "p99", "p99.9"))
    return Printed(p50, p90, p99, p99_9, _milliseconds(document["summary"]["slowest"]))


def k6(output: str) -> Printed:
    """The metrics written by our script (`handleSummary`): `http_req_duration` in milliseconds."""
    values = _json("k6", output)["http_req_duration"]["values"]
    return Printed(values["med"], values["p(90)"], values["p(99)"], values["p(99.9)"], values["max"])


def autocannon(output: str) -> Printed:
    """`autocannon --json`: whole milliseconds."""
    values = _json("autocannon", output)["latency"]
    return Printed(values["p50"], values["p90"], values["p99"], values["p99_9"], values["max"])


def locust(table: str) -> Printed:
    """`locust --csv`: the row of all requests in the statistics, in (rounded) milliseconds."""
    for row in csv.DictReader(table.splitlines()):
        if row["Name"] == "Aggregated":
            columns = ("50%", "90%", "99%", "99.9%", "Max Response Time")
            return Printed(*(float(row[column]) for column in columns))
    raise _unreadable("locust", table)


def atm(output: str) -> Printed:
    """`atm run --json`: the response time of all requests."""
    document = _json("atm", output)
    metrics = document.get("metrics", document)
    names = ("latency_p50_ms", "latency_p90_ms", "latency_p99_ms", "latency_p99_9_ms", "latency_max_ms")
    return Printed(*(None if metrics[name] is None else float(metrics[name]) for name in names))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the smallest value with at least ⌈p·N/100⌉ values at or below it; `values` are sorted."""
    # Rounded first: 99.9 / 100 × 5000 is a hair over 4995 in binary, and the rank is 4995.
    rank = math.ceil(round(percent * len(ordered) / 100, 6))
    return ordered[max(rank, 1) - 1]


def _wrk_time(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    if found is None:
        raise MeasurementError(f"wrk printed a time that is none: {text!r}")
    return float(found.group(1)) * _UNITS[found.group(2)]


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _json(tool: str, output: str) -> Any:
    try:
        return json.loads(output[output.index("{") :])
    except ValueError as error:
        raise _unreadable(tool, output) from error


def _unreadable(tool: str, output: str) -> MeasurementError:
    return MeasurementError(f"{tool} printed something unexpected: {' '.join(output.split())[-200:] or 'nothing'}")
