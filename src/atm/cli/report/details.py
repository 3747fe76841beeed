"""The blocks with details: failures by kind, and endpoints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC

from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Style, cells
from atm.models import figures
from atm.models.endpoint_metrics import NamedEndpointMetrics
from atm.models.outline import OTHER_ENDPOINT
from atm.models.run import FailureSummary, RunResult

MOST_FAILURES = 8
MOST_ENDPOINTS = 12
WORST_ENDPOINTS = 10
MOST_NAMED = 5
BURST_RUN_SECONDS = 10.0
BURST_SHARE = 0.2
"""If all failures of a run of at least 10 s lie within this share of it, the report hints at a single event."""


def failures(sheet: Sheet) -> list[Line]:
    """Each kind of failure with count, endpoint, time span and one example."""
    groups = sheet.result.failures
    if not groups:
        return []
    lines = [sheet.paper.line(" FAILURES", Style.BOLD)]
    shown = sorted(groups, key=lambda group: -group.count)[: None if sheet.everything else MOST_FAILURES]
    counts = max(cells(figures.count(group.count)) for group in shown)
    kinds = max(len(group.outcome) for group in shown)
    names = min(max(cells(sheet.paper.text(group.endpoint)) for group in shown), 18 if sheet.paper.width < 100 else 30)
    for group in shown:
        lines += _narrow_failure(sheet, group) if sheet.narrow else _failure(sheet, group, counts, kinds, names)
    if len(groups) > len(shown):
        rest = groups[len(shown) :]
        more = sum(group.count for group in rest)
        hint = f"`atm show {sheet.run_id} --all`" if sheet.saved else "`-o FILE.json` has all"
        lines.append(sheet.paper.line(f"   {len(rest)} more kinds, {figures.count(more)} failures: ").hint(hint))
    burst = _burst(sheet, groups)
    if burst:
        lines += [sheet.paper.line("   ").hint(line.plain.strip()) for line in sheet.paper.wrapped(burst, 3)]
    return lines


def _when(group: FailureSummary) -> str:
    first, last = figures.clock(group.first_seconds), figures.clock(group.last_seconds)
    return f"at {first}" if first == last else f"{first} to {last}"


def _failure(sheet: Sheet, group: FailureSummary, counts: int, kinds: int, names: int) -> list[Line]:
    paper = sheet.paper
    line = paper.line("  ").right(figures.count(group.count), 3 + counts, Style.FAIL).add(f" × {group.outcome}")
    line.to(8 + counts + kinds).add(paper.fitted(group.endpoint, names)).to(10 + counts + kinds + names)
    when = _when(group)
    room = paper.width - line.width - cells(when) - 2
    message = paper.text(group.message)
    if cells(message) <= room:
        lines = [line.add(message).right(when, paper.width, Style.DIM)]
    else:
        lines = [line.right(when, paper.width, Style.DIM), *paper.wrapped(message, 6 + counts)]
    return lines + _example(sheet, group, 6 + counts)


def _narrow_failure(sheet: Sheet, group: FailureSummary) -> list[Line]:
    paper = sheet.paper
    line = paper.line("   ").add(figures.count(group.count), Style.FAIL).add(f" × {group.outcome}  ")
    lines = [line.add(_when(group), Style.DIM), paper.line("      ").add(paper.fitted(group.endpoint, paper.width - 6))]
    return [*lines, *paper.wrapped(group.message, 6), *_example(sheet, group, 6)]


def _example(sheet: Sheet, group: FailureSummary, indent: int) -> list[Line]:
    if not group.example or group.example == group.message:
        return []
    paper = sheet.paper
    whole = "" if group.sample is None or not sheet.saved else f"atm show {sheet.run_id} --sample {group.sample}"
    room = paper.width - indent - (cells(whole) + 2 if whole and not sheet.narrow else 0)
    lines = [paper.line(" " * indent).add(paper.fitted(group.example, room), Style.DIM)]
    if whole and sheet.narrow:
        lines.append(paper.line(" " * indent).add(whole, Style.TYPE))
    elif whole:
        lines[0].right(whole, paper.width, Style.TYPE)
    return lines


def _burst(sheet: Sheet, groups: Sequence[FailureSummary]) -> str:
    """Return a hint if all failures lie within a small part of the run."""
    run, metrics = sheet.result.run, sheet.result.metrics
    first = min(group.first_seconds for group in groups)
    last = max(group.last_seconds for group in groups)
    total = sum(group.count for group in groups)
    short = metrics.duration_seconds < BURST_RUN_SECONDS
    if run.started_at is None or short or total < 5 or last - first > BURST_SHARE * metrics.duration_seconds:
        return ""
    moment = run.started_at.astimezone(UTC).timestamp() + first
    clock = run.started_at.fromtimestamp(moment, UTC).strftime("%H:%M:%S")
    within = max(1, math.ceil(last - first))
    return f"hint: all within {within} s, from {clock} UTC; check the server's log at that time"


def endpoints(sheet: Sheet) -> list[Line]:
    """The endpoints in the order of the spec; if there are many, only the worst. Empty for steps of scenarios."""
    entries = sheet.result.endpoint_metrics
    if len(entries) < 2 or sheet.result.scenarios:
        return []
    shown: Sequence[NamedEndpointMetrics] = entries
    if len(entries) > MOST_ENDPOINTS and not sheet.everything:
        shown = sorted(entries, key=lambda entry: (-entry.failed_requests, -_order(entry)))[:WORST_ENDPOINTS]
    lines = _narrow_endpoints(sheet, shown) if sheet.narrow else _wide_endpoints(sheet, shown)
    if len(shown) < len(entries):
        hint = f"`atm show {sheet.run_id} --all`" if sheet.saved else "`-o FILE.csv` has all"
        more = f"   {len(entries) - len(shown)} more, none worse: "
        lines.append(sheet.paper.line(more).hint(hint))
    note = without_requests(sheet.result)
    return [*lines, *(sheet.paper.wrapped(note, 3, Style.WARN) if note else ())]


def without_requests(result: RunResult) -> str:
    """Return a note on endpoints that received no request; empty if there are none."""
    names = result.endpoints_without_requests
    if not names:
        return ""
    named = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    kind = "step" if result.scenarios else "endpoint"
    return f"{len(names)} {kind if len(names) == 1 else f'{kind}s'} got no request: {named}"


def beyond_limit_of_names(result: RunResult) -> str:
    """Return a note on requests of code that have no row of their own; empty if there are none."""
    others = [entry for entry in result.endpoint_metrics if entry.name.endswith(f"/{OTHER_ENDPOINT}")]
    requests = sum(entry.total_requests for entry in others)
    if not requests:
        return ""
    return (
        f"{figures.counted(requests, 'request')} with further names counted under {OTHER_ENDPOINT}: "
        "give requests whose paths differ one `name=`"
    )


def _order(entry: NamedEndpointMetrics) -> float:
    return -1.0 if entry.latency_p99_ms is None else entry.latency_p99_ms


def _columns(width: int) -> tuple[str, ...]:
    return ("p50", "p90", "p95", "p99", "p99.9") if width >= 110 else ("p50", "p95", "p99")


def _wide_endpoints(sheet: Sheet, shown: Sequence[NamedEndpointMetrics]) -> list[Line]:
    paper = sheet.paper
    columns = _columns(paper.width)
    tail = 10 + 9 + 9 * len(columns) + 4
    longest = max(cells(paper.text(entry.name)) for entry in shown)
    names = max(20, min(longest, paper.width - 3 - tail))
    requests = 3 + names + 10
    ends = [requests + 9 + 9 * (number + 1) for number in range(len(columns))]
    head = (
        paper.line(" ENDPOINTS", Style.BOLD)
        .right("requests", requests, Style.DIM)
        .right("failed", requests + 9, Style.DIM)
    )
    for column, end in zip(columns, ends, strict=True):
        head.right(column, end, Style.DIM)
    lines = [head.add(f"  {sheet.unit}", Style.DIM)]
    for entry in shown:
        line = (
            paper.line("   ").add(paper.fitted(entry.name, names)).right(figures.count(entry.total_requests), requests)
        )
        _failed(line, entry, requests + 9)
        for column, end in zip(columns, ends, strict=True):
            line.right(sheet.in_unit(getattr(entry, f"latency_{column.replace('.', '_')}_ms")), end)
        lines.append(line)
    return lines


def _failed(line: Line, entry: NamedEndpointMetrics, end: int) -> None:
    line.right(figures.count(entry.failed_requests), end, Style.FAIL if entry.failed_requests else Style.PLAIN)


def _narrow_endpoints(sheet: Sheet, shown: Sequence[NamedEndpointMetrics]) -> list[Line]:
    paper = sheet.paper
    lines = [paper.line(" ENDPOINTS", Style.BOLD)]
    for entry in shown:
        lines.append(paper.line("   ").add(paper.fitted(entry.name, paper.width - 3)))
        failed = f"{figures.count(entry.failed_requests)} failed"
        times = [
            f"{name} {sheet.time(value)}"
            for name, value in (("p50", entry.latency_p50_ms), ("p99", entry.latency_p99_ms))
        ]
        facts = [figures.counted(entry.total_requests, "request"), failed, *times]
        lines += sheet.facts(facts, start=6)
    return lines
