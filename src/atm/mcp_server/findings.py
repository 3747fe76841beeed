"""Derive findings from a result, each with a next step, by fixed rules. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from atm.mcp_server import summaries
from atm.mcp_server.answers import Finding
from atm.mcp_server.untrusted_text import cleaned, quoted
from atm.models import figures
from atm.models.endpoint_metrics import EndpointMetrics, NamedEndpointMetrics
from atm.models.outcome import Outcome, RunOutcome
from atm.models.run import Measurement, RunResult

FEW_SAMPLES = 1000
"""Below this, a p99 depends on fewer than ten requests."""
LONG_TAIL = 10.0
"""A p99 above this multiple of p50 is a long tail, not a slow service."""
WAITED = 1.5
"""A response p99 above this multiple of service p99 means that requests waited to be sent."""
BURST_SHARE = 0.2
BURST_LEAST = 5
WORST_FACTOR = 3.0
_NO_RESPONSE = {
    Outcome.CONNECT_ERROR: "nothing listens there, or a firewall blocks it",
    Outcome.DNS_ERROR: "the host name does not resolve",
    Outcome.TLS_ERROR: "the TLS handshake failed: certificate, name or version",
    Outcome.TIMEOUT: "no full response within the timeout",
    Outcome.CONNECTION_CLOSED: "the connection was closed before a response; is the scheme right?",
    Outcome.PROTOCOL_ERROR: "the response is not HTTP; are scheme and port right?",
}
_STATUSES = (
    ((401, 403), "the target rejects the credentials", "check `auth` and headers of the spec with one request"),
    ((404, 405), "URL or method is wrong, or the data is gone", "check URL and method with one request"),
    ((429, 429), "the target limits the rate", "test below its limit, or list 429 in expected_status_codes"),
    ((300, 399), "the target redirects", "test the URL that it redirects to"),
    ((500, 599), "the target fails", "read its log for this time; get_samples shows its responses"),
)


def findings(result: RunResult) -> list[Finding]:
    """Return the findings, most important first."""
    return [
        _verdict(result),
        *_measurement(result),
        *_failures(result),
        *_latency(result),
        *_endpoints(result),
        *_load(result),
    ]


def _verdict(result: RunResult) -> Finding:
    failed = [threshold for threshold in result.thresholds if not threshold.passed]
    what = summaries.verdict(result)
    if result.verdict.outcome is RunOutcome.ERROR:
        return Finding(kind="verdict", severity="bad", what=what, next="fix the cause, then rerun_test")
    if failed or result.verdict.outcome is RunOutcome.FAILED:
        why = "; ".join(summaries.threshold(threshold) for threshold in failed[: summaries.MOST_THRESHOLDS])
        return Finding(kind="verdict", severity="bad", what=what, why=why)
    if any(threshold.is_implied for threshold in result.thresholds):
        p99 = result.metrics.latency_p99_ms
        advice = ""
        if p99 is not None and math.isfinite(p99):
            advice = f'add thresholds, for example ["p99 < {math.ceil(p99 * 1.1)}ms", "error_rate < 1%"]'
        why = "the only threshold is that no request fails: times are not judged"
        return Finding(kind="verdict", severity="note", what=what, why=why, next=advice)
    good = result.verdict.outcome is RunOutcome.PASSED
    return Finding(kind="verdict", severity="good" if good else "warning", what=what)


def _measurement(result: RunResult) -> Iterator[Finding]:
    verdict = result.verdict
    if verdict.measurement is Measurement.VALID:
        what = "the measurement is valid: the load generator was not the limit, so the figures describe the target"
        yield Finding(kind="measurement", severity="good", what=what)
    for reason in verdict.reasons:
        invalid = reason.severity is Measurement.INVALID
        why = "the times reflect the load generator more than the target; do not quote them"
        yield Finding(
            kind="measurement",
            severity="bad" if invalid else "warning",
            what=cleaned(reason.what, 300),
            why=why if invalid else "the load generator may have affected the figures",
            next=reason.hint,
        )


def _failures(result: RunResult) -> Iterator[Finding]:
    metrics = result.metrics
    if not metrics.failed_requests:
        return
    groups = sorted(result.failures, key=lambda group: -group.count)
    share = f"{figures.count(metrics.failed_requests)} of {figures.counted(metrics.total_requests, 'request')} failed"
    if not metrics.status_code_counts and groups:
        outcome = groups[0].outcome
        why = _NO_RESPONSE.get(outcome, "")
        what = f"{share}, and none got a response ({outcome})"
        hint = "check with one request from the API server's machine whether the service is up"
        yield Finding(kind="failures", severity="bad", what=what, why=why, next=hint)
        return
    for group in groups[: summaries.MOST_FAILURES]:
        why, advice = _of_outcome(group.outcome, group.message)
        where = f"{figures.count(group.count)} × {group.outcome} at {summaries.name(group.endpoint)}"
        message = f" ({quoted(group.message, 100)})" if group.message else ""
        severity = "bad" if metrics.error_rate > 0.01 else "warning"
        yield Finding(kind="failures", severity=severity, what=where + message, why=why, next=advice)
    first, last = min(group.first_seconds for group in groups), max(group.last_seconds for group in groups)
    brief = last - first <= BURST_SHARE * metrics.duration_seconds
    if brief and metrics.failed_requests >= BURST_LEAST and metrics.duration_seconds >= 10:
        what = f"all failures occurred between {figures.clock(first)} and {figures.clock(last)} of the run"
        why = "a single event is likely: a restart, a deployment, an exhausted pool"
        yield Finding(kind="failures", severity="note", what=what, why=why, next="read the target's log for that time")


def _of_outcome(outcome: Outcome, message: str) -> tuple[str, str]:
    if outcome is Outcome.UNEXPECTED_STATUS:
        status = next((int(word) for word in message.replace(",", " ").split() if word.isdecimal()), 0)
        for (low, high), why, advice in _STATUSES:
            if low <= status <= high:
                return why, advice
        return "unexpected status", "if it is right, list it in expected_status_codes"
    if outcome is Outcome.CHECK_FAILED:
        return "the status was right but the body was not", "get_samples shows the body"
    if outcome is Outcome.TIMEOUT:
        advice = "reduce the load, or raise `timeout` if such times are acceptable"
        return "no full response within the timeout; percentiles include these requests with the time waited", advice
    return _NO_RESPONSE.get(outcome, ""), "get_samples shows such a request"


def _latency(result: RunResult) -> Iterator[Finding]:
    metrics = result.metrics
    p50, p99, service = metrics.latency_p50_ms, metrics.latency_p99_ms, metrics.service_p99_ms
    completed = metrics.successful_requests + metrics.failed_requests
    if p50 is None or p99 is None:
        return
    if service and p99 > WAITED * service:
        what = f"response time p99 is {figures.time(p99)}, service time p99 only {figures.time(service)}"
        why = "requests waited to be sent: the target was slower than the rate, and a queue grew"
        advice = "the target's capacity is below this rate: halve it until the two times agree"
        yield Finding(kind="latency", severity="warning", what=what, why=why, next=advice)
    if p50 > 0 and p99 > LONG_TAIL * p50:
        what = f"a long tail: p99 {figures.time(p99)} is {figures.multiple(p99 / p50)} the median {figures.time(p50)}"
        why = "most requests are fast and a few are not: locks, garbage collection, cold caches, one slow endpoint"
        yield Finding(kind="latency", severity="note", what=what, why=why, next='get_samples with reason "slowest"')
    if completed < FEW_SAMPLES:
        what = f"p99 is based on {figures.counted(completed, 'request')}"
        why = f"fewer than {max(1, math.ceil(completed / 100) + 1)} of them exceed it, so it varies from run to run"
        advice = "quote p50 and p95, or send more requests"
        yield Finding(kind="latency", severity="note", what=what, why=why, next=advice)


def _endpoints(result: RunResult) -> Iterator[Finding]:
    entries = [entry for entry in result.endpoint_metrics if entry.latency_p99_ms is not None]
    if len(entries) < 2:
        return
    worst = max(entries, key=_p99)
    others = [_p99(entry) for entry in entries if entry is not worst]
    usual = sorted(others)[len(others) // 2]
    if _p99(worst) > WORST_FACTOR * usual:
        what = (
            f"{summaries.name(worst.name)} is slow: p99 {figures.time(_p99(worst))}, "
            f"the others around {figures.time(usual)}"
        )
        yield Finding(kind="endpoint", severity="note", what=what, next="get_test_results with detail=full lists all")
    failed = max(entries, key=lambda entry: entry.failed_requests)
    if failed.failed_requests > 0.8 * result.metrics.failed_requests > 0:
        share = figures.share(failed.failed_requests / result.metrics.failed_requests)
        what = f"{share} of the failures are at {summaries.name(failed.name)}"
        yield Finding(kind="endpoint", severity="note", what=what, next=f"get_samples with endpoint {failed.name!r}")


def _p99(entry: NamedEndpointMetrics) -> float:
    return entry.latency_p99_ms if entry.latency_p99_ms is not None else 0.0


def _load(result: RunResult) -> Iterator[Finding]:
    metrics: EndpointMetrics = result.metrics
    if metrics.missed:
        what = f"{figures.counted(metrics.missed, 'due request')} never sent"
        yield Finding(kind="load", severity="warning", what=what, why="no user was free, or the generator stalled")
    if result.run.model == "closed":
        what = "closed model: users wait for each response, so a slow target lowers the rate"
        advice = "to test a given rate, use requests_per_second"
        yield Finding(kind="load", severity="note", what=what, next=advice)
