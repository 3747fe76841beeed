"""Output for GitHub Actions: an `::error` per failed threshold, and a Markdown step summary."""

from __future__ import annotations

from atm.models import figures
from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import RunOutcome
from atm.models.run import Measurement, RunResult
from atm.models.sanitize import printable
from atm.reports.funnel import checks_failed_first
from atm.reports.junit import measured

_SIGNS = {RunOutcome.PASSED: "✓", RunOutcome.INVALID: "!", RunOutcome.STOPPED: "■", RunOutcome.CANCELLED: "■"}


def workflow_commands(result: RunResult) -> str:
    """Return workflow commands, one per line; empty if there is nothing to report."""
    lines = []
    title = _property(f"atm: {result.run.name}")
    if result.run.error:
        lines.append(f"::error title={title}::{_data(result.run.error)}")
    for threshold in result.thresholds:
        if not threshold.passed:
            message = f"threshold failed: {threshold.expression}, measured {measured(threshold)}"
            message += f" ({threshold.message})" if threshold.message else ""
            lines.append(f"::error title={title}::{_data(message)}")
    if result.verdict.outcome is RunOutcome.FAILED and all(threshold.passed for threshold in result.thresholds):
        lines.append(f"::error title={title}::{_data('; '.join(failure_reasons(result)))}")
    if result.verdict.measurement != Measurement.VALID:
        level = "error" if result.verdict.measurement == Measurement.INVALID else "warning"
        what = "; ".join(reason.what for reason in result.verdict.reasons)
        lines.append(f"::{level} title={title}::{_data(f'measurement {result.verdict.measurement}: {what}')}")
    return "".join(f"{line}\n" for line in lines)


def step_summary(result: RunResult) -> str:
    """Return Markdown for `$GITHUB_STEP_SUMMARY`: verdicts first, then scenarios and endpoints, then failed checks."""
    metrics, verdict = result.metrics, result.verdict
    outcome = verdict.outcome
    lines = [f"## {_SIGNS.get(outcome, '✗')} {_cell(result.run.name)}: {outcome}", ""]
    if result.thresholds:
        lines += ["| | threshold | measured | |", "|---|---|---:|---|"]
        for threshold in result.thresholds:
            sign = "✓ holds" if threshold.passed else "✗ failed"
            row = (sign, threshold.expression, measured(threshold), threshold.message)
            lines.append(f"| {' | '.join(_cell(cell) for cell in row)} |")
        lines.append("")
    for name, hook in (("Setup", result.setup), ("Teardown", result.teardown)):
        if hook is not None:
            lines += [f"{name} **{hook.status}**{_cell(hook.described.removeprefix(hook.status))}", ""]
    lines.append(
        f"Measurement **{verdict.measurement}**" + "".join(f"; {_cell(reason.what)}" for reason in verdict.reasons)
    )
    rate = figures.rate(metrics.requests_per_second)
    requests = figures.counted(metrics.total_requests, "request")
    lines += [
        "",
        f"{requests} in {figures.duration(metrics.duration_seconds)}, {rate} /s",
    ]
    lines += _scenarios(result)
    lines += ["", "| endpoint | requests | failed | p50 | p95 | p99 |", "|---|---:|---:|---:|---:|---:|"]
    entries = [(entry.name, entry) for entry in result.endpoint_metrics]
    for name, entry in [*entries, ("**total**", metrics)] if len(entries) > 1 else entries:
        times = (entry.latency_p50_ms, entry.latency_p95_ms, entry.latency_p99_ms)
        counts = (figures.count(entry.total_requests), figures.count(entry.failed_requests))
        shown = name if name == "**total**" else _cell(name)
        lines.append(f"| {shown} | {' | '.join((*counts, *map(figures.time, times)))} |")
    lines += _checks(result)
    lines += _exceptions(result)
    return "\n".join(lines) + "\n\n"


def _scenarios(result: RunResult) -> list[str]:
    """Return a table of iterations, with the share of them that reached the last step."""
    if not result.scenarios:
        return []
    head = "| scenario | iterations | failed | /s | p50 | p95 | p99 | reached the last step |"
    lines = ["", head, "|---|---:|---:|---:|---:|---:|---:|---:|"]
    for scenario in result.scenarios:
        times = scenario.iteration_time
        cells = (
            _cell(scenario.name),
            figures.count(scenario.started),
            figures.count(scenario.failed),
            figures.rate(scenario.iterations_per_second),
            *(figures.time(value) for value in (times.p50_ms, times.p95_ms, times.p99_ms)),
            figures.share(scenario.steps[-1].reached_share) if scenario.steps else figures.NO_DATA,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _checks(result: RunResult) -> list[str]:
    """Return a table of the checks that failed or were never evaluated, and how many passed."""
    if not result.checks:
        return []
    noted = [check for check in checks_failed_first(result) if check.failed or not check.evaluated]
    passed = len(result.checks) - len(noted)
    lines = ["", f"{passed} of {len(result.checks)} checks passed every time"]
    if noted:
        lines += ["", "| check | step | passed | failed | share |", "|---|---|---:|---:|---:|"]
    for check in noted:
        counts = (figures.count(check.passed), figures.count(check.failed), figures.share(check.passed_share))
        lines.append(f"| {_cell(check.name)} | {_cell(check.endpoint)} | {' | '.join(counts)} |")
    return lines


def _exceptions(result: RunResult) -> list[str]:
    """Return a table of the exceptions that ended iterations of code."""
    if not result.exceptions:
        return []
    rows = [
        f"| {_cell(group.message)} | {_cell(group.scenario)} | {figures.count(group.count)} |"
        for group in result.exceptions
    ]
    return ["", "| exception | scenario | count |", "|---|---|---:|", *rows]


def _data(text: str) -> str:
    """Escape the message of a workflow command."""
    return printable(text, layout=True).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Escape text so that Markdown shows it literally."""
    escaped = "".join(
        f"\\{character}" if character in "\\`*_{}[]()#|<>!~" else character for character in printable(text)
    )
    return escaped.replace("&", "&amp;")
