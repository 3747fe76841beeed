"""A run as Markdown, for pull requests, chats and the step summary of GitHub Actions: verdicts first.

Text of the target is in code spans, so it has no effect: no formatting, links or mentions.
"""

from __future__ import annotations

from atm.models import figures
from atm.models.outcome import RunOutcome
from atm.models.run import RunInfo, RunResult
from atm.models.sanitize import printable
from atm.reports.funnel import checks_failed_first
from atm.reports.junit import measured

_MOST_FAILURES = 10
_SIGNS = {RunOutcome.PASSED: "✓", RunOutcome.INVALID: "!", RunOutcome.STOPPED: "■", RunOutcome.CANCELLED: "■"}


def render_markdown(result: RunResult) -> str:
    """Return the document: verdicts, then scenarios and endpoints, then what failed."""
    run, metrics, verdict = result.run, result.metrics, result.verdict
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
    lines += _own_metrics(result)
    lines += _checks(result)
    lines += _failures(result)
    lines += _exceptions(result)
    lines += _workers(result)
    lines += ["", f"Run `{printable(run.id)}`, {printable(run.engine)} engine" + _begun(run)]
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


def _own_metrics(result: RunResult) -> list[str]:
    """Return a table of the metrics that the test declares."""
    if not result.own_metrics:
        return []
    rows = [f"| {_cell(metric.name)} | {metric.kind} | {_cell(metric.described)} |" for metric in result.own_metrics]
    return ["", "| own metric | kind | figures |", "|---|---|---|", *rows]


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


def _failures(result: RunResult) -> list[str]:
    """Return a table of the largest groups of failures."""
    if not result.failures:
        return []
    groups = sorted(result.failures, key=lambda group: -group.count)
    lines = ["", "| failures | kind | endpoint | message | when |", "|---:|---|---|---|---|"]
    for group in groups[:_MOST_FAILURES]:
        first, last = figures.clock(group.first_seconds), figures.clock(group.last_seconds)
        when = first if first == last else f"{first} to {last}"
        cells = (figures.count(group.count), _cell(group.outcome), _cell(group.endpoint), _code(group.message), when)
        lines.append(f"| {' | '.join(cells)} |")
    if len(groups) > _MOST_FAILURES:
        lines += ["", f"{len(groups) - _MOST_FAILURES} more kinds of failures"]
    return lines


def _workers(result: RunResult) -> list[str]:
    """Return how many workers there were, and a list of the lost ones."""
    if result.fleet is None:
        return []
    lost = result.fleet.lost
    lines = ["", f"{len(result.fleet.workers)} workers, {len(lost) or 'none'} lost"]
    return [*lines, *(f"- {_cell(worker.name)}: {_cell(worker.message)}" for worker in lost)]


def _begun(run: RunInfo) -> str:
    return f", started {run.started_at:%Y-%m-%d %H:%M:%S} UTC" if run.started_at else ""


def _cell(text: str) -> str:
    """Escape text so that Markdown shows it literally."""
    escaped = "".join(
        f"\\{character}" if character in "\\`*_{}[]()#|<>!~" else character for character in printable(text)
    )
    return escaped.replace("&", "&amp;")


def _code(text: str) -> str:
    """Return a code span with text of the target, for a cell of a table."""
    plain = printable(text).replace("`", "'").replace("|", "\\|").strip()
    return f"`{plain}`" if plain else ""
