"""The tables of a run's report; sections without rows are left out."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.endpoint_metrics import NamedEndpointMetrics
from atm.models.run import RunResult
from atm.models.run_figures import CheckFigures, Spread
from atm.reports.facts import PERCENTILES, doubted, shown_kinds
from atm.reports.funnel import BEFORE_USER, checks_failed_first, funnels, outside_scenarios
from atm.reports.pdf.sheet import Sheet
from atm.reports.pdf.tables import Cell, Column, Row, draw_table

_COLUMNS = tuple((title, name) for title, name in PERCENTILES if title != "p90")
"""Percentiles of wide tables, fewer than on a screen."""


def times(sheet: Sheet, result: RunResult) -> None:
    """The kinds of times with their percentiles."""
    metrics = result.metrics
    if metrics.latency_p50_ms is None:
        return
    unit = figures.time_unit(metrics.latency_p50_ms)
    wanted = (*PERCENTILES, ("mean", "mean"))
    columns = [Column(f"time, {unit}", grows=1), *(Column(name, number=True) for name, _ in wanted)]
    rows = [
        [name, *(_time(result, getattr(metrics, f"{prefix}_{column}_ms"), unit) for _, column in wanted)]
        for name, prefix in shown_kinds(result)
    ]
    sheet.heading("Times", needed=60)
    draw_table(sheet, columns, rows)


def _time(result: RunResult, value: float | None, unit: str) -> str:
    return doubted(result, figures.time_in(value, unit))


def _failed(count: int) -> Cell:
    return Cell(figures.count(count), "fail" if count else "text")


def _request_columns(unit: str) -> list[Column]:
    names = ("requests", "failed", "rate /s", *(f"{name} {unit}" for name, _ in _COLUMNS))
    return [Column(name, number=True) for name in names]


def _request_cells(result: RunResult, entry: NamedEndpointMetrics, unit: str) -> list[Cell | str]:
    counts = (figures.count(entry.total_requests), _failed(entry.failed_requests))
    spread = (_time(result, getattr(entry, f"latency_{column}_ms"), unit) for _, column in _COLUMNS)
    return [*counts, figures.rate(entry.requests_per_second), *spread]


def _chip(number: int) -> str:
    return f"e{number + 1}" if number < 8 else "muted"


def endpoints(sheet: Sheet, result: RunResult) -> None:
    """Endpoints in the order of the spec; scenarios have their steps instead."""
    if not result.endpoint_metrics or result.scenarios:
        return
    unit = figures.time_unit(result.metrics.latency_p50_ms)
    rows: list[Row] = [
        [Cell(entry.name, chip=_chip(number)), *_request_cells(result, entry, unit)]
        for number, entry in enumerate(result.endpoint_metrics)
    ]
    sheet.heading("Endpoints", needed=60)
    draw_table(sheet, [Column("endpoint", grows=1), *_request_columns(unit)], rows, noun="endpoints")


def scenarios(sheet: Sheet, result: RunResult) -> None:
    """The iterations of each scenario."""
    entries = result.scenarios
    if not entries:
        return
    unit = figures.time_unit(max((entry.iteration_time.p50_ms or 0.0 for entry in entries), default=0.0))
    names = ("iterations", "failed", "rate /s", *(f"{name} {unit}" for name, _ in _COLUMNS))
    rows: list[Row] = []
    for entry in entries:
        counts = (figures.count(entry.started), _failed(entry.failed), figures.rate(entry.iterations_per_second))
        rows.append([entry.name, *counts, *_spread(result, entry.iteration_time, unit)])
        if entry.active_time != entry.iteration_time:
            rest = _spread(result, entry.active_time, unit)
            rows.append([Cell("without think time", "muted"), "", "", "", *rest])
    sheet.heading("Scenarios", "iterations", 60)
    columns = [Column("scenario", grows=1), *(Column(name, number=True) for name in names)]
    draw_table(sheet, columns, rows, noun="scenarios")


def _spread(result: RunResult, spread: Spread, unit: str) -> list[str]:
    return [_time(result, getattr(spread, f"{column}_ms"), unit) for _, column in _COLUMNS]


def steps(sheet: Sheet, result: RunResult) -> None:
    """The steps of each scenario with the share of iterations that reached them."""
    places = {entry.name: number for number, entry in enumerate(result.endpoint_metrics)}
    unit = figures.time_unit(result.metrics.latency_p50_ms)
    for journey in funnels(result):
        rows: list[Row] = []
        for before, metrics in journey.before_user:
            name = Cell(f"{before.name} {BEFORE_USER}", chip=_chip(places[metrics.name]))
            rows.append([name, "", "", *_request_cells(result, metrics, unit)])
        for step in journey.steps:
            name = Cell(step.reach.name, chip=_chip(places[step.metrics.name]))
            bar = Cell("", "info", bar=step.reach.reached_share or 0.0)
            reached = figures.share(step.reach.reached_share)
            rows.append([name, bar, reached, *_request_cells(result, step.metrics, unit)])
        ended = figures.counted(journey.scenario.completed + journey.scenario.failed, "iteration")
        sheet.heading(f"Steps of {journey.scenario.name}", f"of {ended} that ended", 60)
        first = [Column("step", grows=1), Column("", grows=0.35), Column("reached", number=True)]
        draw_table(sheet, [*first, *_request_columns(unit)], rows, noun="steps")
    others = outside_scenarios(result) if result.scenarios else []
    if others:
        rows = [
            [Cell(entry.name, chip=_chip(places[entry.name])), *_request_cells(result, entry, unit)] for entry in others
        ]
        sheet.heading("Other requests", needed=60)
        draw_table(sheet, [Column("request", grows=1), *_request_columns(unit)], rows, noun="requests")


def checks(sheet: Sheet, result: RunResult) -> None:
    """The checks, failed ones first."""
    ordered = checks_failed_first(result)
    if ordered:
        sheet.heading("Checks", needed=60)
        names = (Column("passed", number=True), Column("failed", number=True), Column("share", number=True))
        columns = (Column(""), Column("check", grows=1.2), Column("step", grows=1), *names)
        draw_table(sheet, columns, [_check(check) for check in ordered], noun="checks")


def _check(check: CheckFigures) -> Row:
    if not check.evaluated:
        return [Cell("no data", "warn", sign="warn"), check.name, check.endpoint, "0", "0", figures.NO_DATA]
    kind, word = ("fail", "failed") if check.failed else ("pass", "passed")
    counts = (figures.count(check.passed), _failed(check.failed), figures.share(check.passed_share))
    return [Cell(word, kind, sign=kind), check.name, check.endpoint, *counts]


def own_metrics(sheet: Sheet, result: RunResult) -> None:
    """The metrics that the code of a scenario or a hook measured."""
    rows: list[Row] = [[metric.name, str(metric.kind), metric.described] for metric in result.own_metrics]
    if rows:
        sheet.heading("Own metrics", needed=60)
        draw_table(sheet, (Column("metric", grows=1), Column("kind"), Column("figures", grows=2)), rows, noun="metrics")


def test_data(sheet: Sheet, result: RunResult) -> None:
    """The rows of each source of test data that were used."""
    if not result.data:
        return
    rows = [
        [
            source.name,
            *(figures.count(number) for number in (source.rows, source.used, source.repeated)),
            figures.NO_DATA if source.used_up_second is None else f"{source.used_up_second + 1} s",
        ]
        for source in result.data
    ]
    sheet.heading("Test data", "rows, warm-up included", 60)
    names = ("rows", "used", "used again", "all used after")
    draw_table(sheet, [Column("source", grows=1), *(Column(name, number=True) for name in names)], rows)


def _when(first: float, last: float) -> str:
    begin, end = figures.clock(first), figures.clock(last)
    return f"at {begin}" if begin == end else f"{begin} to {end}"


def failures(sheet: Sheet, result: RunResult) -> None:
    """Each kind of failure with count, endpoint, message and time span."""
    rows: list[Row] = [
        [
            Cell(figures.count(failure.count), "fail"),
            failure.outcome.value.replace("_", " "),
            failure.endpoint,
            failure.message,
            _when(failure.first_seconds, failure.last_seconds),
        ]
        for failure in sorted(result.failures, key=lambda failure: -failure.count)
    ]
    if rows:
        sheet.heading("Failures by kind", needed=60)
        names = (
            Column("count", number=True),
            Column("kind"),
            Column("endpoint", grows=1),
            Column("message", grows=1.4),
        )
        draw_table(sheet, (*names, Column("when")), rows, 60, "kinds of failure")


def exceptions(sheet: Sheet, result: RunResult) -> None:
    """Each kind of exception that ended iterations of code."""
    rows: list[Row] = [
        [
            Cell(figures.count(group.count), "fail"),
            group.scenario,
            group.message,
            _when(group.first_seconds, group.last_seconds),
        ]
        for group in result.exceptions
    ]
    if rows:
        sheet.heading("Exceptions", needed=60)
        columns = (
            Column("count", number=True),
            Column("scenario", grows=1),
            Column("exception", grows=2),
            Column("when"),
        )
        draw_table(sheet, columns, rows, 60, "kinds of exception")


def blocking(sheet: Sheet, result: RunResult) -> None:
    """Each place in code that blocked the load generator."""
    rows: list[Row] = [
        [figures.count(group.count), group.scenario, group.place, figures.duration(group.seconds)]
        for group in result.blocking
    ]
    if rows:
        sheet.heading("Blocking calls", needed=60)
        first = (Column("count", number=True), Column("scenario", grows=1), Column("place", grows=2))
        draw_table(sheet, (*first, Column("time", number=True)), rows, 60, "places")


def statuses(sheet: Sheet, result: RunResult) -> None:
    """Status codes of the responses."""
    metrics = result.metrics
    completed = metrics.successful_requests + metrics.failed_requests
    counts = [
        (str(status), f"s{status // 100 if status // 100 in (2, 3, 4, 5) else 3}", count)
        for status, count in sorted(metrics.status_code_counts.items())
    ]
    none = completed - sum(metrics.status_code_counts.values())
    if none:
        counts.append(("no response", "s0", none))
    rows: list[Row] = [
        [
            Cell(status, chip=colour),
            Cell("", colour, bar=count / completed),
            figures.count(count),
            figures.share(count / completed),
        ]
        for status, colour, count in counts
    ]
    if rows:
        sheet.heading("Statuses", needed=60)
        names = (Column("responses", number=True), Column("share", number=True))
        draw_table(sheet, (Column("status"), Column("", grows=1), *names), rows, noun="statuses")


def generator(sheet: Sheet, result: RunResult) -> None:
    """The load generator's own figures."""
    metrics, used = result.metrics, result.generator
    connecting = (used.connect_mean_ms, used.tls_mean_ms, used.dns_mean_ms)
    opened = f"{figures.count(used.connections_opened)} opened, {figures.count(used.connections_lost)} lost"
    cpu = figures.percent(used.cpu_share / max(used.cores, 1))
    received, sent = figures.size(metrics.total_bytes_received), figures.size(metrics.total_bytes_sent)
    rows: list[Sequence[str]] = [
        ["schedule lag p99", figures.time(used.schedule_lag_p99_ms)],
        ["stalls", f"{figures.count(used.stalls)}, the longest {figures.time(used.longest_stall_ms)}"],
        ["CPU", f"{cpu} of {figures.counted(used.cores, 'core')}"],
        ["peak memory", figures.size(used.memory_peak_bytes)],
        ["connections", opened],
        ["peak in flight", figures.count(used.max_in_flight)],
        ["TCP connect, TLS, DNS", " · ".join(figures.time(value) for value in connecting)],
        ["bytes in, out", f"{received}, {sent}"],
    ]
    sheet.heading("Load generator", needed=60)
    draw_table(sheet, (Column("", grows=1), Column("", number=True)), rows)


def workers(sheet: Sheet, result: RunResult) -> None:
    """The workers of a run on several of them."""
    if result.fleet is None:
        return
    rows: list[Row] = [
        [
            worker.name,
            worker.host,
            figures.share(worker.share),
            figures.count(worker.requests),
            figures.rate(worker.requests_per_second),
            figures.percent(worker.cpu_share),
            str(worker.measurement) if worker.state == "ended" else worker.state,
            Cell(worker.message, "muted"),
        ]
        for worker in result.fleet.workers
    ]
    sheet.heading("Workers", needed=60)
    numbers = (Column(name, number=True) for name in ("share", "started", "/s", "CPU"))
    columns = (Column("worker", grows=1), Column("host", grows=1), *numbers, Column("measurement"), Column("", grows=1))
    draw_table(sheet, columns, rows, noun="workers")
