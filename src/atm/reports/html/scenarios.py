"""The sections of scenarios: iterations, the funnel of the steps, the checks, and the test data."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models import figures
from atm.models.run import RunResult
from atm.models.run_figures import CheckFigures, ScenarioMetrics, Spread
from atm.reports.facts import PERCENTILES, doubted
from atm.reports.funnel import BEFORE_USER, checks_failed_first, funnels, outside_scenarios
from atm.reports.html.markup import Child, Markup, markup, tag
from atm.reports.html.parts import card, table, wrapping
from atm.reports.html.tables import colour_chip, request_cells


def scenarios(result: RunResult) -> Markup | None:
    """The iterations of each scenario: counts that add up, rate, and times with and without think time."""
    entries = result.scenarios
    if not entries:
        return None
    unit = figures.time_unit(max((entry.iteration_time.p50_ms or 0.0 for entry in entries), default=0.0))
    counts = (("started", True), ("completed", True), ("failed", True), ("rate /s", True))
    head = (("scenario", False), *counts, *((f"{name} {unit}", True) for name, _ in PERCENTILES))
    rows: list[Sequence[Child]] = []
    for entry in entries:
        rows.append(_scenario(result, entry, unit))
        if entry.active_time != entry.iteration_time:
            name = tag("td", "without think time", class_="muted")
            rows.append([name, "", "", "", "", *_times(result, entry.active_time, unit)])
    books = [tag("p", _books(entry), class_="muted") for entry in entries]
    return card("Scenarios", table(head, rows), *books, note="iterations")


def _scenario(result: RunResult, entry: ScenarioMetrics, unit: str) -> Sequence[Child]:
    failed = tag("td", figures.count(entry.failed), class_="n fail" if entry.failed else "n")
    counts = (figures.count(entry.started), figures.count(entry.completed), failed)
    rate = figures.rate(entry.iterations_per_second)
    return [wrapping(entry.name), *counts, rate, *_times(result, entry.iteration_time, unit)]


def _times(result: RunResult, times: Spread, unit: str) -> list[str]:
    return [doubted(result, figures.time_in(getattr(times, f"{column}_ms"), unit)) for _, column in PERCENTILES]


def _books(entry: ScenarioMetrics) -> str:
    count = figures.count
    text = f"{entry.name}: {count(entry.started)} started = {count(entry.completed)} completed + "
    text += f"{count(entry.failed)} failed + {count(entry.unfinished)} unfinished"
    return f"{text}; {count(entry.missed)} more were due and never started" if entry.missed else text


def steps(result: RunResult) -> Markup | None:
    """The steps of each scenario with the share of iterations that reached them."""
    journeys = funnels(result)
    if not journeys:
        return None
    places = {entry.name: number for number, entry in enumerate(result.endpoint_metrics)}
    unit = figures.time_unit(result.metrics.latency_p50_ms)
    names = (("step", False), ("", False), ("reached", True), ("requests", True), ("failed", True), ("rate /s", True))
    head = (*names, *((f"{name} {unit}", True) for name, _ in PERCENTILES))
    cards = []
    for journey in journeys:
        rows: list[Sequence[Child]] = []
        for before, metrics in journey.before_user:
            name = wrapping(colour_chip(places[metrics.name]), f"{before.name} {BEFORE_USER}")
            rows.append([name, "", "", *request_cells(result, metrics, unit)])
        for step in journey.steps:
            name = wrapping(colour_chip(places[step.metrics.name]), step.reach.name)
            bar = tag("td", _bar(step.reach.reached_share or 0.0), class_="barcell")
            reached = figures.share(step.reach.reached_share)
            rows.append([name, bar, reached, *request_cells(result, step.metrics, unit)])
        ended = journey.scenario.completed + journey.scenario.failed
        cards.append(card(f"Steps of {journey.scenario.name}", table(head, rows), note=_ended(ended)))
    others = outside_scenarios(result)
    if others:
        head = (("request", False), *names[3:], *head[len(names) :])
        rows = [
            [wrapping(colour_chip(places[entry.name]), entry.name), *request_cells(result, entry, unit)]
            for entry in others
        ]
        cards.append(card("Other requests", table(head, rows)))
    return markup(*cards)


def _ended(iterations: int) -> str:
    return f"of {figures.count(iterations)} ended {'iteration' if iterations == 1 else 'iterations'}"


def _bar(share: float) -> Markup:
    bar = tag("rect", x="0", y="3", width=f"{share * 100:.1f}", height="14", rx="1", class_="f-info")
    return tag(
        "svg", bar, viewBox="0 0 100 20", preserveAspectRatio="none", height="20", aria_hidden="true", class_="bar"
    )


def checks(result: RunResult) -> Markup | None:
    """The checks with their share of passed evaluations, failed ones first."""
    ordered = checks_failed_first(result)
    if not ordered:
        return None
    head = (("", False), ("check", False), ("step", False), ("passed", True), ("failed", True), ("share", True))
    return card("Checks", table(head, [_check(check) for check in ordered]))


def _check(check: CheckFigures) -> Sequence[Child]:
    if not check.evaluated:
        sign = tag("span", "! no data", class_="warn")
        return [sign, wrapping(check.name), wrapping(check.endpoint), "0", "0", figures.NO_DATA]
    kind, sign_text = ("fail", "✗ failed") if check.failed else ("pass", "✓ passed")
    failed = tag("td", figures.count(check.failed), class_="n fail" if check.failed else "n")
    return [
        tag("span", sign_text, class_=kind),
        wrapping(check.name),
        wrapping(check.endpoint),
        figures.count(check.passed),
        failed,
        figures.share(check.passed_share),
    ]


def test_data(result: RunResult) -> Markup | None:
    """The rows of each source of test data that were used, and how often they were used again."""
    if not result.data:
        return None
    head = (("source", False), ("rows", True), ("used", True), ("used again", True), ("all used after", True))
    rows = [
        [
            wrapping(source.name),
            figures.count(source.rows),
            figures.count(source.used),
            figures.count(source.repeated),
            figures.NO_DATA if source.used_up_second is None else f"{source.used_up_second + 1} s",
        ]
        for source in result.data
    ]
    return card("Test data", table(head, rows), note="rows, warm-up included")
