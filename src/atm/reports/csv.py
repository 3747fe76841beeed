"""The endpoints' figures as CSV: one row per endpoint in the order of the spec, then `total`.

For a spec with scenarios there are further columns: of each step its scenario and how many iterations reached it. After
`total` comes a row for each scenario, with its iterations, one for each check, with its evaluations, one for each
source of test data, with its rows, and one for each metric that the test declares; the other cells of these rows are
empty. `scenario_csv.py` has them.

Columns are named as in the JSON result: times in ms, rates per second, shares 0..1, not rounded. An empty cell means no
data, `Infinity` a percentile that reaches into the failures. There is a column for each kind of failure and for each
status of at least one response.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence

from atm.models.outcome import FAILED, Outcome
from atm.models.run import EndpointMetrics, RunResult
from atm.reports.scenario_csv import ScenarioColumns

NAMES = ("endpoint", "method", "url")
COUNTS = (
    "total_requests",
    "successful_requests",
    "failed_requests",
    "generator_errors",
    "unfinished",
    "missed",
    "error_rate",
    "requests_per_second",
    "throughput",
    "offered_rate",
)
PREFIXES = ("latency", "service", "first_byte", "adjusted_latency")
SUFFIXES = ("min_ms", "mean_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms", "p99_9_ms", "max_ms")
VOLUMES = ("total_bytes_received", "total_bytes_sent")
OUTCOMES = tuple(outcome for outcome in Outcome if outcome in FAILED)
TOTAL = "total"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def render_csv(result: RunResult) -> str:
    """Return CSV as in RFC 4180 with a header; lines end with CR LF."""
    statuses = sorted(result.metrics.status_code_counts)
    further = ScenarioColumns(result)
    figures = (*COUNTS, *(f"{prefix}_{suffix}" for prefix in PREFIXES for suffix in SUFFIXES), *VOLUMES)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = [*NAMES, *figures, *OUTCOMES, *(f"status_{status}" for status in statuses)]
    writer.writerow([*columns, *further.names])
    for entry in result.endpoint_metrics:
        names = (_safe(entry.name), entry.method, _safe(entry.url))
        writer.writerow([*names, *_row(entry, figures, statuses), *_cells(further.of_step(entry.name))])
    writer.writerow([TOTAL, "", "", *_row(result.metrics, figures, statuses), *_cells(further.nothing)])
    for row in further.rows():
        writer.writerow([*[""] * len(columns), *_cells(row)])
    return text.getvalue()


def _row(metrics: EndpointMetrics, figures: tuple[str, ...], statuses: list[int]) -> list[str]:
    failures = [metrics.errors_by_type.get(outcome, 0) for outcome in OUTCOMES]
    responses = [metrics.status_code_counts.get(status, 0) for status in statuses]
    return [*(_cell(getattr(metrics, name)) for name in figures), *map(str, failures), *map(str, responses)]


def _cells(values: Sequence[float | str | None]) -> list[str]:
    return [_safe(value) if isinstance(value, str) else _cell(value) for value in values]


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return "Infinity" if math.isinf(value) else repr(value)


def _safe(text: str) -> str:
    """Prefix an apostrophe to text that a spreadsheet would interpret as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text
