"""The first blocks: the run, the verdict of its thresholds, and the verdict on its measurement."""

from __future__ import annotations

from urllib.parse import urlsplit

from atm.cli.output import problem_lines
from atm.cli.report.layout import Sheet, verdict_style
from atm.cli.text import Line, Style
from atm.errors import Problem
from atm.models import figures
from atm.models.exit_code import ExitCode
from atm.models.outcome import Outcome, StopReason
from atm.models.run import FailureSummary, Measurement, ThresholdResult
from atm.models.run_figures import HookFigures

_NAME_END = 16


def header(sheet: Sheet) -> list[Line]:
    """` atm  quickstart      run 7f3a2c · 60.0 s after 5 s warm-up`."""
    run, metrics = sheet.result.run, sheet.result.metrics
    course = f"run {sheet.run_id} · {figures.duration(metrics.duration_seconds)}"
    if metrics.warm_up_seconds:
        course += f" after {figures.planned(round(metrics.warm_up_seconds, 1))} warm-up"
    paper = sheet.paper
    course = paper.text(course)
    if sheet.narrow:
        return [
            paper.line(" atm  ", Style.DIM).add(paper.fitted(run.name, paper.width - 6), Style.BOLD),
            paper.line("      ").add(course, Style.DIM),
        ]
    name = paper.fitted(run.name, paper.width - 8 - len(course))
    return [paper.line(" atm  ", Style.DIM).add(name, Style.BOLD).right(course, paper.width, Style.DIM)]


def _headline(sheet: Sheet, sign: str, style: Style, label: str, text: str, code: ExitCode | None) -> list[Line]:
    line = sheet.paper.line(" ").add(sign, style).add(f" {label}", style).to(_NAME_END + sheet.paper.signs.width - 1)
    start = line.width
    first, *rest = sheet.paper.wrapped(text, start)
    lines = [line.add(first.plain.strip()), *rest]
    if code is not None and sheet.result.verdict.exit_code == code:
        end = f"exit {code:d}"
        if lines[-1].width + len(end) + 1 <= sheet.paper.width:
            lines[-1].right(end, sheet.paper.width, Style.DIM)
        else:
            lines.append(sheet.paper.line().to(start).add(end, Style.DIM))
    return lines


def thresholds(sheet: Sheet) -> list[Line]:
    """Each threshold with its measured value and distance from the limit, failed ones first."""
    results = sheet.result.thresholds
    if not results:
        return []
    signs = sheet.paper.signs
    failed = [threshold for threshold in results if not threshold.passed]
    count = len(results)
    if failed:
        text = f"{len(failed)} of {count} failed"
        lines = _headline(sheet, signs.failed, Style.FAIL, "THRESHOLDS", text, ExitCode.THRESHOLDS_FAILED)
    else:
        text = "1 of 1 holds" if count == 1 else f"all {count} hold"
        lines = _headline(sheet, signs.passed, Style.PASS, "THRESHOLDS", text, None)
    ordered = [*failed, *(threshold for threshold in results if threshold.passed)]
    room = sheet.paper.width - 4 - signs.width - 12 - 24
    names = [sheet.paper.fitted(threshold.expression, max(room, 20)) for threshold in ordered]
    column = 4 + signs.width + max(len(name) for name in names) + 2
    for threshold, name in zip(ordered, names, strict=True):
        lines += _threshold(sheet, threshold, name, column)
    return lines


def _threshold(sheet: Sheet, threshold: ThresholdResult, name: str, column: int) -> list[Line]:
    paper = sheet.paper
    style = verdict_style(threshold)
    sign = paper.signs.passed if threshold.passed else paper.signs.failed
    line = paper.line("   ").add(sign, style).add(f" {name}").to(column).add(sheet.measured(threshold), style)
    remarks = paper.text(" · ").join(paper.text(part) for part in (threshold.distance, threshold.message) if part)
    if not remarks:
        return [line]
    start = column + 12
    if sheet.narrow or start + len(remarks) > paper.width:
        return [line, *paper.wrapped(remarks, 4 + paper.signs.width)]
    return [line.to(start).add(remarks)]


_MEASUREMENT = {
    Measurement.VALID: "valid: the load generator was not the limit",
    Measurement.SUSPECT: "suspect: the load generator may have been the limit",
    Measurement.INVALID: 'invalid: do not quote these times; each ends in "?" below',
}
_INVALID_ALONE = "invalid: do not quote the times of this run"


def measurement(sheet: Sheet) -> list[Line]:
    """The verdict on the measurement, with its reasons and the load generator's figures."""
    verdict, signs = sheet.result.verdict, sheet.paper.signs
    sign, style = {
        Measurement.VALID: (signs.passed, Style.PASS),
        Measurement.SUSPECT: (signs.warning, Style.WARN),
        Measurement.INVALID: (signs.failed, Style.FAIL),
    }[verdict.measurement]
    text = _MEASUREMENT[verdict.measurement]
    if verdict.measurement == Measurement.INVALID and (sheet.verdicts_only or sheet.unanswered):
        text = _INVALID_ALONE
    lines = _headline(sheet, sign, style, "MEASUREMENT", text, ExitCode.MEASUREMENT_INVALID)
    if not sheet.unanswered:
        lines += sheet.facts(generator_facts(sheet), start=3 + signs.width - 1)
    indent = 4 + signs.width
    for reason in sorted(verdict.reasons, key=lambda reason: reason.severity != Measurement.INVALID):
        bad = reason.severity == Measurement.INVALID
        first, *rest = sheet.paper.wrapped(reason.what, indent)
        line = sheet.paper.line("   ").add(signs.failed if bad else signs.warning, Style.FAIL if bad else Style.WARN)
        lines.append(line.to(indent).add(first.plain.strip()))
        lines += rest
        if reason.hint:
            lines += _hint(sheet, reason.hint, indent)
    return lines


def _hint(sheet: Sheet, hint: str, indent: int) -> list[Line]:
    lines = list(sheet.paper.wrapped(f"hint: {hint}", indent))
    return [sheet.paper.line(" " * indent).hint(line.plain.strip()) for line in lines]


def generator_facts(sheet: Sheet) -> list[str]:
    """Return `sent 499.9 of 500 /s · lag p99 0.21 ms · CPU 34 % of 2 cores · missed 0`, without unknown figures."""
    metrics, generator = sheet.result.metrics, sheet.result.generator
    facts = []
    if metrics.offered_rate is not None:
        facts.append(f"sent {figures.rate(metrics.achieved_rate)} of {figures.rate(metrics.offered_rate)} /s")
    if generator.schedule_lag_p99_ms is not None:
        facts.append(f"lag p99 {figures.time(generator.schedule_lag_p99_ms)}")
    cores = "core" if generator.cores == 1 else "cores"
    facts.append(f"CPU {figures.percent(generator.cpu_share / max(generator.cores, 1))} of {generator.cores} {cores}")
    if metrics.offered_rate is not None:
        facts.append(f"missed {figures.count(metrics.missed)}")
    return facts


def stopped(sheet: Sheet) -> list[Line]:
    """What ended the run before its planned end, and when."""
    run, metrics, signs = sheet.result.run, sheet.result.metrics, sheet.paper.signs
    if run.stop_reason not in (StopReason.STOPPED, StopReason.CANCELLED, StopReason.THRESHOLD, StopReason.FAILED):
        return []
    at = figures.clock(metrics.warm_up_seconds + metrics.duration_seconds)
    planned = sheet.result.spec.get("duration")
    if isinstance(planned, int | float):
        at += f" of {figures.clock(metrics.warm_up_seconds + planned)}"
    if run.stop_reason == StopReason.FAILED:
        text = f"at {at}: {run.error or 'the engine failed'}"
        return _headline(sheet, signs.failed, Style.FAIL, "ERROR", text, ExitCode.UNEXPECTED_ERROR)
    if run.stop_reason == StopReason.THRESHOLD:
        by = "by a threshold"
    else:
        by = f"by {run.stopped_by}" if run.stopped_by else "on request"
    covers = f"the figures cover {figures.duration(metrics.duration_seconds)}"
    if run.stop_reason == StopReason.CANCELLED and metrics.unfinished:
        covers += f", {figures.count(metrics.unfinished)} in flight were cut off"
    label = _ENDED_EARLY[run.stop_reason]
    return _headline(sheet, signs.stopped, Style.WARN, label, f"{by} at {at}; {covers}", ExitCode.INTERRUPTED)


def hooks(sheet: Sheet) -> list[Line]:
    """What `setup` and `teardown` did, a line each; why one failed, with a hint."""
    signs = sheet.paper.signs
    lines: list[Line] = []
    for name in ("setup", "teardown"):
        hook: HookFigures | None = getattr(sheet.result, name)
        if hook is None or (sheet.verdicts_only and hook.status == "passed"):
            continue
        sign, style = {
            "passed": (signs.passed, Style.PASS),
            "failed": (signs.failed, Style.FAIL),
        }.get(hook.status, (signs.stopped, Style.WARN))
        code = ExitCode.UNEXPECTED_ERROR if hook.status == "failed" and name == "teardown" else None
        lines += _headline(sheet, sign, style, name.upper(), hook.described, code)
        if hook.hint:
            lines += _hint(sheet, hook.hint, 4 + signs.width)
    return lines


_ENDED_EARLY = {
    StopReason.STOPPED: "STOPPED",
    StopReason.CANCELLED: "CANCELLED",
    StopReason.THRESHOLD: "ENDED EARLY",
}


def unreachable(sheet: Sheet) -> list[Line]:
    """Shown if no request got a response: the reason, and what to try."""
    metrics = sheet.result.metrics
    if not sheet.unanswered or not metrics.failed_requests:
        return []
    answered = f"0 of {figures.counted(metrics.total_requests, 'request')} got a response"
    sign = sheet.paper.signs.failed
    lines = _headline(sheet, sign, Style.FAIL, "UNREACHABLE", answered, ExitCode.UNREACHABLE)
    shown = set()
    for failure in sheet.result.failures[:3]:
        problem = why_unreachable(failure, _url_of(sheet, failure.endpoint))
        if problem not in shown:
            shown.add(problem)
            lines += [wrapped for line in problem_lines(problem, sheet.paper) for wrapped in _indented(sheet, line)]
    return lines


def _indented(sheet: Sheet, line: Line) -> list[Line]:
    if line.width + 3 <= sheet.paper.width:
        return [sheet.paper.line("   ").extend(line)]
    return [
        sheet.paper.line("     ").hint(wrapped.plain.strip()) for wrapped in sheet.paper.wrapped(line.plain.strip(), 5)
    ]


def _url_of(sheet: Sheet, endpoint: str) -> str:
    return next((entry.url for entry in sheet.result.endpoint_metrics if entry.name == endpoint), "")


_UNREACHABLE = {
    Outcome.DNS_ERROR: ("dns_error", "Check the spelling, or send it elsewhere with `--connect-to`"),
    Outcome.TLS_ERROR: (
        "tls_error",
        "Trust it with `tls: {{ca: FILE}}` in a spec, or skip the check for this run: `--insecure`",
    ),
    Outcome.TIMEOUT: ("no_answer", "Try `curl -i -m 5 {url}`; a slow target needs a longer `--timeout`"),
    Outcome.CONNECTION_CLOSED: ("connection_closed", "Try `curl -i {url}`; is the scheme (http, https) the right one?"),
    Outcome.PROTOCOL_ERROR: ("protocol_error", "Try `curl -i {url}`; is the scheme (http, https) the right one?"),
    Outcome.CONNECT_ERROR: ("connect_error", "Try `curl -i {url}`, or practise on `atm target`"),
}


def why_unreachable(failure: FailureSummary, url: str) -> Problem:
    """Return the error message for a failure without a response."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or failure.endpoint
    code, hint = _UNREACHABLE.get(failure.outcome, ("no_answer", "Try `curl -i {url}`"))
    what = f"{host}: {failure.message}"
    if failure.message == "connection refused":
        what, code = f"{host} refused the connection", "connect_refused"
        hint = f"Nothing listens there. {hint}"
    elif failure.message == "wrong version number":
        what, hint = f"{host} does not speak TLS", "Is its scheme http? Try `curl -i {url}`"
        url = f"http://{url.partition('://')[2]}"
    elif failure.outcome == Outcome.TLS_ERROR and not failure.message.startswith("certificate"):
        hint = "Try `curl -iv {url}`"
    return Problem(what, code, path=failure.endpoint, hint=hint.format(url=url or "URL"))
