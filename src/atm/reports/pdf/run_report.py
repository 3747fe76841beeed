"""The report of one run as PDF: verdicts, figures, plots and tables, in this order."""

from __future__ import annotations

from atm.models import figures
from atm.models.metric import Unit
from atm.models.outcome import RunOutcome
from atm.models.run import RunResult, ThresholdResult
from atm.reports.facts import (
    Judgement,
    decoded,
    doubted,
    failed_share,
    failure_kinds,
    generator_facts,
    headline,
    measurement_judgement,
    measurement_reasons,
    outcome_judgements,
    percentile_curves,
    request_books,
    run_facts,
    thresholds_judgement,
    time_limit,
)
from atm.reports.pdf.charts import failure_chart, legend, percentile_chart, rate_chart, time_chart
from atm.reports.pdf.run_tables import (
    blocking,
    checks,
    endpoints,
    exceptions,
    failures,
    generator,
    own_metrics,
    scenarios,
    statuses,
    steps,
    test_data,
    times,
    workers,
)
from atm.reports.pdf.sheet import BODY, LEFT, RIGHT, SMALL, Sheet, tint
from atm.reports.pdf.tables import Cell, Column, draw_table

OUTCOME_KINDS = {RunOutcome.PASSED: "pass", RunOutcome.STOPPED: "warn", RunOutcome.CANCELLED: "warn"}
"""The colour of each outcome; `fail` for any other."""


def render_pdf(result: RunResult) -> bytes:
    """Return the report as a PDF document."""
    run = result.run
    sheet = Sheet(
        f"{run.name}: {headline(result)}", f"API Test Machine · {run.name} · run {run.id[:8]}", run.created_at
    )
    _header(sheet, result)
    _verdicts(sheet, result)
    _tiles(sheet, result)
    scenarios(sheet, result)
    _plots(sheet, result)
    for section in (
        times,
        _percentiles,
        endpoints,
        steps,
        checks,
        own_metrics,
        test_data,
        failures,
        exceptions,
        blocking,
    ):
        section(sheet, result)
    statuses(sheet, result)
    generator(sheet, result)
    workers(sheet, result)
    _end(sheet, result)
    return sheet.finished()


def _header(sheet: Sheet, result: RunResult) -> None:
    sheet.text(LEFT, sheet.y, "Load test report", SMALL, colour="muted")
    for line in sheet.wrapped(result.run.name, RIGHT - LEFT, 20, True, most=3):
        sheet.y += 25
        sheet.text(LEFT, sheet.y, line, 20, bold=True)
    sheet.y += 6
    sheet.paragraph(" · ".join(run_facts(result)), colour="muted")
    sheet.y += 10
    draw_banner(sheet, result)


def draw_banner(sheet: Sheet, result: RunResult) -> None:
    """Draw the outcome of the run over the whole width."""
    outcome = result.verdict.outcome
    kind = OUTCOME_KINDS.get(outcome, "fail")
    reasons = [reason for reason in result.failure_reasons if reason]
    lines = [line for reason in reasons[:3] for line in sheet.wrapped(reason, RIGHT - LEFT - 32, BODY, most=2)]
    height = 34.0 + 12 * len(lines)
    sheet.box(LEFT, sheet.y, RIGHT - LEFT, height, tint(kind, 0.09), radius=4)
    sheet.box(LEFT, sheet.y, 3, height, kind)
    sheet.sign(LEFT + 16, sheet.y + 22, kind, 9)
    sheet.text(LEFT + 32, sheet.y + 22.5, str(outcome).capitalize(), 15, bold=True, colour=kind)
    metrics = result.metrics
    requests, rate = figures.counted(metrics.total_requests, "request"), figures.rate(metrics.requests_per_second)
    books = f"{requests}, {rate} /s"
    sheet.text(RIGHT - 14, sheet.y + 21, books, BODY, colour="muted", align="R")
    for number, line in enumerate(lines):
        sheet.text(LEFT + 32, sheet.y + 38 + 12 * number, line, BODY)
    sheet.y += height


def _judgement(sheet: Sheet, judgement: Judgement) -> None:
    sheet.need(32)
    sheet.y += 18
    sheet.sign(LEFT, sheet.y, judgement.kind)
    x = LEFT + 12
    if judgement.title:
        sheet.text(x, sheet.y, judgement.title, 9, bold=True, colour=judgement.kind)
        x += sheet.width_of(judgement.title, 9, True) + 6
    lines = sheet.wrapped(judgement.text, RIGHT - x, 9, most=6)
    for number, line in enumerate(lines):
        sheet.text(x, sheet.y + 12 * number, line, 9)
    sheet.y += 12 * (len(lines) - 1)
    if judgement.hint:
        for line in sheet.wrapped(f"hint: {judgement.hint}", RIGHT - LEFT - 12, BODY, most=3):
            sheet.y += 12
            sheet.text(LEFT + 12, sheet.y, line, BODY, colour="muted")


def _verdicts(sheet: Sheet, result: RunResult) -> None:
    sheet.y += 4
    for judgement in outcome_judgements(result):
        _judgement(sheet, judgement)
    if result.thresholds:
        _judgement(sheet, thresholds_judgement(result))
        columns = (Column(""), Column("threshold", grows=1.3), Column("measured", number=True), Column("", grows=1))
        draw_table(sheet, columns, [_threshold(result, rule) for rule in result.thresholds], noun="thresholds")
    _judgement(sheet, measurement_judgement(result))
    sheet.y += 12
    sheet.text(LEFT + 12, sheet.y, " · ".join(generator_facts(result)), BODY, colour="muted")
    for judgement in measurement_reasons(result):
        _judgement(sheet, judgement)


def _threshold(result: RunResult, threshold: ThresholdResult) -> tuple[Cell | str, ...]:
    kind, word = ("pass", "holds") if threshold.passed else ("fail", "failed")
    measured = threshold.measured
    if threshold.unit is Unit.MILLISECONDS:
        measured = doubted(result, measured)
    remarks = " · ".join(filter(None, (threshold.distance, threshold.message)))
    return Cell(word, kind, sign=kind), threshold.expression, Cell(measured, kind, bold=True), Cell(remarks, "muted")


def _tiles(sheet: Sheet, result: RunResult) -> None:
    metrics = result.metrics
    tiles = [("rate", f"{figures.rate(metrics.requests_per_second)} /s", "text")]
    for name, value in (
        ("p50", metrics.latency_p50_ms),
        ("p95", metrics.latency_p95_ms),
        ("p99", metrics.latency_p99_ms),
    ):
        tiles.append((name, doubted(result, figures.time(value)), "text"))
    colour = "fail" if metrics.failed_requests else "text"
    tiles.append(("failed", f"{figures.count(metrics.failed_requests)} {failed_share(result)}", colour))
    sheet.need(70)
    sheet.y += 16
    gap, height = 8.0, 46.0
    width = (RIGHT - LEFT - gap * (len(tiles) - 1)) / len(tiles)
    for place, (name, figure, tone) in enumerate(tiles):
        x = LEFT + place * (width + gap)
        sheet.frame(x, sheet.y, width, height, "border", 4)
        sheet.text(x + 10, sheet.y + 16, name, SMALL, colour="muted")
        number, _, unit = figure.partition(" ")
        size = 16.0
        while sheet.width_of(number, size, True) + sheet.width_of(unit, BODY) + 24 > width and size > 8:
            size -= 1
        sheet.text(x + 10, sheet.y + 36, number, size, bold=True, colour=tone)
        sheet.text(x + 13 + sheet.width_of(number, size, True), sheet.y + 36, unit, BODY, colour="muted")
    sheet.y += height


def _plots(sheet: Sheet, result: RunResult) -> None:
    if any(point.latency_p50_ms for point in result.timeline):
        sheet.heading("Response time", "percentiles of each second", 190)
        legend(sheet, [("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("max", "muted")])
        time_chart(sheet, result, time_limit(result))
    if result.timeline:
        sheet.heading("Rate", "requests per second", 150)
        has_offered = result.metrics.offered_rate is not None and not result.scenarios
        entries = [("completed", "info"), *([("offered", "muted")] if has_offered else [])]
        legend(sheet, [*entries, *([("failed", "fail")] if result.metrics.failed_requests else [])])
        rate_chart(sheet, result)
    kinds = failure_kinds(result)
    if kinds:
        sheet.heading("Failures", "per second", 120)
        legend(sheet, [(outcome.value.replace("_", " "), colour) for outcome, colour in kinds[:6]])
        failure_chart(sheet, result)


def _percentiles(sheet: Sheet, result: RunResult) -> None:
    curves = percentile_curves(result)
    if curves:
        sheet.heading("Percentiles", "up to the percentile that ten samples exceed", 180)
        legend(sheet, [(name, colour) for name, colour, _ in curves])
        percentile_chart(sheet, curves, decoded(result, "response").total)


def _end(sheet: Sheet, result: RunResult) -> None:
    run = result.run
    version = result.environment.get("atm_version", run.engine_version)
    sheet.need(60)
    sheet.y += 18
    sheet.paragraph(request_books(result), colour="muted")
    note = "Response time is measured from when a request was due, service time from when it was sent."
    sheet.paragraph(note, colour="muted")
    sheet.paragraph(f"API Test Machine {version} · {run.engine_reason} · seed {run.seed}", colour="muted")
