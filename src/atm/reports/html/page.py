"""The page of the HTML report: header, verdicts, figures, plots and tables, in this order."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from atm.metrics.histogram import Histogram
from atm.models import figures
from atm.models.failure_reasons import failure_reasons
from atm.models.load_description import described_loads, has_loads_of_scenarios
from atm.models.metric import Metric, Unit
from atm.models.outcome import RunOutcome
from atm.models.run import Measurement, RunResult, ThresholdResult
from atm.reports.html.charts import (
    HALF,
    Curve,
    both,
    failure_chart,
    failure_kinds,
    percentile_chart,
    rate_chart,
    time_chart,
)
from atm.reports.html.code import blocking, exceptions
from atm.reports.html.iterations import waterfalls
from atm.reports.html.markup import Child, Markup, markup, tag
from atm.reports.html.parts import card, cores, doubted, table, time_text, wrapping
from atm.reports.html.scenarios import checks, scenarios, steps, test_data
from atm.reports.html.style import STYLE, STYLE_HASH
from atm.reports.html.tables import (
    PERCENTILES,
    configuration,
    endpoints,
    failures,
    samples,
    statuses_and_generator,
    timeline_table,
    workers,
)
from atm.reports.rungs import rungs

KINDS = (
    ("response", "latency"),
    ("ok", "ok_latency"),
    ("failed", "failed_latency"),
    ("service", "service"),
    ("first byte", "first_byte"),
    ("failed = ∞", "adjusted_latency"),
)


def render_html(result: RunResult) -> str:
    """Return the report as one self-contained HTML document, UTF-8."""
    policy = f"default-src 'none'; style-src '{STYLE_HASH}'; base-uri 'none'; form-action 'none'"
    head = markup(
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", f"{result.run.name}: {_headline(result)}"),
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


def _headline(result: RunResult) -> str:
    outcome = result.verdict.outcome
    if outcome is not RunOutcome.FAILED:
        return str(outcome)
    failed = sum(not threshold.passed for threshold in result.thresholds)
    if failed:
        return f"failed, {failed} of {len(result.thresholds)} thresholds"
    return "failed, the target never answered"


def _header(result: RunResult) -> Markup:
    run, metrics = result.run, result.metrics
    targets = sorted({urlsplit(entry.url).netloc.rpartition("@")[2] for entry in result.endpoint_metrics})
    facts = [", ".join(targets[:3]) + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")]
    load = "open and closed loads" if run.model == "mixed" else f"{run.model} model"
    if metrics.offered_rate is not None:
        load += f", {figures.rate(metrics.offered_rate)} /s offered"
    loads = described_loads(result.spec, run.model, None) if has_loads_of_scenarios(result.spec) else [load]
    facts += [*loads, f"{run.engine} engine", figures.duration(metrics.duration_seconds)]
    if metrics.warm_up_seconds:
        facts[-1] += f" after {figures.planned(round(metrics.warm_up_seconds, 1))} warm-up"
    if run.started_at:
        facts.append(run.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"))
    facts.append(f"run {run.id[:8]}")
    return tag("header", tag("h1", run.name), tag("p", " · ".join(fact for fact in facts if fact), class_="muted"))


_SIGNS = {"pass": "✓", "fail": "✗", "warn": "!"}


def _verdict(kind: str, title: str, text: str) -> Markup:
    sign = tag("span", _SIGNS[kind], class_=f"sign {kind}", aria_hidden="true")
    return tag("p", sign, tag("span", tag("b", title, class_=kind), f"  {text}"), class_="verdict")


def _verdicts(result: RunResult) -> Markup:
    failed = sum(not threshold.passed for threshold in result.thresholds)
    parts: list[Markup] = []
    if result.run.error:
        parts.append(_verdict("fail", "Error", result.run.error))
    elif result.verdict.outcome in (RunOutcome.STOPPED, RunOutcome.CANCELLED):
        text = "before its planned end; the figures cover the time until then"
        parts.append(_verdict("warn", str(result.verdict.outcome).capitalize(), text))
    elif result.verdict.outcome is RunOutcome.FAILED and not failed:
        parts.append(_verdict("fail", "Failed", "; ".join(failure_reasons(result))))
    for name, hook in (("Setup", result.setup), ("Teardown", result.teardown)):
        if hook is not None:
            kind = {"passed": "pass", "failed": "fail"}.get(hook.status, "warn")
            parts.append(_verdict(kind, name, hook.described))
            if hook.hint:
                parts.append(tag("p", f"hint: {hook.hint}", class_="muted"))
    if result.thresholds:
        text = f"{failed} of {len(result.thresholds)} failed" if failed else f"{len(result.thresholds)} hold"
        parts.append(_verdict("fail" if failed else "pass", "Thresholds", text))
        head = (("", False), ("threshold", False), ("measured", True), ("", False))
        parts.append(table(head, [_threshold(result, threshold) for threshold in result.thresholds]))
    kind, text = {
        Measurement.VALID: ("pass", "valid: the load generator was not the limit"),
        Measurement.SUSPECT: ("warn", "suspect: the load generator may have been the limit"),
        Measurement.INVALID: ("fail", 'invalid: do not quote these times; each ends in "?"'),
    }[result.verdict.measurement]
    parts += [_verdict(kind, "Measurement", text), tag("p", " · ".join(_generator_facts(result)), class_="muted facts")]
    for reason in result.verdict.reasons:
        severity = "fail" if reason.severity == Measurement.INVALID else "warn"
        parts.append(_verdict(severity, "", reason.what))
        parts.append(tag("p", f"hint: {reason.hint}", class_="muted"))
    return tag("section", *parts, class_="card", aria_label="Verdicts")


def _generator_facts(result: RunResult) -> list[str]:
    metrics, generator = result.metrics, result.generator
    facts = []
    if metrics.offered_rate is not None:
        facts.append(f"sent {figures.rate(metrics.achieved_rate)} of {figures.rate(metrics.offered_rate)} /s")
    if generator.schedule_lag_p99_ms is not None:
        facts.append(f"lag p99 {figures.time(generator.schedule_lag_p99_ms)}")
    facts.append(f"CPU {figures.percent(generator.cpu_share / max(generator.cores, 1))} of {cores(generator.cores)}")
    if metrics.offered_rate is not None:
        facts.append(f"missed {figures.count(metrics.missed)}")
    return facts


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
    completed = metrics.successful_requests + metrics.failed_requests
    share = figures.share(metrics.failed_requests / completed) if completed else figures.NO_DATA
    tiles = [_tile("rate", f"{figures.rate(metrics.requests_per_second)} /s")]
    tiles += [
        _tile(name, time_text(result, value))
        for name, value in (
            ("p50", metrics.latency_p50_ms),
            ("p95", metrics.latency_p95_ms),
            ("p99", metrics.latency_p99_ms),
        )
    ]
    tiles.append(_tile("failed", f"{figures.count(metrics.failed_requests)} {share}"))
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
    for name, prefix in KINDS:
        if prefix == "adjusted_latency" and not (metrics.failed_requests or metrics.unfinished or metrics.missed):
            continue
        if prefix == "ok_latency" and not metrics.failed_requests:
            continue
        if prefix == "failed_latency" and metrics.failed_latency_p50_ms is None:
            continue
        values = [getattr(metrics, f"{prefix}_{column}_ms") for _, column in (*PERCENTILES, ("mean", "mean"))]
        rows.append([name, *(doubted(result, figures.time_in(value, unit)) for value in values)])
    count = figures.count
    sums = f"{count(metrics.total_requests)} started = {count(metrics.successful_requests)} ok + "
    sums += f"{count(metrics.failed_requests)} failed + {count(metrics.unfinished)} unfinished"
    if metrics.generator_errors:
        sums += f" + {count(metrics.generator_errors)} generator errors"
    if metrics.missed:
        sums += f"; {count(metrics.missed)} more were due and never started"
    return card("Times", table(head, rows), tag("p", sums, class_="muted"))


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
    limits = [rule.limit for rule in result.thresholds if rule.is_time_limit and rule.metric is Metric.LATENCY]
    limit = min(limits, default=None)
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


def _decoded(result: RunResult, name: str) -> Histogram:
    encoded = result.histograms.get(name)
    return Histogram.decode(base64.b64decode(encoded)) if encoded else Histogram()


def _percentiles(result: RunResult) -> Markup | None:
    curves: list[Curve] = []
    for name, key, colour in (
        ("response", "response", "info"),
        ("service", "service", "e2"),
        ("first byte", "first_byte", "s2"),
    ):
        histogram = _decoded(result, key)
        if histogram:
            curves.append((name, colour, _in_ms(histogram, 0)))
    metrics = result.metrics
    beyond = metrics.failed_requests + metrics.unfinished + metrics.missed
    ok = _decoded(result, "response_ok")
    if ok and beyond:
        curves.append(("failed = ∞", "fail", _in_ms(ok, beyond)))
    response = _decoded(result, "response")
    if not curves or response.total < 20:
        return None
    chart = both(lambda width: percentile_chart(curves, response.total, width), HALF)
    legend = _legend(*((name, colour) for name, colour, _ in curves))
    return card("Percentiles", legend, chart, note="up to the percentile that ten samples exceed")


def _in_ms(histogram: Histogram, beyond: int) -> Callable[[float], float | None]:
    def percentile(percent: float) -> float | None:
        value = histogram.percentile(percent, beyond)
        return None if value is None else value / 1e6

    return percentile


def _histogram(result: RunResult) -> Markup | None:
    histogram = _decoded(result, "response")
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
