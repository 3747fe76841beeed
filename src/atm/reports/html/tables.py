"""The tables of the page: endpoints, failures, statuses, load generator, sampled requests, timeline and spec."""

from __future__ import annotations

import json
from collections.abc import Sequence

from atm.models import figures
from atm.models.fleet_figures import WorkerFigures
from atm.models.run import NamedEndpointMetrics, RunResult, SampledExchange
from atm.reports.facts import PERCENTILES, doubted
from atm.reports.html.markup import Child, Markup, markup, tag
from atm.reports.html.parts import card, cores, table, time_text, wrapping

MOST_SAMPLES = 20


def endpoints(result: RunResult) -> Markup | None:
    """Endpoints in the order of the spec, each with its colour; None for the steps of scenarios."""
    if not result.endpoint_metrics or result.scenarios:
        return None
    unit = figures.time_unit(result.metrics.latency_p50_ms)
    names = (("endpoint", False), ("requests", True), ("failed", True), ("rate /s", True))
    head = (*names, *((f"{name} {unit}", True) for name, _ in PERCENTILES))
    rows = [_endpoint(result, entry, number, unit) for number, entry in enumerate(result.endpoint_metrics)]
    idle = len(result.endpoints_without_requests)
    note = f"{idle} {'endpoint' if idle == 1 else 'endpoints'} got no request" if idle else ""
    return card("Endpoints", table(head, rows), tag("p", note, class_="warn") if note else None)


def _endpoint(result: RunResult, entry: NamedEndpointMetrics, number: int, unit: str) -> Sequence[Child]:
    return [wrapping(colour_chip(number), entry.name), *request_cells(result, entry, unit)]


def colour_chip(number: int) -> Markup:
    """Build the mark of the endpoint at this place in the spec."""
    return tag("i", class_=f"chip b-{f'e{number + 1}' if number < 8 else 'muted'}")


def request_cells(result: RunResult, entry: NamedEndpointMetrics, unit: str) -> Sequence[Child]:
    """Build the cells of an endpoint's requests: counts, rate and times."""
    failed = tag("td", figures.count(entry.failed_requests), class_="n fail" if entry.failed_requests else "n")
    times = [figures.time_in(getattr(entry, f"latency_{column}_ms"), unit) for _, column in PERCENTILES]
    rate = figures.rate(entry.requests_per_second)
    return [figures.count(entry.total_requests), failed, rate, *(doubted(result, time) for time in times)]


def failures(result: RunResult) -> Markup | None:
    """Each kind of failure with count, endpoint, time span and an example."""
    if not result.failures:
        return None
    head = (("count", True), ("kind", False), ("endpoint", False), ("message", False), ("when", False))
    rows: list[Sequence[Child]] = []
    for failure in sorted(result.failures, key=lambda failure: -failure.count):
        example = tag("pre", failure.example) if failure.example and failure.example != failure.message else None
        first, last = figures.clock(failure.first_seconds), figures.clock(failure.last_seconds)
        when = f"at {first}" if first == last else f"{first} to {last}"
        count = tag("td", figures.count(failure.count), class_="n fail")
        rows.append(
            [count, failure.outcome.value, wrapping(failure.endpoint), wrapping(failure.message, example), when]
        )
    return card("Failures by kind", table(head, rows))


def workers(result: RunResult) -> Markup | None:
    """The workers of a run on several of them."""
    if result.fleet is None:
        return None
    head = (
        ("worker", False),
        ("host", False),
        ("share", True),
        ("started", True),
        ("/s", True),
        ("schedule lag p99", True),
        ("CPU", True),
        ("measurement", False),
    )
    rows: list[Sequence[Child]] = [
        [
            worker.name,
            worker.host,
            figures.share(worker.share),
            figures.count(worker.requests),
            figures.rate(worker.requests_per_second),
            figures.time(worker.schedule_lag_p99_ms),
            figures.percent(worker.cpu_share),
            _judged(worker),
        ]
        for worker in result.fleet.workers
    ]
    return card("Workers", table(head, rows))


def _judged(worker: WorkerFigures) -> str:
    verdict = str(worker.measurement) if worker.state == "ended" else worker.state
    return f"{verdict}: {worker.message}" if worker.message else verdict


def statuses_and_generator(result: RunResult) -> Markup:
    """Status codes of the responses, and the load generator's own figures."""
    metrics, generator = result.metrics, result.generator
    completed = metrics.successful_requests + metrics.failed_requests
    rows: list[Sequence[Child]] = []
    for status, count in sorted(metrics.status_code_counts.items()):
        chip = tag("i", class_=f"chip b-s{status // 100 if status // 100 in (2, 3, 4, 5) else 3}")
        rows.append(
            [markup(chip, str(status)), figures.count(count), figures.share(count / completed if completed else None)]
        )
    none = completed - sum(metrics.status_code_counts.values())
    if none:
        rows.append(
            [markup(tag("i", class_="chip b-s0"), "no response"), figures.count(none), figures.share(none / completed)]
        )
    statuses = (
        card("Statuses", table((("status", False), ("responses", True), ("share", True)), rows)) if rows else None
    )
    facts = (
        ("schedule lag p99", figures.time(generator.schedule_lag_p99_ms)),
        ("stalls", f"{figures.count(generator.stalls)}, the longest {figures.time(generator.longest_stall_ms)}"),
        ("CPU", f"{figures.percent(generator.cpu_share / max(generator.cores, 1))} of {cores(generator.cores)}"),
        ("peak memory", figures.size(generator.memory_peak_bytes)),
        (
            "connections",
            f"{figures.count(generator.connections_opened)} opened, {figures.count(generator.connections_lost)} lost",
        ),
        ("peak in flight", figures.count(generator.max_in_flight)),
        (
            "TCP connect, TLS, DNS",
            " · ".join(
                figures.time(value)
                for value in (generator.connect_mean_ms, generator.tls_mean_ms, generator.dns_mean_ms)
            ),
        ),
        ("bytes in, out", f"{figures.size(metrics.total_bytes_received)}, {figures.size(metrics.total_bytes_sent)}"),
    )
    load_generator = card("Load generator", table((("", False), ("", True)), facts))
    return tag("div", statuses, load_generator, class_="row two")


def samples(result: RunResult) -> Markup | None:
    """Sampled requests in full, collapsed."""
    sampled = [_sample(result, sample) for sample in result.samples[:MOST_SAMPLES]]
    return card("Sampled requests", *sampled) if sampled else None


def _sample(result: RunResult, sample: SampledExchange) -> Markup:
    title = f"#{sample.request_number} {sample.endpoint}: {sample.outcome.value}"
    title += f", {sample.message}" if sample.message else ""
    title += f", {time_text(result, sample.response_ms)} at {figures.clock(sample.at_seconds)} ({sample.reason})"
    request = _message(sample.request_head, sample.request_headers, sample.request_body)
    parts = [tag("pre", request)]
    if sample.response_head is not None:
        parts.append(tag("pre", _message(sample.response_head, sample.response_headers, sample.response_body)))
    return tag("details", tag("summary", title), *parts)


def _message(head: str, headers: Sequence[tuple[str, str]], body: str) -> str:
    return "\n".join([head, *(f"{name}: {value}" for name, value in headers), *(["", body] if body else [])])


def timeline_table(result: RunResult) -> Markup | None:
    """The timeline as a table, collapsed."""
    if not result.timeline:
        return None
    head = tuple(
        (name, name != "phase")
        for name in (
            "time",
            "phase",
            "offered",
            "started",
            "completed",
            "failed",
            "p50",
            "p95",
            "p99",
            "max",
            "in flight",
        )
    )
    rows: list[Sequence[Child]] = [
        [
            figures.clock(point.second),
            point.phase.replace("_", "-"),
            figures.rate(point.offered_rate),
            figures.count(point.started),
            figures.count(point.completed),
            figures.count(point.failed),
            *(figures.time(getattr(point, f"latency_{key}_ms")) for key in ("p50", "p95", "p99", "max")),
            figures.count(point.in_flight),
        ]
        for point in result.timeline
    ]
    return card("Timeline", tag("details", tag("summary", "Show the plots as a table"), table(head, rows)))


def configuration(result: RunResult) -> Markup:
    """Spec and environment, collapsed."""
    spec = json.dumps(result.spec, indent=2, ensure_ascii=False, default=str)
    environment = json.dumps(result.environment, indent=2, ensure_ascii=False, default=str)
    return card(
        "Configuration",
        tag("details", tag("summary", "Spec (secrets masked)"), tag("pre", spec)),
        tag("details", tag("summary", "Environment"), tag("pre", environment)),
    )
