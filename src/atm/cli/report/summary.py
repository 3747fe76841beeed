"""The blocks of the main figures: load, request counts, rates and times."""

from __future__ import annotations

from atm.cli.report.layout import LABEL_END, Sheet
from atm.cli.text import Line, Style
from atm.models import figures
from atm.models.endpoint_metrics import Metrics
from atm.models.load_description import described_loads

PERCENTILES = (
    ("p50", "p50_ms"),
    ("p90", "p90_ms"),
    ("p95", "p95_ms"),
    ("p99", "p99_ms"),
    ("p99.9", "p99_9_ms"),
    ("max", "max_ms"),
    ("mean", "mean_ms"),
)
"""Columns of the time table: heading and suffix of the field name."""

KINDS = (
    ("response", "latency"),
    ("ok", "ok_latency"),
    ("failed", "failed_latency"),
    ("service", "service"),
    ("first byte", "first_byte"),
    ("failed = ∞", "adjusted_latency"),
)
"""Rows of the time table: heading and prefix of the field name."""

_FIRST_COLUMN_END = 26
_COLUMN = 9
_NARROW_FIRST_END = 21
_NARROW_COLUMN = 12


def load(sheet: Sheet) -> list[Line]:
    """The load: `open, 500 /s even, up to 64 users · warm-up excluded · native engine`."""
    run, metrics = sheet.result.run, sheet.result.metrics
    facts = described_loads(sheet.result.spec, run.model, metrics.offered_rate)
    if metrics.warm_up_requests:
        facts.append("warm-up excluded")
    facts.append(f"{run.engine} engine")
    if sheet.result.spec.get("seed") is None:
        facts.append(f"seed {run.seed} (random)")
    return sheet.facts(facts, "LOAD")


def requests(sheet: Sheet) -> list[Line]:
    """The request counts, as sums that add up."""
    metrics = sheet.result.metrics
    count = figures.count
    started = f"{count(metrics.total_requests)} started = {count(metrics.successful_requests)} ok + "
    started += f"{count(metrics.failed_requests)} failed + {count(metrics.unfinished)} unfinished"
    if metrics.generator_errors:
        started += f" + {count(metrics.generator_errors)} generator errors"
    facts = [started]
    if metrics.missed:
        kinds = (
            ("dropped", metrics.dropped),
            ("skipped", metrics.skipped),
            ("queued at the end", metrics.queued_at_end),
        )
        missed = ", ".join(f"{count(number)} {name}" for name, number in kinds if number)
        due = f"{count(metrics.due)} due = {count(metrics.total_requests)} started + {count(metrics.missed)} missed"
        facts.append(f"{due} ({missed})")
    lines = [line for number, fact in enumerate(facts) for line in sheet.facts([fact], "" if number else "REQUESTS")]
    extra = []
    if metrics.arrivals_waited:
        waited = f"{count(metrics.arrivals_waited)} waited for a free user"
        extra.append(f"{waited}, p50 {sheet.time(metrics.wait_p50_ms)}, max {sheet.time(metrics.wait_max_ms)}")
    if metrics.redirect_hops:
        extra.append(f"{count(metrics.redirect_hops)} redirects followed")
    if metrics.redialled:
        extra.append(f"{count(metrics.redialled)} sent again on a new connection")
    return lines + (sheet.facts(extra) if extra else [])


def rate(sheet: Sheet) -> list[Line]:
    """Rates and bytes per second of the measured load."""
    metrics = sheet.result.metrics
    if not metrics.duration_seconds:
        return []
    received = figures.size(metrics.total_bytes_received / metrics.duration_seconds)
    sent = figures.size(metrics.total_bytes_sent / metrics.duration_seconds)
    facts = [f"{figures.rate(metrics.requests_per_second)} /s completed", f"{figures.rate(metrics.throughput)} /s ok"]
    return sheet.facts([*facts, f"{received}/s in", f"{sent}/s out"], "RATE")


def times(sheet: Sheet) -> list[Line]:
    """Response, service and first-byte times, and the percentiles with each failure counted as infinite."""
    metrics = sheet.result.metrics
    if metrics.latency_p50_ms is None:
        return []
    adjusted = metrics.failed_requests or metrics.unfinished or metrics.missed
    kinds = [
        (name, {column: getattr(metrics, f"{prefix}_{suffix}") for column, suffix in PERCENTILES})
        for name, prefix in KINDS
        if _is_shown(metrics, prefix, adjusted=bool(adjusted))
    ]
    return _narrow_times(sheet, kinds) if sheet.narrow else _wide_times(sheet, kinds)


def _is_shown(metrics: Metrics, prefix: str, *, adjusted: bool) -> bool:
    """Whether a row is shown: ok and failed times only if there are failures."""
    if prefix == "adjusted_latency":
        return adjusted
    if prefix == "failed_latency":
        return metrics.failed_latency_p50_ms is not None
    return prefix != "ok_latency" or metrics.failed_requests > 0


_Kinds = list[tuple[str, dict[str, float | None]]]


def _style(sheet: Sheet, kind: str, column: str) -> Style:
    key = {"failed = ∞": "adjusted", "first byte": "first_byte"}.get(kind, kind)
    return sheet.judged_times.get((key, column), Style.PLAIN)


def _wide_times(sheet: Sheet, kinds: _Kinds) -> list[Line]:
    ends = [_FIRST_COLUMN_END + _COLUMN * number for number in range(len(PERCENTILES))]
    head = sheet.paper.line(f" TIME ({sheet.unit})", Style.BOLD)
    for (column, _), end in zip(PERCENTILES, ends, strict=True):
        head.right(column, end, Style.DIM)
    lines = [head]
    for name, values in kinds:
        line = sheet.paper.line(f"   {name}")
        for (column, _), end in zip(PERCENTILES, ends, strict=True):
            line.right(sheet.in_unit(values[column]), end, _style(sheet, name, column))
        lines.append(line)
    return lines


def _narrow_times(sheet: Sheet, kinds: _Kinds) -> list[Line]:
    shown = kinds[: max(1, (sheet.paper.width - LABEL_END) // _NARROW_COLUMN)]
    ends = [_NARROW_FIRST_END + _NARROW_COLUMN * number for number in range(len(shown))]
    head = sheet.paper.line(f" TIME ({sheet.unit})", Style.BOLD)
    for (name, _), end in zip(shown, ends, strict=True):
        head.right(name, end, Style.DIM)
    lines = [head]
    for column, _ in PERCENTILES:
        line = sheet.paper.line(f"   {column}")
        for (name, values), end in zip(shown, ends, strict=True):
            line.right(sheet.in_unit(values[column]), end, _style(sheet, name, column))
        lines.append(line)
    return lines
