"""Describe why a run did not pass, for lists, notifications and tools. Pure."""

from __future__ import annotations

from atm.models import figures
from atm.models.metric import Metric
from atm.models.outcome import RunOutcome, is_answered
from atm.models.run import Measurement, RunResult, ThresholdResult

MOST_KINDS = 3


def failure_reasons(result: RunResult) -> tuple[str, ...]:
    """Return a sentence for each failed threshold, for a target that never responded, and for an invalid measurement.

    The error that ended a run is not included.
    """
    reasons: list[str] = []
    metrics = result.metrics
    answered = is_answered(metrics.errors_by_type, metrics.successful_requests + metrics.failed_requests)
    if not answered:
        reasons.append(f"no request got a response: {_kinds(result)}")
    for threshold in result.thresholds:
        if threshold.passed or (threshold.is_implied and not answered):
            continue
        reasons.append(_implied(threshold, result) if threshold.is_implied else _missed(threshold))
    if result.verdict.outcome is RunOutcome.INVALID:
        invalid = [reason.what for reason in result.verdict.reasons if reason.severity is Measurement.INVALID]
        reasons.append("; ".join(["the measurement is invalid", *invalid[:1]]))
    return tuple(reasons)


def _implied(threshold: ThresholdResult, result: RunResult) -> str:
    metrics = result.metrics
    if threshold.metric is Metric.ITERATION_ERROR_RATE:
        return _exceptions(result)
    if threshold.actual is None:
        return "no request was completed"
    completed = metrics.successful_requests + metrics.failed_requests
    share = f"{figures.count(metrics.failed_requests)} of {figures.counted(completed, 'request')} failed"
    return f"{share}: {_kinds(result)}" if result.failures else share


def _exceptions(result: RunResult) -> str:
    failed = sum(scenario.failed for scenario in result.scenarios)
    ended = failed + sum(scenario.completed for scenario in result.scenarios)
    text = f"{figures.count(failed)} of {figures.count(ended)} iterations failed"
    messages = [f"{figures.count(group.count)} × {group.message}" for group in result.exceptions[:MOST_KINDS]]
    return f"{text}: {', '.join(messages)}" if messages else text


def _kinds(result: RunResult) -> str:
    groups = sorted(result.failures, key=lambda group: -group.count)
    kinds = [
        f"{figures.count(group.count)} × {group.outcome}" + (f" ({group.message})" if group.message else "")
        for group in groups[:MOST_KINDS]
    ]
    if len(groups) > MOST_KINDS:
        kinds.append(f"{len(groups) - MOST_KINDS} more kinds")
    return ", ".join(kinds)


def _missed(threshold: ThresholdResult) -> str:
    where = f" ({threshold.endpoint})" if threshold.endpoint else ""
    actual = "no data" if threshold.actual is None else f"actual {threshold.measured}"
    return f"{threshold.expression}{where}: {actual}"
