"""One word for a run, and what an earlier version stored is judged by the same rule."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from atm.models.earlier_result import has_thresholds
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import Outcome, RunOutcome, RunStatus, StopReason, passed_of, run_outcome
from atm.models.run import RunResult
from atm.models.schedule import FiringOutcome
from tests.cli import results

VOCABULARY = Path(__file__).parents[2] / "docs" / "reference" / "run-outcomes.json"


def test_the_vocabulary_has_every_outcome_and_what_passed_is_beside_it() -> None:
    entries = json.loads(VOCABULARY.read_text(encoding="utf-8"))["outcomes"]
    assert [entry["outcome"] for entry in entries] == [outcome.value for outcome in RunOutcome]
    for entry in entries:
        assert entry["passed"] is {"passed": True, "failed": False}.get(entry["outcome"])


def test_every_outcome_of_a_run_that_has_ended_is_one_of_its_firing() -> None:
    ended = set(RunOutcome) - {RunOutcome.QUEUED, RunOutcome.RUNNING}
    assert {outcome.value for outcome in ended} < {outcome.value for outcome in FiringOutcome}


def test_only_a_whole_run_with_a_measurement_that_can_be_believed_passes() -> None:
    cases = itertools.product(RunStatus, [*StopReason, None], (True, False), (True, False), (True, False))
    for status, reason, holds, answered, is_invalid in cases:
        passed = passed_of(status, reason, thresholds_hold=holds, answered=answered, is_invalid=is_invalid)
        whole = status is RunStatus.COMPLETED and reason not in (StopReason.STOPPED, StopReason.CANCELLED)
        outcome = run_outcome(status, reason, passed)
        assert (outcome is RunOutcome.PASSED) == (whole and holds and answered and not is_invalid)
        assert (passed is True, passed is False) == (outcome is RunOutcome.PASSED, outcome is RunOutcome.FAILED)
        if whole and not answered:
            assert outcome is RunOutcome.FAILED


@pytest.mark.parametrize(
    ("status", "reason", "passed", "word"),
    [
        (RunStatus.PENDING, None, None, "queued"),
        (RunStatus.RUNNING, None, None, "running"),
        (RunStatus.COMPLETED, StopReason.DURATION, True, "passed"),
        (RunStatus.COMPLETED, StopReason.THRESHOLD, False, "failed"),
        (RunStatus.COMPLETED, StopReason.TOTAL, None, "invalid"),
        (RunStatus.COMPLETED, StopReason.STOPPED, None, "stopped"),
        (RunStatus.CANCELLED, StopReason.CANCELLED, None, "cancelled"),
        (RunStatus.CANCELLED, None, None, "cancelled"),
        (RunStatus.FAILED, StopReason.FAILED, None, "error"),
    ],
)
def test_the_word_for_a_run(status: RunStatus, reason: StopReason | None, passed: bool | None, word: str) -> None:
    assert run_outcome(status, reason, passed) == word


def stored_before(result: RunResult, *, thresholds: bool, passed: bool | None) -> dict[str, Any]:
    """The document as an earlier version wrote it."""
    document: dict[str, Any] = json.loads(result.model_dump_json())
    document["verdict"] = {"passed": passed, "measurement": "valid", "reasons": [], "exit_code": 0}
    document["thresholds"] = [
        {name: value for name, value in each.items() if name != "is_implied"}
        for each in (document["thresholds"] if thresholds else [])
    ]
    return document


def dead() -> RunResult:
    nothing = {"total_requests": 10, "successful_requests": 0, "failed_requests": 10, "unfinished": 0}
    metrics = results.metrics(**nothing, errors_by_type={Outcome.CONNECT_ERROR: 10}, status_code_counts={})
    refused = results.failures()[0].model_copy(
        update={"outcome": Outcome.CONNECT_ERROR, "message": "connection refused", "count": 10}
    )
    return results.result(metrics=metrics, failures=[refused], thresholds=[])


def test_a_stored_run_without_thresholds_whose_requests_failed_is_shown_as_failed() -> None:
    read = RunResult.model_validate(stored_before(results.result(), thresholds=False, passed=True))
    assert (read.verdict.outcome, read.verdict.passed, read.verdict.exit_code) == (RunOutcome.FAILED, False, 99)
    [implied] = read.thresholds
    assert (implied.is_implied, implied.passed) == (True, False)
    [reason] = failure_reasons(read)
    assert reason.startswith("38 of 30,000 requests failed: 26 × unexpected_status (503, expected 201)")


def test_a_stored_run_of_a_dead_target_is_shown_as_failed_whatever_held() -> None:
    document = stored_before(dead(), thresholds=False, passed=True)
    read = RunResult.model_validate(document)
    assert read.verdict.outcome is RunOutcome.FAILED
    assert failure_reasons(read) == ("no request got a response: 10 × connect_error (connection refused)",)


def test_a_stored_run_that_was_stopped_is_shown_as_stopped() -> None:
    document = stored_before(results.result(), thresholds=True, passed=True)
    document["run"]["stop_reason"] = "stopped"
    verdict = RunResult.model_validate(document).verdict
    assert (verdict.outcome, verdict.passed) == (RunOutcome.STOPPED, None)


def test_a_stored_run_that_passed_by_its_thresholds_stays_so() -> None:
    document = stored_before(results.result(), thresholds=True, passed=True)
    assert RunResult.model_validate(document).verdict.outcome is RunOutcome.PASSED
    again = json.loads(RunResult.model_validate(document).model_dump_json())
    assert RunResult.model_validate(again).verdict.outcome is RunOutcome.PASSED


@pytest.mark.parametrize(
    ("spec", "has"),
    [
        ({}, False),
        ({"thresholds": None}, False),
        ({"thresholds": []}, False),
        ({"thresholds": {"expressions": []}}, False),
        ({"thresholds": {"max_error_rate": 0}}, True),
        ({"thresholds": "p99 < 1s"}, True),
        ({"endpoints": [{"url": "x"}, {"thresholds": ["p99 < 1s"]}]}, True),
    ],
)
def test_whether_a_stored_spec_has_thresholds(spec: dict[str, Any], has: bool) -> None:
    assert has_thresholds(spec) is has
