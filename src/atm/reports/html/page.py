"""The page of the HTML report: header, verdicts, figures, plots and tables, in this order."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.metric import Unit
from atm.models.run import RunResult, ThresholdResult
from atm.reports.facts import (
    PERCENTILES,
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
    shown_kinds,
    thresholds_judgement,
    time_limit,
)
from atm.reports.html.charts import (
    HALF,
    both,
    failure_chart,
    percentile_chart,
    rate_chart,
    time_chart,
)
from atm.reports.html.code import blocking, exceptions
from atm.reports.html.iterations import waterfalls
from atm.reports.html.markup import Child, Markup, markup, tag
from atm.reports.html.own_metrics import own_metrics
from atm.reports.html.parts import card, table, time_text, wrapping
from atm.reports.html.scenarios import checks, scenarios, steps, test_data
from atm.reports.html.style import STYLE, STYLE_HASH
from atm.reports.html.tables import (
    configuration,
    endpoints,
    failures,
    samples,
    statuses_and_generator,
    timeline_table,
    workers,
)
from atm.reports.rungs import rungs


def render_html(result: RunResult) -> str:
    """Return the report as one self-contained HTML document, UTF-8."""
    policy = f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
    head = markup(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{result.run.name}: {headline(result)}"),
        tag("style", Markup(STYLE)),
    )
    sections = (
        _header(result),
        _verdicts(result),
        _tiles(result),
        scenarios(result),
        _times(result),
        _rate(result),
        _times_over_time(result),
        _failures_over_time(result),
        tag("div", _percentiles(result), _histogram(result), class_="row two"),
        endpoints(result),
        steps(result),
        checks(result),
        test_data(result),
        failures(result),
        exceptions(result),
        own_metrics(result),
        blocking(result),
        statuses_and_generator(result),
        waterfalls(result),
        workers(result),
        samples(result),
        timeline_table(result),
        configuration(result),
        _footer(result),
    )
    body = tag("body", _hatch(), tag("main", *sections))
    return f"<!doctype html>\n{tag('html', tag('head', head), body, lang='en')}\n"


def _hatch() -> Markup:
    line = tag("path", d="M0 8L8 0", class_="grid")
    pattern = tag("pattern", line, id="hatch", width="8", height="8", patternUnits="userSpaceOnUse")
    return tag("svg", tag("defs", pattern), width="0", height="0", aria_hidden="true")


def _header(result: RunResult) -> Markup:
    return tag("header", tag("h1", result.run.name), tag("p", " · ".join(run_facts(result)), class_="muted"))


_SIGNS = {"pass": "✓", "fail": "✗", "warn": "!"}


def _verdict(judgement: Judgement) -> Markup:
    kind = judgement.kind
    sign = tag("span", _SIGNS[kind], class_=f"sign {kind}", aria_hidden="true")
    text = tag("span", tag("b", judgement.title, class_=kind), f"  {judgement.text}")
    hint = tag("p", f"hint: {judgement.hint}", class_="muted") if judgement.hint else None
    return markup(tag("p", sign, text, class_="verdict"), hint)


def _verdicts(result: RunResult) -> Markup:
    parts = [_verdict(judgement) for judgement in outcome_judgements(result)]
    if result.thresholds:
        head = (("", False), ("threshold", False), ("measured", True), ("", False))
        rows = [_threshold(result, threshold) for threshold in result.thresholds]
        parts += [_verdict(thresholds_judgement(result)), table(head, rows)]
    facts = tag("p", " · ".join(generator_facts(result)), class_="muted facts")
    parts += [_verdict(measurement_judgement(result)), facts]
    parts += [_verdict(judgement) for judgement in measurement_reasons(result)]
    return tag("section", *parts, class_="card", aria_label="Verdicts")


def _threshold(result: RunResult, threshold: ThresholdResult) -> tuple[Child, ...]:
    kind = "pass" if threshold.passed else "fail"
    word = "holds" if threshold.passed else "failed"
    sign = tag("span", f"{_SIGNS[kind]} {word}", class_=kind)
    actual = threshold.measured
    if threshold.unit is Unit.MILLISECONDS:
        actual = doubted(result, actual)
    remarks = (threshold.distance, threshold.message)
    return (
        sign,
        threshold.expression,
        tag("td", tag("b", actual, class_=kind), class_="n"),
        wrapping(" · ".join(filter(None, remarks))),
    )


def _tiles(result: RunResult) -> Markup:
    metrics = result.metrics
    tiles = [_tile("rate", f"{figures.rate(metrics.requests_per_second)} /s")]
    tiles += [
        _tile(name, time_text(result, value))
        for name, value in (
            ("p50", metrics.latency_p50_ms),
            ("p95", metrics.latency_p95_ms),
            ("p99", metrics.latency_p99_ms),
        )
    ]
    tiles.append(_tile("failed", f"{figures.count(metrics.failed_requests)} {failed_share(result)}"))
    return tag("section", *tiles, class_="tiles", aria_label="Figures")


def _tile(name: str, figure: str) -> Markup:
    number, _, unit = figure.partition(" ")
    value = tag("div", number, tag("small", unit) if unit else None, class_="figure")
    return tag("div", tag("div", name, class_="name"), value, class_="card tile")


def _times(result: RunResult) -> Markup | None:
    metrics = result.metrics
    if metrics.latency_p50_ms is None:
        return None
    unit = figures.time_unit(metrics.latency_p50_ms)
    head = ((f"time, {unit}", False), *((name, True) for name, _ in PERCENTILES), ("mean", True))
    rows: list[Sequence[Child]] = []
    for name, prefix in shown_kinds(result):
        values = [getattr(metrics, f"{prefix}_{column}_ms") for _, column in (*PERCENTILES, ("mean", "mean"))]
        rows.append([name, *(doubted(result, figures.time_in(value, unit)) for value in values)])
    return card("Times", table(head, rows), tag("p", request_books(result), class_="muted"))


def _legend(*entries: tuple[str, str]) -> Markup:
    return tag("div", *(tag("span", tag("i", class_=f"chip b-{key}"), name) for name, key in entries), class_="legend")


def _rate(result: RunResult) -> Markup | None:
    if not result.timeline:
        return None
    has_offered = result.metrics.offered_rate is not None and not result.scenarios
    entries = [("completed", "info")] + ([("offered", "muted")] if has_offered else [])
    entries += [("failed", "fail")] if result.metrics.failed_requests else []
    return card("Rate", _legend(*entries), both(lambda width: rate_chart(result, width)), note="/s")


def _times_over_time(result: RunResult) -> Markup | None:
    if not any(point.latency_p50_ms for point in result.timeline):
        return None
    limit = time_limit(result)
    legend = _legend(("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("max", "muted"))
    chart = both(lambda width: time_chart(result, width, limit))
    return card("Response time", legend, chart, note="percentiles of each second")


def _failures_over_time(result: RunResult) -> Markup | None:
    kinds = failure_kinds(result)
    if not kinds:
        none = f"None in {figures.counted(result.metrics.total_requests, 'request')}"
        return card("Failures", tag("p", none, class_="muted")) if result.metrics.total_requests else None
    legend = _legend(*((outcome.value, colour) for outcome, colour in kinds))
    return card("Failures", legend, both(lambda width: failure_chart(result, width)), note="/s")


def _percentiles(result: RunResult) -> Markup | None:
    curves = percentile_curves(result)
    if not curves:
        return None
    samples = decoded(result, "response").total
    chart = both(lambda width: percentile_chart(curves, samples, width), HALF)
    legend = _legend(*((name, colour) for name, colour, _ in curves))
    return card("Percentiles", legend, chart, note="up to the percentile that ten samples exceed")


def _histogram(result: RunResult) -> Markup | None:
    histogram = decoded(result, "response")
    if not histogram:
        return None
    steps = rungs(histogram)
    most = max(step.count for step in steps)
    rows: list[Sequence[Child]] = []
    for step in steps:
        length = f"{max(step.count / most * 100, 1 if step.count else 0):.1f}"
        bar = tag("rect", x="0", y="3", width=length, height="14", rx="1", class_="f-info")
        drawn = tag(
            "svg", bar, viewBox="0 0 100 20", preserveAspectRatio="none", height="20", aria_hidden="true", class_="bar"
        )
        marks = " ".join(f"p{percent:g}" for percent in step.percentiles)
        limit = tag("td", f"≤ {_limit(step.limit_ns)}", class_="n")
        cells = tag("td", drawn, class_="barcell")
        rows.append([limit, cells, figures.count(step.count), figures.share(step.cumulative_share), marks])
    head = (("time", True), ("", False), ("requests", True), ("cumulative", True), ("", False))
    return card("Distribution", table(head, rows), note=f"{figures.count(histogram.total)} samples")


def _limit(nanoseconds: int) -> str:
    unit = figures.time_unit(nanoseconds / 1e6)
    scale = {"ns": 1, "µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}[unit]
    return f"{nanoseconds // scale:,} {unit}"


def _footer(result: RunResult) -> Markup:
    run = result.run
    version = result.environment.get("atm_version", run.engine_version)
    text = f"API Test Machine {version} · {run.engine_reason} · seed {run.seed}"
    note = "Response time is measured from when a request was due, service time from when it was sent."
    return tag("footer", tag("p", note, class_="muted"), tag("p", text, class_="muted"))
