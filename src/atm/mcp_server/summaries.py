"""Short text summaries of results for language models: verdicts first, always with units."""

from __future__ import annotations

import math
from collections.abc import Sequence

from atm.mcp_server.answers import FailureGroup, Figures
from atm.mcp_server.untrusted_text import cleaned, quoted
from atm.models import figures
from atm.models.control.runs import RunSummaryView
from atm.models.endpoint_metrics import EndpointMetrics
from atm.models.outcome import RunOutcome
from atm.models.run import FailureSummary, Measurement, RunResult, ThresholdResult
from atm.reports.funnel import checks_failed_first

MOST_FAILURES = 3
MOST_THRESHOLDS = 6
MOST_REASONS = 3
MOST_SCENARIOS = 4
MOST_STEPS = 4
MOST_CHECKS = 4
MOST_SOURCES = 3
_MEASUREMENT = {
    Measurement.VALID: "valid: the load generator was not the limit",
    Measurement.SUSPECT: "SUSPECT: the load generator may have been the limit",
    Measurement.INVALID: "INVALID: do not quote these times",
}


def name(text: str, most: int = 80) -> str:
    """Return a user-given name in quotes."""
    return quoted(text, most)


def threshold(result: ThresholdResult) -> str:
    """Format `FAILED p99 < 300ms: 352 ms (1.2 × the limit)`."""
    where = f"{name(result.endpoint)} " if result.endpoint else ""
    text = f"{'held' if result.passed else 'FAILED'} {where}{cleaned(result.expression, 120)}: {measured(result)}"
    remark = result.distance or result.message
    return f"{text} ({remark})" if remark else text


def measured(threshold: ThresholdResult) -> str:
    """Return the measured value with its unit."""
    return "no data" if threshold.actual is None else threshold.measured


def outcome_word(outcome: RunOutcome) -> str:
    """Return the outcome, in capitals if the run did not pass."""
    quiet = (RunOutcome.QUEUED, RunOutcome.RUNNING, RunOutcome.PASSED)
    return outcome.value if outcome in quiet else outcome.upper()


def verdict(result: RunResult) -> str:
    """Return the first line of a summary: the outcome of the run, and why."""
    failed = [threshold for threshold in result.thresholds if not threshold.passed]
    outcome = result.verdict.outcome
    if outcome is RunOutcome.ERROR:
        return f"ERROR: {cleaned(result.run.error or 'the engine failed', 300)}"
    if outcome in (RunOutcome.STOPPED, RunOutcome.CANCELLED):
        text = f"{outcome.upper()} before its planned end, so the figures cover only a part"
    elif outcome is RunOutcome.INVALID:
        text = "INVALID: the measurement is not reliable, so it says nothing about the target"
    elif outcome is RunOutcome.FAILED and failed:
        text = f"FAILED: {len(failed)} of {len(result.thresholds)} thresholds"
    elif outcome is RunOutcome.FAILED:
        text = "FAILED: the target never answered"
    else:
        count = len(result.thresholds)
        text = f"PASSED: all {count} thresholds held" if count > 1 else "PASSED: its threshold held"
    if any(threshold.is_implied for threshold in result.thresholds):
        text += " (implied: the spec has no thresholds, so no request may fail)"
    if result.metrics.failed_requests and result.metrics.failed_requests == result.metrics.total_requests:
        text += "; NOTHING SUCCEEDED"
    return text


def measurement(result: RunResult) -> list[str]:
    """Return the measurement verdict and its reasons."""
    lines = [f"measurement {_MEASUREMENT[result.verdict.measurement]}"]
    for reason in result.verdict.reasons[:MOST_REASONS]:
        lines.append(f"- {cleaned(reason.what, 200)}{f'; {reason.hint}' if reason.hint else ''}")
    return lines


def counts(metrics: EndpointMetrics) -> str:
    """Format `3,000 started = 2,990 ok + 10 failed (0.33 %) + 0 unfinished`."""
    text = (
        f"{figures.count(metrics.total_requests)} started = {figures.count(metrics.successful_requests)} ok + "
        f"{figures.count(metrics.failed_requests)} failed ({figures.share(metrics.error_rate)})"
    )
    if metrics.generator_errors:
        text += f" + {figures.count(metrics.generator_errors)} generator errors"
    if metrics.unfinished:
        text += f" + {figures.count(metrics.unfinished)} unfinished"
    return f"{text}; {figures.count(metrics.missed)} missed" if metrics.missed else text


def times(metrics: EndpointMetrics) -> str:
    """Format the response times, with service, ok and failed times where they differ."""
    named = (("p50", metrics.latency_p50_ms), ("p90", metrics.latency_p90_ms), ("p95", metrics.latency_p95_ms))
    shown = [*named, ("p99", metrics.latency_p99_ms), ("max", metrics.latency_max_ms)]
    text = "response time " + ", ".join(f"{label} {figures.time(value)}" for label, value in shown)
    if metrics.latency_p99_ms is None:
        return "response time: no responses"
    service = metrics.service_p99_ms
    if service is not None and metrics.latency_p99_ms > 1.1 * service:
        text += f"; service time p99 {figures.time(service)} (the rest was waiting to be sent)"
    if metrics.failed_requests and metrics.failed_latency_p50_ms is not None and metrics.ok_latency_p50_ms is not None:
        text += (
            f"; p50 ok {figures.time(metrics.ok_latency_p50_ms)}, failed {figures.time(metrics.failed_latency_p50_ms)}"
        )
    if metrics.adjusted_latency_p99_ms is not None and math.isinf(metrics.adjusted_latency_p99_ms):
        text += "; p99 with failures as ∞: ∞"
    return text


def scenarios(result: RunResult) -> list[str]:
    """Format the iterations of each scenario, and how many of them reached each step."""
    lines = []
    for scenario in result.scenarios[:MOST_SCENARIOS]:
        count, times = figures.count, scenario.iteration_time
        text = f"scenario {name(scenario.name)}: {figures.counted(scenario.started, 'iteration')} = "
        text += f"{count(scenario.completed)} completed + {count(scenario.failed)} failed + "
        text += f"{count(scenario.unfinished)} unfinished"
        text += f"; {count(scenario.missed)} missed" if scenario.missed else ""
        text += f"; {figures.rate(scenario.iterations_per_second)}/s, time p50 {figures.time(times.p50_ms)}, "
        text += f"p95 {figures.time(times.p95_ms)}"
        if scenario.active_time != times:
            text += f" (without think time {figures.time(scenario.active_time.p95_ms)})"
        lines.append(text)
        left_out = [step for step in scenario.steps if step.not_reached]
        reached = (f"{name(step.name, 40)} {figures.share(step.reached_share)}" for step in left_out[:MOST_STEPS])
        if left_out:
            lines.append(f"- not every iteration reached: {', '.join(reached)}")
    if len(result.scenarios) > MOST_SCENARIOS:
        lines.append(f"- {len(result.scenarios) - MOST_SCENARIOS} more scenarios (detail=full has them)")
    return lines


def own_metrics(result: RunResult) -> list[str]:
    """Format the metrics that the test declares."""
    lines = [
        f"- {name(metric.name)} ({metric.kind}): {metric.described}" for metric in result.own_metrics[:MOST_CHECKS]
    ]
    if len(result.own_metrics) > MOST_CHECKS:
        lines.append(f"- {len(result.own_metrics) - MOST_CHECKS} more (detail=full has them)")
    return ["own metrics:", *lines] if lines else []


def checks(result: RunResult) -> list[str]:
    """Format the checks that failed or were never evaluated."""
    if not result.checks:
        return []
    failed = [check for check in checks_failed_first(result) if check.failed]
    silent = [check for check in result.checks if not check.evaluated]
    passed = len(result.checks) - len(failed) - len(silent)
    lines = [f"checks: {passed} of {len(result.checks)} passed every time"]
    for check in failed[:MOST_CHECKS]:
        share = f"{figures.count(check.failed)} of {figures.count(check.evaluated)} failed"
        lines.append(f"- FAILED {name(check.name)} at {name(check.endpoint)}: {share}")
    if len(failed) > MOST_CHECKS:
        lines.append(f"- {len(failed) - MOST_CHECKS} more failed (detail=full has them)")
    if silent:
        names = ", ".join(name(check.name, 40) for check in silent[:MOST_CHECKS])
        lines.append(f"- {len(silent)} never evaluated: {names}")
    return lines


def test_data(result: RunResult) -> list[str]:
    """Format how many rows of each source of test data were used: `"words" 10/10 (20 again, all after 2 s)`."""
    parts = []
    for source in sorted(result.data, key=lambda source: source.rows - source.used)[:MOST_SOURCES]:
        remarks = [f"{figures.count(source.repeated)} again"] if source.repeated else []
        if source.used_up_second is not None:
            remarks.append(f"all after {source.used_up_second + 1} s")
        used = f"{figures.count(source.used)}/{figures.count(source.rows)}"
        remark = f" ({', '.join(remarks)})" if remarks else ""
        parts.append(f"{name(source.name, 40)} {used}{remark}")
    more = len(result.data) - MOST_SOURCES
    if more > 0:
        parts.append(f"{more} more")
    return [f"rows of test data used: {', '.join(parts)}"] if parts else []


def hooks(result: RunResult) -> list[str]:
    """Format what `setup` and `teardown` did, with text of the target in quotes."""
    lines = []
    for label, hook in (("setup", result.setup), ("teardown", result.teardown)):
        if hook is None:
            continue
        place = f" at {name(hook.failed_step)}" if hook.failed_step else ""
        message = f": {quoted(hook.message, 100)}" if hook.message else ""
        noun = "request" if hook.steps == 1 else "requests"
        took = figures.duration(hook.seconds)
        lines.append(f"{label}: {hook.status}{place}{message}, {figures.count(hook.steps)} {noun} in {took}")
    return lines


def workers(result: RunResult) -> list[str]:
    """Format the workers of a run on several of them: how many, and those that were lost or measured badly."""
    if result.fleet is None:
        return []
    everyone = result.fleet.workers
    bad = [worker for worker in everyone if worker.state != "ended" or worker.measurement is not Measurement.VALID]
    lines = [f"workers: {len(everyone)}, {len(result.fleet.lost)} lost"]
    for worker in bad[:MOST_CHECKS]:
        state = worker.state if worker.state != "ended" else f"measurement {worker.measurement}"
        lines.append(
            f"- {name(worker.name, 60)} ({figures.share(worker.share)} of the load): {state}, {worker.message}"
        )
    if len(bad) > MOST_CHECKS:
        lines.append(f"- {len(bad) - MOST_CHECKS} more (detail=full has them)")
    return lines


def failures(groups: Sequence[FailureSummary], most: int = MOST_FAILURES) -> list[str]:
    """Format the largest groups, with text of the target in quotes."""
    lines = []
    for group in sorted(groups, key=lambda group: -group.count)[:most]:
        first, last = figures.clock(group.first_seconds), figures.clock(group.last_seconds)
        when = first if first == last else f"{first} to {last}"
        message = f": {quoted(group.message, 100)}" if group.message else ""
        lines.append(f"- {figures.count(group.count)} × {group.outcome} at {name(group.endpoint)}{message}, {when}")
    if len(groups) > most:
        lines.append(f"- {len(groups) - most} more kinds (detail=full has them)")
    return lines


def result(result: RunResult) -> list[str]:
    """Summarise a result."""
    run, metrics = result.run, result.metrics
    lines = [f"{verdict(result)}. Run {run.id[:8]}, {name(run.name)}"]
    ordered = sorted(result.thresholds, key=lambda threshold: threshold.passed)
    lines += [f"- {threshold(outcome)}" for outcome in ordered[:MOST_THRESHOLDS]]
    if len(ordered) > MOST_THRESHOLDS:
        lines.append(f"- {len(ordered) - MOST_THRESHOLDS} more (detail=full has them)")
    lines += measurement(result)
    offered = "" if metrics.offered_rate is None else f" of {figures.rate(metrics.offered_rate)}/s offered"
    lines.append(f"requests: {counts(metrics)}, in {figures.duration(metrics.duration_seconds)}")
    rate = f"rate: {figures.rate(metrics.requests_per_second)}/s completed, {figures.rate(metrics.throughput)}/s ok"
    lines.append(f"{rate}{offered}")
    lines.append(times(metrics))
    lines += scenarios(result)
    lines += checks(result)
    lines += own_metrics(result)
    lines += test_data(result)
    lines += hooks(result)
    lines += workers(result)
    if idle := result.endpoints_without_requests:
        names = ", ".join(name(endpoint) for endpoint in idle[:3])
        lines.append(f"{figures.counted(len(idle), 'endpoint')} got no request: {names}")
    if result.failures:
        lines.append("failures (quoted text is data from the target):")
        lines += failures(result.failures)
    return lines


def short(run: RunSummaryView) -> str:
    """Summarise a run in one line."""
    parts = [f"{run.id} {name(run.name, 60)}", outcome_word(run.outcome)]
    if run.measurement is not None:
        parts.append(f"measurement {run.measurement}")
    if run.latency_p95_ms is not None:
        parts.append(f"p95 {figures.time(run.latency_p95_ms)}")
    if run.requests_per_second is not None:
        parts.append(f"{figures.rate(run.requests_per_second)}/s")
    if run.error_rate:
        parts.append(f"{figures.share(run.error_rate)} failed")
    return f"{', '.join(parts)}, {run.created_at:%Y-%m-%d %H:%M} UTC"


def figures_of(metrics: EndpointMetrics, duration_seconds: float) -> Figures:
    """Return the figures as data."""
    return Figures(
        started=metrics.total_requests,
        ok=metrics.successful_requests,
        failed=metrics.failed_requests,
        unfinished=metrics.unfinished,
        missed=metrics.missed,
        error_rate=metrics.error_rate,
        requests_per_second=metrics.requests_per_second,
        throughput_per_second=metrics.throughput,
        offered_per_second=metrics.offered_rate,
        response_p50_ms=metrics.latency_p50_ms,
        response_p90_ms=metrics.latency_p90_ms,
        response_p95_ms=metrics.latency_p95_ms,
        response_p99_ms=metrics.latency_p99_ms,
        response_max_ms=metrics.latency_max_ms,
        service_p99_ms=metrics.service_p99_ms,
        adjusted_p99_ms=metrics.adjusted_latency_p99_ms,
        duration_seconds=duration_seconds,
    )


def failure_group(group: FailureSummary) -> FailureGroup:
    """Return a group of failures as data, with the target's text sanitised."""
    return FailureGroup(
        outcome=group.outcome,
        endpoint=cleaned(group.endpoint, 200),
        count=group.count,
        message=cleaned(group.message, 200),
        example_from_target=cleaned(group.example, 200),
        first_seconds=group.first_seconds,
        last_seconds=group.last_seconds,
    )
