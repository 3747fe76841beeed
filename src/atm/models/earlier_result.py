"""Judge results of earlier versions, stored without an outcome, by the current rules.

Works on plain documents, so that storage can migrate its rows without parsing whole results.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atm.models.exit_code import ExitCode
from atm.models.outcome import RunStatus, StopReason, is_answered, passed_of, run_outcome
from atm.models.threshold import IMPLIED, IMPLIED_MESSAGE


def has_thresholds(spec: Mapping[str, Any]) -> bool:
    """Return whether a stored spec has thresholds, for the run or for an endpoint."""
    return any(_rules(part.get("thresholds")) for part in (spec, *(spec.get("endpoints") or ())))


def _rules(thresholds: Any) -> bool:
    if isinstance(thresholds, Mapping):
        return any(value not in (None, [], ()) for value in thresholds.values())
    return bool(thresholds)


def earlier_passed(
    status: RunStatus,
    stop_reason: StopReason | None,
    passed: bool | None,
    metrics: Mapping[str, Any],
    *,
    has_thresholds: bool,
    is_invalid: bool,
) -> bool | None:
    """Compute `passed` by the current rules for a result of an earlier version."""
    completed = metrics["successful_requests"] + metrics["failed_requests"]
    answered = is_answered(metrics["errors_by_type"], completed)
    holds = passed is not False and (has_thresholds or not metrics["failed_requests"])
    return passed_of(status, stop_reason, thresholds_hold=holds, answered=answered, is_invalid=is_invalid)


def earlier_reason(metrics: Mapping[str, Any]) -> str:
    """Return why a run without thresholds has failed by the current rules."""
    completed = metrics["successful_requests"] + metrics["failed_requests"]
    kinds = ", ".join(f"{count:,} × {outcome}" for outcome, count in metrics["errors_by_type"].items())
    return f"{metrics['failed_requests']:,} of {completed:,} requests failed: {kinds}"


def with_outcome(document: dict[str, Any]) -> dict[str, Any]:
    """Return a result document with an outcome; one that has it is unchanged."""
    verdict = document.get("verdict")
    if not isinstance(verdict, dict) or "outcome" in verdict:
        return document
    run, metrics, thresholds = document["run"], document["metrics"], document["thresholds"]
    status = RunStatus(run["status"])
    stop_reason = StopReason(run["stop_reason"]) if run["stop_reason"] else None
    passed = earlier_passed(
        status,
        stop_reason,
        verdict["passed"],
        metrics,
        has_thresholds=bool(thresholds),
        is_invalid=verdict["measurement"] == "invalid",
    )
    failed = passed is False and verdict["exit_code"] == ExitCode.PASSED and not thresholds
    changed = {
        **verdict,
        "passed": passed,
        "outcome": run_outcome(status, stop_reason, passed),
        "exit_code": int(ExitCode.THRESHOLDS_FAILED) if failed else verdict["exit_code"],
    }
    return {**document, "verdict": changed, "thresholds": thresholds or [_implied(metrics)]}


def _implied(metrics: Mapping[str, Any]) -> dict[str, Any]:
    completed = metrics["successful_requests"] + metrics["failed_requests"]
    return {
        "expression": IMPLIED.expression,
        "endpoint": None,
        "actual": metrics["failed_requests"] / completed if completed else None,
        "limit": IMPLIED.limit,
        "unit": "share",
        "passed": bool(completed) and not metrics["failed_requests"],
        "margin": None,
        "message": IMPLIED_MESSAGE if completed else f"no data; {IMPLIED_MESSAGE}",
        "is_implied": True,
    }
