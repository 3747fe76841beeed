"""The blocks of scenarios: their iterations, the funnel of their steps, and the checks."""

from __future__ import annotations

from collections.abc import Sequence

from atm.cli.report.details import beyond_limit_of_names, without_requests
from atm.cli.report.layout import Sheet
from atm.cli.text import Line, Style, cells
from atm.models import figures
from atm.models.endpoint_metrics import NamedEndpointMetrics
from atm.models.run_figures import CheckFigures, ScenarioMetrics, Spread
from atm.reports.funnel import Funnel, FunnelStep, checks_failed_first, funnels, outside_scenarios

MOST_STEPS = 24
MOST_CHECKS = 12
_TIMES = ("p50", "p95", "p99")
_COLUMN = 9
_SCENARIO_ENDS = (9, 20, 28, 36, 45, 54, 63)
"""Where the columns of a scenario end, after its name."""
_LEAST_NAME = 18


def scenarios(sheet: Sheet) -> list[Line]:
    """The iterations of each scenario: counts that add up, rate, and times with and without think time."""
    entries = sheet.result.scenarios
    if not entries:
        return []
    unit = figures.time_unit(max((entry.iteration_time.p50_ms or 0.0 for entry in entries), default=0.0))
    if sheet.narrow:
        return [
            sheet.paper.line(" SCENARIOS", Style.BOLD),
            *(line for entry in entries for line in _narrow_scenario(sheet, entry)),
        ]
    names = _name_width(sheet, [entry.name for entry in entries], 7)
    ends = [3 + names + end for end in _SCENARIO_ENDS]
    head = sheet.paper.line(" SCENARIOS", Style.BOLD)
    for title, end in zip(("started", "completed", "failed", "/s", *_TIMES), ends, strict=True):
        head.right(title, end, Style.DIM)
    lines = [head.add(f"  {unit}", Style.DIM)]
    for entry in entries:
        lines += _wide_scenario(sheet, entry, names, ends, unit)
    return lines


def _wide_scenario(sheet: Sheet, entry: ScenarioMetrics, names: int, ends: Sequence[int], unit: str) -> list[Line]:
    line = sheet.paper.line("   ").add(sheet.paper.fitted(entry.name, names))
    line.right(figures.count(entry.started), ends[0]).right(figures.count(entry.completed), ends[1])
    line.right(figures.count(entry.failed), ends[2], Style.FAIL if entry.failed else Style.PLAIN)
    line.right(figures.rate(entry.iterations_per_second), ends[3])
    _add_times(sheet, line, entry.iteration_time, ends[4:], unit)
    lines = [line]
    if entry.active_time != entry.iteration_time:
        active = sheet.paper.line("     without think time", Style.DIM)
        _add_times(sheet, active, entry.active_time, ends[4:], unit)
        lines.append(active)
    facts = _books(entry)
    return lines + (sheet.facts(facts, start=5) if facts else [])


def _add_times(sheet: Sheet, line: Line, times: Spread, ends: Sequence[int], unit: str) -> None:
    for value, end in zip((times.p50_ms, times.p95_ms, times.p99_ms), ends, strict=True):
        line.right(sheet.doubted(figures.time_in(value, unit), value), end)


def _books(entry: ScenarioMetrics) -> list[str]:
    """Return the counts that the columns leave out, if there are any."""
    facts = []
    if entry.missed:
        facts.append(
            f"{figures.count(entry.due)} due = {figures.count(entry.started)} started + "
            f"{figures.count(entry.missed)} missed"
        )
    if entry.unfinished:
        facts.append(f"{figures.count(entry.unfinished)} unfinished")
    return facts


def _narrow_scenario(sheet: Sheet, entry: ScenarioMetrics) -> list[Line]:
    counts = f"{figures.count(entry.started)} started = {figures.count(entry.completed)} completed + "
    facts = [
        f"{counts}{figures.count(entry.failed)} failed + {figures.count(entry.unfinished)} unfinished",
        *([f"{figures.count(entry.missed)} missed"] if entry.missed else []),
        f"{figures.rate(entry.iterations_per_second)} /s",
        f"p50 {sheet.time(entry.iteration_time.p50_ms)}",
        f"p95 {sheet.time(entry.iteration_time.p95_ms)}",
    ]
    name = sheet.paper.line("   ").add(sheet.paper.fitted(entry.name, sheet.paper.width - 3))
    return [name, *sheet.facts(facts, start=6)]


def steps(sheet: Sheet) -> list[Line]:
    """The steps of each scenario as a funnel, with the figures of their requests."""
    journeys = funnels(sheet.result)
    if not journeys:
        return []
    others = outside_scenarios(sheet.result)
    shown = _shown_steps(sheet, journeys)
    names = _name_width(
        sheet,
        [
            *(f"  {step.reach.name}" for journey in journeys for step in journey.steps),
            *(f"  {step.name}" for journey in journeys for step, _ in journey.before_user),
        ],
        3 + len(_TIMES),
    )
    ends = [3 + names + _COLUMN * (number + 1) for number in range(3 + len(_TIMES))]
    head = sheet.paper.line(" STEPS", Style.BOLD)
    if not sheet.narrow:
        for title, end in zip(("reached", "requests", "failed", *_TIMES), ends, strict=True):
            head.right(title, end, Style.DIM)
        head.add(f"  {sheet.unit}", Style.DIM)
    lines = [head]
    for journey in journeys:
        lines.append(sheet.paper.line("   ").add(sheet.paper.fitted(journey.scenario.name, sheet.paper.width - 3)))
        for before, metrics in journey.before_user:
            lines += _row(sheet, f"  {before.name}", "per user", metrics, names, ends)
        for step in journey.steps:
            if step.reach.endpoint in shown:
                reached = figures.share(step.reach.reached_share)
                lines += _row(sheet, f"  {step.reach.name}", reached, step.metrics, names, ends)
    for entry in others:
        lines += _row(sheet, entry.name, "", entry, names, ends)
    hidden = sum(len(journey.steps) for journey in journeys) - len(shown)
    if hidden:
        hint = f"`atm show {sheet.run_id} --all`" if sheet.saved else "`-o FILE.csv` has all"
        lines.append(sheet.paper.line(f"   {hidden} more steps without a failure: ").hint(hint))
    for note in (without_requests(sheet.result), beyond_limit_of_names(sheet.result)):
        lines += sheet.paper.wrapped(note, 3, Style.WARN) if note else ()
    return lines


def _shown_steps(sheet: Sheet, journeys: Sequence[Funnel]) -> set[str]:
    """Return the endpoints to list: all if they are few, else those with failures and then the first."""
    listed: list[FunnelStep] = [step for journey in journeys for step in journey.steps]
    if len(listed) > MOST_STEPS and not sheet.everything:
        failed = [step for step in listed if step.metrics.failed_requests]
        room = max(MOST_STEPS - len(failed), 0)
        listed = failed + [step for step in listed if not step.metrics.failed_requests][:room]
    return {step.reach.endpoint for step in listed}


def _row(
    sheet: Sheet, name: str, reached: str, entry: NamedEndpointMetrics, names: int, ends: Sequence[int]
) -> list[Line]:
    paper = sheet.paper
    style = Style.FAIL if entry.failed_requests else Style.PLAIN
    times = (entry.latency_p50_ms, entry.latency_p95_ms, entry.latency_p99_ms)
    if not sheet.narrow:
        line = paper.line("   ").add(paper.fitted(name, names)).right(reached, ends[0])
        line.right(figures.count(entry.total_requests), ends[1])
        line.right(figures.count(entry.failed_requests), ends[2], style)
        for value, end in zip(times, ends[3:], strict=True):
            line.right(sheet.in_unit(value), end)
        return [line]
    facts = [f"{reached} reached"] if reached else []
    facts += [figures.counted(entry.total_requests, "request"), f"{figures.count(entry.failed_requests)} failed"]
    facts += [f"{title} {sheet.time(value)}" for title, value in zip(_TIMES[::2], times[::2], strict=True)]
    return [paper.line("   ").add(paper.fitted(name, paper.width - 3)), *sheet.facts(facts, start=8)]


def _name_width(sheet: Sheet, names: Sequence[str], columns: int) -> int:
    longest = max((cells(sheet.paper.text(name)) for name in names), default=0)
    room = sheet.paper.width - 3 - _COLUMN * columns - 4
    return max(min(longest, room), min(_LEAST_NAME, room), 10)


def checks(sheet: Sheet) -> list[Line]:
    """The checks with their share of passed evaluations, failed ones first."""
    ordered = checks_failed_first(sheet.result)
    if not ordered:
        return []
    shown = ordered if sheet.everything else _shown_checks(ordered)
    paper, signs = sheet.paper, sheet.paper.signs
    counts_width = 3 * _COLUMN
    room = paper.width - 4 - signs.width - counts_width - 1
    names = min(max(cells(paper.text(check.name)) for check in shown), max(room // 2, 10))
    places = max(room - names - 2, 8)
    first = 4 + signs.width + names + 2 + min(places, max(cells(paper.text(check.endpoint)) for check in shown)) + 1
    ends = [first + _COLUMN * (number + 1) for number in range(3)]
    head = paper.line(" CHECKS", Style.BOLD)
    if not sheet.narrow:
        for title, end in zip(("passed", "failed", "share"), ends, strict=True):
            head.right(title, end, Style.DIM)
    lines = [head]
    for check in shown:
        lines += _narrow_check(sheet, check) if sheet.narrow else [_wide_check(sheet, check, names, places, ends)]
    hidden = len(ordered) - len(shown)
    if hidden:
        hint = f"`atm show {sheet.run_id} --all`" if sheet.saved else "`-o FILE.json` has all"
        failed = sum(check.failed > 0 for check in ordered) - sum(check.failed > 0 for check in shown)
        what = f"{hidden} more, {failed} of them failed: " if failed else f"{hidden} more, all passed: "
        lines.append(paper.line(f"   {what}").hint(hint))
    return lines


def _shown_checks(ordered: Sequence[CheckFigures]) -> Sequence[CheckFigures]:
    """Return the first checks; those never evaluated are always among them, since they may hide an error."""
    silent = [check for check in ordered if not check.evaluated]
    if len(ordered) <= MOST_CHECKS:
        return ordered
    return [check for check in ordered if check.evaluated][: max(MOST_CHECKS - len(silent), 1)] + silent


def _sign(sheet: Sheet, check: CheckFigures) -> tuple[str, Style]:
    signs = sheet.paper.signs
    if check.failed:
        return signs.failed, Style.FAIL
    return (signs.passed, Style.PASS) if check.evaluated else (signs.warning, Style.WARN)


def _wide_check(sheet: Sheet, check: CheckFigures, names: int, places: int, ends: Sequence[int]) -> Line:
    paper = sheet.paper
    sign, style = _sign(sheet, check)
    line = paper.line("   ").add(sign, style).add(f" {paper.fitted(check.name, names)}")
    line.to(4 + paper.signs.width + names + 2).add(paper.fitted(check.endpoint, places), Style.DIM)
    if not check.evaluated:
        return line.right("never evaluated", ends[2], Style.WARN)
    line.right(figures.count(check.passed), ends[0])
    line.right(figures.count(check.failed), ends[1], Style.FAIL if check.failed else Style.PLAIN)
    return line.right(figures.share(check.passed_share), ends[2])


def _narrow_check(sheet: Sheet, check: CheckFigures) -> list[Line]:
    paper = sheet.paper
    sign, style = _sign(sheet, check)
    line = paper.line("   ").add(sign, style).add(f" {paper.fitted(check.name, paper.width - 5 - paper.signs.width)}")
    step = paper.fitted(check.endpoint, paper.width - 6)
    facts = [step, f"{figures.count(check.passed)} passed", f"{figures.count(check.failed)} failed"]
    return [line, *sheet.facts(facts if check.evaluated else [step, "never evaluated"], start=6)]
