"""The report of all saved tests as PDF: how the last run of each ended, the trend of the last runs, and what failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atm.models import figures
from atm.models.outcome import RunOutcome
from atm.reports.pdf.sheet import BODY, LEFT, RIGHT, SMALL, Sheet, tint
from atm.reports.pdf.tables import Cell, Column, Row, draw_table
from atm.reports.test_runs import TestRuns

MOST_REASONS = 4
_KINDS = {
    RunOutcome.PASSED: "pass",
    RunOutcome.INVALID: "warn",
    RunOutcome.STOPPED: "warn",
    RunOutcome.CANCELLED: "warn",
    RunOutcome.QUEUED: "info",
    RunOutcome.RUNNING: "info",
}


def render_tests_pdf(tests: Sequence[TestRuns], at: datetime, tag: str | None = None) -> bytes:
    """Return the report as a PDF document; `tag` is the filter that selected the tests."""
    sheet = Sheet("Tests", f"API Test Machine · tests{f' tagged {tag}' if tag else ''} · {at:%Y-%m-%d %H:%M} UTC", at)
    sheet.text(LEFT, sheet.y, "Report of all tests", SMALL, colour="muted")
    sheet.y += 25
    sheet.text(LEFT, sheet.y, "Tests", 20, bold=True)
    sheet.y += 6
    facts = [figures.counted(len(tests), "test"), *([f"tagged {tag}"] if tag else []), f"{at:%Y-%m-%d %H:%M:%S} UTC"]
    sheet.paragraph(" · ".join(facts), colour="muted")
    sheet.y += 10
    _banner(sheet, tests)
    _table(sheet, tests)
    _failures(sheet, tests)
    return sheet.finished()


def _banner(sheet: Sheet, tests: Sequence[TestRuns]) -> None:
    judged = [test for test in tests if test.last is not None]
    failed = sum(test.failed for test in tests)
    idle = len(tests) - len(judged)
    kind = "fail" if failed else "pass" if judged else "info"
    text = f"{failed} of {figures.counted(len(judged), 'test')} did not pass" if failed else "All tests passed"
    if not judged:
        text = "No test has run yet"
    sheet.box(LEFT, sheet.y, RIGHT - LEFT, 36, tint(kind, 0.09), radius=4)
    sheet.box(LEFT, sheet.y, 3, 36, kind)
    if judged:
        sheet.sign(LEFT + 16, sheet.y + 23, kind, 9)
    sheet.text(LEFT + 32, sheet.y + 23.5, text, 14, bold=True, colour=kind)
    if idle and judged:
        sheet.text(RIGHT - 14, sheet.y + 22, f"{idle} not run yet", BODY, colour="muted", align="R")
    sheet.y += 36


def _table(sheet: Sheet, tests: Sequence[TestRuns]) -> None:
    if not tests:
        return
    most = max(len(test.runs) for test in tests)
    columns = (
        Column("last run"),
        Column("test", grows=1.6),
        Column(f"p95 of the last {most} runs" if most > 1 else "", grows=1),
        Column("p95", number=True),
        Column("rate", number=True),
        Column("failed", number=True),
        Column("ended", number=True),
    )
    sheet.y += 8
    draw_table(sheet, columns, [_row(test) for test in tests], 500, "tests")


def _row(test: TestRuns) -> Row:
    name = test.name if test.enabled else f"{test.name} (disabled)"
    last = test.last
    if last is None:
        return [Cell("not run", "muted"), Cell(name, "muted"), "", "", "", "", ""]
    kind = _kind(last.outcome)
    bars = [(run.latency_p95_ms, _kind(run.outcome)) for run in reversed(test.runs) if run.completed_at]
    rate = figures.NO_DATA if last.requests_per_second is None else f"{figures.rate(last.requests_per_second)} /s"
    ended = last.completed_at or last.created_at
    return [
        Cell(str(last.outcome), kind, sign="" if kind == "info" else kind),
        Cell(name, bold=test.failed),
        Cell("", trend=bars if len(bars) > 1 else ()),
        figures.time(last.latency_p95_ms),
        rate,
        Cell(figures.share(last.error_rate), "fail" if last.error_rate else "text"),
        Cell(f"{ended:%Y-%m-%d %H:%M}", "muted"),
    ]


def _kind(outcome: RunOutcome) -> str:
    return _KINDS.get(outcome, "fail")


def _failures(sheet: Sheet, tests: Sequence[TestRuns]) -> None:
    failed = [test for test in tests if test.failed]
    if not failed:
        return
    sheet.heading("What failed", needed=50)
    for test in failed[:200]:
        last = test.last
        assert last is not None
        reasons = list(test.reasons) or [f"The run was {last.outcome}"]
        lines = [line for reason in reasons[:MOST_REASONS] for line in sheet.wrapped(reason, RIGHT - LEFT - 12, most=2)]
        sheet.need(24 + 12 * len(lines))
        sheet.y += 18
        sheet.sign(LEFT, sheet.y, _kind(last.outcome))
        word = f"{last.outcome}, run {last.id[:8]}"
        room = RIGHT - LEFT - 20 - sheet.width_of(word, SMALL)
        sheet.text(LEFT + 12, sheet.y, sheet.fitted(test.name, room, 9, True), 9, bold=True)
        sheet.text(RIGHT, sheet.y, word, SMALL, colour="muted", align="R")
        for line in lines:
            sheet.y += 12
            sheet.text(LEFT + 12, sheet.y, line, BODY)
