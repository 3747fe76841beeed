"""The blocks of the response time distribution, the status codes and the connections, side by side."""

from __future__ import annotations

import base64

from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Paper, Style, cells
from atm.metrics.histogram import Histogram
from atm.models import figures
from atm.reports.rungs import Rung, rungs

BAR = 20
"""The longest bar, in columns."""
_BAR_START = 13
_COUNT_END = 41
_NARROW_COUNT_END = 24
_SHARE_END = 49
_ASIDE_START = 57
MOST_STATUSES = 8
_EIGHTHS = "▏▎▍▌▋▊▉"


def bar(length: float, paper: Paper) -> str:
    """Return a bar of `length` columns; any length above 0 shows at least an eighth."""
    if length <= 0:
        return ""
    if not paper.unicode:
        return "#" * int(length + 0.5) or "."
    eighths = max(1, int(length * 8 + 0.5))
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def shape(sheet: Sheet) -> list[Line]:
    """Histogram on the left, statuses and connections on the right; stacked on a narrow terminal."""
    left = _histogram(sheet)
    alone = sheet.narrow or not left
    right = [block for block in (_statuses(sheet, alone), _connections(sheet, alone)) if block]
    if alone:
        blocks = [block for block in (left, *right) if block]
        return [
            line for number, block in enumerate(blocks) for line in ([sheet.paper.line()] if number else []) + block
        ]
    aside: list[Line] = []
    for block in right:
        aside += [sheet.paper.line(), *block] if aside else block
    lines = []
    for number in range(max(len(left), len(aside))):
        line = left[number] if number < len(left) else sheet.paper.line()
        if number < len(aside) and aside[number].spans:
            line.to(_ASIDE_START).extend(aside[number])
        lines.append(line)
    return lines


def _histogram(sheet: Sheet) -> list[Line]:
    encoded = sheet.result.histograms.get("response")
    histogram = Histogram.decode(base64.b64decode(encoded)) if encoded else Histogram()
    if not histogram:
        return []
    paper = sheet.paper
    samples = "1 sample" if histogram.total == 1 else f"{figures.count(histogram.total)} samples"
    lines = [paper.line(" RESPONSE TIME", Style.BOLD).add(f"  {samples}", Style.DIM)]
    steps = rungs(histogram)
    marks = ["".join(f" p{percent:g}" for percent in step.percentiles) for step in steps]
    # Percentiles that share a rung have a longer mark, which shortens the bars.
    longest = BAR - max(max(map(len, marks)) - len(" p50"), 0)
    most = max(step.count for step in steps)
    for step, mark in zip(steps, marks, strict=True):
        lines.append(_rung(sheet, step, step.count / most * longest, BAR - longest, mark))
    return lines


def _rung(sheet: Sheet, step: Rung, length: float, shift: int, mark: str) -> Line:
    paper = sheet.paper
    line = (
        paper.line("   ")
        .add("≤ ")
        .add(f"{paper.text(_limit(step.limit_ns)):>6}")
        .to(_BAR_START + (0 if paper.unicode else 1))
    )
    count_end = _NARROW_COUNT_END if sheet.narrow else _COUNT_END - shift
    if not sheet.narrow:
        line.add(bar(length, paper))
    line.right(figures.count(step.count), count_end)
    line.right(figures.share(step.cumulative_share), count_end + _SHARE_END - _COUNT_END)
    return line.add(f" ◂{sheet.doubted(mark, 0)}", Style.DIM) if mark else line


def _limit(nanoseconds: int) -> str:
    unit = figures.time_unit(nanoseconds / 1e6)
    scale = {"ns": 1, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}[unit]
    return f"{nanoseconds // scale} {unit}"


def status_style(status: int | None) -> Style:
    """Return the colour of a status class; None means no response."""
    if status is None or status >= 500:
        return Style.FAIL
    return Style.WARN if status >= 400 else Style.PASS if 200 <= status < 300 else Style.PLAIN


def _statuses(sheet: Sheet, alone: bool) -> list[Line]:
    metrics = sheet.result.metrics
    completed = metrics.successful_requests + metrics.failed_requests
    if not metrics.status_code_counts:
        return []
    counts: list[tuple[int | None, int]] = sorted(metrics.status_code_counts.items())
    none = completed - sum(metrics.status_code_counts.values())
    if none:
        counts.append((None, none))
    indent = 3 if alone else 0
    count_end = indent + 6 + max(6, *(cells(figures.count(count)) for _, count in counts))
    lines = [sheet.paper.line(" STATUS" if alone else "STATUS", Style.BOLD)]
    for status, count in counts[:MOST_STATUSES]:
        line = sheet.paper.line(" " * indent).add("none" if status is None else str(status), status_style(status))
        lines.append(line.right(figures.count(count), count_end).right(figures.share(count / completed), count_end + 9))
    if len(counts) > MOST_STATUSES:
        lines.append(sheet.paper.line(" " * indent).add(f"{len(counts) - MOST_STATUSES} more", Style.DIM))
    return lines


def _connections(sheet: Sheet, alone: bool) -> list[Line]:
    generator = sheet.result.generator
    if not generator.connections_opened:
        return []
    lost = figures.count(generator.connections_lost) if generator.connections_lost else "none"
    opened = f"{figures.count(generator.connections_opened)} opened"
    facts = [f"{opened}, {lost} lost"] if len(opened) + len(lost) < 17 else [f"{opened},", f"{lost} lost"]
    parts = (("DNS", generator.dns_mean_ms), ("TCP", generator.connect_mean_ms), ("TLS", generator.tls_mean_ms))
    times = [f"{name} {figures.time(value)}" for name, value in parts if value is not None]
    facts += [", ".join(times[:2]), *times[2:]]
    lines = [sheet.paper.line(" CONNECTIONS" if alone else "CONNECTIONS", Style.BOLD)]
    return lines + [sheet.paper.line("   " if alone else "").add(fact) for fact in facts if fact]
