"""What changed between two runs, as lines of text for language models."""

from __future__ import annotations

import math
from collections.abc import Sequence

from atm.mcp_server import summaries
from atm.models import figures
from atm.models.control.compare import ComparedCheck, ComparedOwnMetric, ComparedScenario, Difference

_COMPARED_ITERATIONS = (
    ("iteration_time_p95_ms", "iteration time p95"),
    ("iteration_error_rate", "failed iterations"),
    ("iterations_per_second", "iterations"),
)


def scenarios(compared: Sequence[ComparedScenario]) -> list[str]:
    """Return what changed in the iterations of each scenario."""
    lines = []
    for scenario in compared[: summaries.MOST_SCENARIOS]:
        title = f"scenario {summaries.name(scenario.name)}"
        if scenario.a is None or scenario.b is None:
            lines.append(f"- {title}: only in {'b' if scenario.a is None else 'a'}")
            continue
        by_name = {change.name: change for change in scenario.differences}
        lines += [difference(by_name[key], f"{title}, {label}") for key, label in _COMPARED_ITERATIONS]
    return lines


def checks(compared: Sequence[ComparedCheck]) -> list[str]:
    """Return the checks that failed in another share of evaluations, and those of one run only."""
    lines = []
    for check in compared:
        if check.a is not None and check.b is not None and check.a.passed_share == check.b.passed_share:
            continue
        a, b = (
            "not there" if figure is None else f"{figures.count(figure.failed)} of {figures.count(figure.evaluated)}"
            for figure in (check.a, check.b)
        )
        lines.append(f"- check {summaries.name(check.name)} at {summaries.name(check.endpoint)} failed: {a} → {b}")
    return lines[: summaries.MOST_CHECKS]


def own_metrics(compared: Sequence[ComparedOwnMetric]) -> list[str]:
    """Return the metrics of the tests whose figures differ, and those of one run only."""
    lines = []
    for metric in compared:
        if metric.a == metric.b:
            continue
        a, b = ("not there" if figure is None else figure.described for figure in (metric.a, metric.b))
        lines.append(f"- own metric {summaries.name(metric.name)}: {a} → {b}")
    return lines[: summaries.MOST_CHECKS]


def difference(change: Difference, label: str) -> str:
    """Format `- p95: 120 ms → 140 ms (+17 %), worse`."""
    a, b = change.a, change.b
    if change.name.endswith("error_rate"):
        shown = [figures.share(a), figures.share(b)]
    elif change.name.endswith("_ms"):
        shown = [figures.time(a), figures.time(b)]
    else:
        shown = [f"{figures.rate(a)}/s", f"{figures.rate(b)}/s"]
    relative = ""
    if change.change is not None and math.isfinite(change.change):
        relative = f" ({'+' if change.change > 0 else ''}{figures.percent(change.change)})"
    word = {True: ", better", False: ", worse", None: ""}[change.better]
    return f"- {label}: {shown[0]} → {shown[1]}{relative}{word}"
