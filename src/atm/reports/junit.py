"""The verdicts as JUnit XML, for CI servers that show test results.

One suite per run, with a case per threshold (`<failure>` has the measured value), one per endpoint (failed only if no
response was as expected: single failures are for `error_rate` thresholds), one per check (failed if no evaluation
passed: single failures are for thresholds on the check), one each for `setup` and `teardown` (failed if a step failed)
and one for the measurement (failed if invalid).
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from atm.dataclass import dataclass
from atm.models import figures
from atm.models.endpoint_metrics import NamedEndpointMetrics
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import RunOutcome
from atm.models.run import Measurement, RunResult, ThresholdResult
from atm.models.run_figures import CheckFigures, HookFigures
from atm.models.sanitize import printable


@dataclass(frozen=True, slots=True)
class NotRun:
    """A test of a batch without a result."""

    name: str
    problem: str = ""
    """Why it could not be carried out; empty for one that was skipped."""


def render_junit(result: RunResult) -> str:
    """Return the document of one run, UTF-8."""
    return render_suites([result])


def render_suites(results: Sequence[RunResult | NotRun]) -> str:
    """Return the document of several tests, with a suite for each, UTF-8."""
    suites = Element("testsuites", name="atm")
    for result in results:
        suite = SubElement(
            suites, "testsuite", name=_text(result.name if isinstance(result, NotRun) else result.run.name)
        )
        if isinstance(result, NotRun):
            _not_run(suite, result)
        else:
            _run(suite, result)
        _count(suite)
    _count(suites)
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _count(parent: Element) -> None:
    parent.set("tests", str(len(parent.findall(".//testcase"))))
    for name, tag in (("failures", "failure"), ("skipped", "skipped"), ("errors", "error")):
        parent.set(name, str(len(parent.findall(f".//testcase/{tag}"))))


def _not_run(suite: Element, test: NotRun) -> None:
    case = _case(suite, test.name, "run", "the test runs")
    if test.problem:
        _failed(case, "error", test.problem)
    else:
        SubElement(case, "skipped", message="the batch was stopped before it")


def _run(suite: Element, result: RunResult) -> None:
    run = result.run
    suite.set("time", f"{result.metrics.duration_seconds:.3f}")
    if run.started_at:
        suite.set("timestamp", run.started_at.strftime("%Y-%m-%dT%H:%M:%S"))
    if run.error:
        _failed(_case(suite, run.name, "run", "the run ends as planned"), "error", run.error)
    _hook(suite, run.name, "setup", result.setup)
    for threshold in result.thresholds:
        _threshold(suite, run.name, threshold)
    _outcome(suite, result)
    for entry in result.endpoint_metrics:
        _endpoint(suite, result, entry)
    for check in result.checks:
        _check(suite, result.run.name, check)
    for scenario in result.scenarios:
        _exceptions(suite, result, scenario.name)
    _hook(suite, run.name, "teardown", result.teardown)
    _measurement(suite, result)


def _case(suite: Element, run: str, kind: str, name: str) -> Element:
    return SubElement(suite, "testcase", classname=_text(f"{run}.{kind}"), name=_text(name))


def _failed(case: Element, tag: str, message: str, detail: str = "") -> None:
    SubElement(case, tag, message=_text(message)).text = _text(detail or message)


def _threshold(suite: Element, run: str, threshold: ThresholdResult) -> None:
    case = _case(suite, run, "thresholds", threshold.expression)
    actual = measured(threshold)
    if threshold.passed:
        SubElement(case, "system-out").text = _text(f"measured {actual}")
        return
    message = f"{threshold.expression}: measured {actual}"
    _failed(case, "failure", message, f"{message}\n{threshold.message}" if threshold.message else message)


def measured(threshold: ThresholdResult) -> str:
    """Return the measured value with its unit."""
    return "no data" if threshold.actual is None else threshold.measured


def _endpoint(suite: Element, result: RunResult, entry: NamedEndpointMetrics) -> None:
    case = _case(suite, result.run.name, "endpoints", f"{entry.name} answers as expected")
    if not entry.total_requests:
        SubElement(case, "skipped", message="no request was sent to this endpoint")
        return
    counts = f"{figures.count(entry.successful_requests)} of {figures.counted(entry.total_requests, 'request')} ok"
    if entry.successful_requests:
        SubElement(case, "system-out").text = _text(counts)
        return
    causes = [
        f"{figures.count(failure.count)} × {failure.outcome}: {failure.message}"
        for failure in result.failures
        if failure.endpoint == entry.name
    ]
    _failed(case, "failure", counts, "\n".join([counts, *causes]))


def _check(suite: Element, run: str, check: CheckFigures) -> None:
    case = _case(suite, run, "checks", f"{check.endpoint}: {check.name}")
    if not check.evaluated:
        SubElement(case, "skipped", message="the check was never evaluated")
        return
    counts = f"{figures.count(check.passed)} of {figures.count(check.evaluated)} evaluations passed"
    if check.passed:
        SubElement(case, "system-out").text = _text(counts)
    else:
        _failed(case, "failure", counts)


def _exceptions(suite: Element, result: RunResult, scenario: str) -> None:
    """Add a failed case for a scenario in code whose iterations ended by exceptions."""
    raised = [group for group in result.exceptions if group.scenario == scenario]
    if raised:
        count = figures.count(sum(group.count for group in raised))
        detail = "\n".join(f"{figures.count(group.count)} × {group.message}\n{group.traceback}" for group in raised)
        case = _case(suite, result.run.name, "exceptions", f"{scenario} raises no exception")
        _failed(case, "failure", f"{count} iterations ended by an exception", detail)


def _hook(suite: Element, run: str, name: str, hook: HookFigures | None) -> None:
    if hook is None:
        return
    case = _case(suite, run, name, f"{name} succeeds")
    if hook.status == "failed":
        _failed(case, "failure", hook.described, f"{hook.described}\n{hook.hint}" if hook.hint else "")
    elif hook.status == "passed":
        SubElement(case, "system-out").text = _text(hook.described)
    else:
        SubElement(case, "skipped", message=_text(hook.described))


def _outcome(suite: Element, result: RunResult) -> None:
    """Add a case for a run that did not pass for another reason than a threshold: ended early, or no response."""
    outcome = result.verdict.outcome
    if outcome in (RunOutcome.STOPPED, RunOutcome.CANCELLED):
        case = _case(suite, result.run.name, "run", "the run ends as planned")
        _failed(case, "failure", f"the run was {outcome}")
    elif outcome is RunOutcome.FAILED and all(threshold.passed for threshold in result.thresholds):
        case = _case(suite, result.run.name, "run", "the target answers")
        _failed(case, "failure", "; ".join(failure_reasons(result)))


def _measurement(suite: Element, result: RunResult) -> None:
    verdict = result.verdict
    case = _case(suite, result.run.name, "measurement", "the load generator was not the limit")
    reasons = "\n".join(f"{reason.severity}: {reason.what}; {reason.hint}" for reason in verdict.reasons)
    if verdict.measurement == Measurement.INVALID:
        _failed(case, "failure", "the measurement is invalid", reasons)
    else:
        SubElement(case, "system-out").text = _text(reasons or "valid")


def _text(text: str) -> str:
    return printable(text, layout=True)
