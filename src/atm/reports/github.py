"""Output for GitHub Actions: an `::error` per failed threshold. The step summary is the report as Markdown."""

from __future__ import annotations

from atm.models.failure_reasons import failure_reasons
from atm.models.outcome import RunOutcome
from atm.models.run import Measurement, RunResult
from atm.models.sanitize import printable
from atm.reports.junit import measured


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


def _data(text: str) -> str:
    """Escape the message of a workflow command."""
    return printable(text, layout=True).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
