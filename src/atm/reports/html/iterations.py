"""Two sampled iterations as waterfalls: one with a failure, and the slowest."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.outcome import Outcome
from atm.models.outline import step_name
from atm.models.run import RunResult
from atm.models.samples import SampledIteration, SampledStep
from atm.reports.html.markup import Child, Markup, tag
from atm.reports.html.parts import card, table, time_text

_HEAD = (("step", False), ("", False), ("status", True), ("service", True), ("think time before", True), ("late", True))
MOST_STEPS = 40


def waterfalls(result: RunResult) -> Markup | None:
    """Build one waterfall of an iteration with a failure and one of the slowest, if there are any."""
    failed = next((iteration for iteration in result.sampled_iterations if iteration.has_failure), None)
    slowest = max(result.sampled_iterations, key=lambda iteration: iteration.active_ms, default=None)
    chosen = [("with a failure", failed), ("the slowest", slowest if slowest is not failed else None)]
    parts = [_waterfall(result, iteration, title) for title, iteration in chosen if iteration is not None]
    note = "from left to right: due, sent (hatched until then), answered; gaps are think time"
    return card("Iterations", *parts, note=note) if parts else None


def _waterfall(result: RunResult, iteration: SampledIteration, title: str) -> Markup:
    ended = "" if iteration.outcome == "completed" else ", failed"
    heading = (
        f"{iteration.scenario}, iteration {figures.count(iteration.number)} ({title}): "
        f"{time_text(result, iteration.time_ms)}, without think time {time_text(result, iteration.active_ms)}, "
        f"at {figures.clock(iteration.at_seconds)}{ended}"
    )
    shown = iteration.steps[:MOST_STEPS]
    rows = [_row(result, iteration, step) for step in shown]
    left_out = len(iteration.steps) - len(shown) + iteration.requests_left_out
    more = tag("p", f"{figures.count(left_out)} further requests", class_="muted") if left_out else None
    return tag("div", tag("p", heading), table(_HEAD, rows), more)


def _row(result: RunResult, iteration: SampledIteration, step: SampledStep) -> Sequence[Child]:
    late_ms = max(step.response_ms - step.service_ms, 0.0)
    return [
        step_name(iteration.scenario, step.endpoint),
        tag("td", _bar(iteration, step, late_ms), class_="barcell"),
        figures.NO_DATA if step.status is None else str(step.status),
        time_text(result, step.service_ms),
        time_text(result, step.think_ms) if step.think_ms else "",
        time_text(result, late_ms),
    ]


def _bar(iteration: SampledIteration, step: SampledStep, late_ms: float) -> Markup:
    whole = max(iteration.time_ms, 1e-6)
    due = (step.at_seconds - iteration.at_seconds) * 1000 / whole * 100
    late, service = late_ms / whole * 100, step.service_ms / whole * 100
    colour = "f-info" if step.outcome is Outcome.OK else "f-fail"
    return tag(
        "svg",
        _part(due, late, "warmup"),
        _part(due + late, max(service, 0.5), colour),
        viewBox="0 0 100 20",
        preserveAspectRatio="none",
        height="20",
        aria_hidden="true",
        class_="bar",
    )


def _part(left: float, width: float, colour: str) -> Markup:
    left = min(left, 99.5)
    return tag("rect", x=f"{left:.2f}", y="4", width=f"{min(width, 100 - left):.2f}", height="12", class_=colour)
