"""Thresholds: parse the expression grammar (docs/reference/thresholds.md) into rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.models.duration import format_seconds, parse_duration, plain_number
from atm.models.metric import METRICS, Comparison, Metric, Statistic, Unit
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.models.own_threshold import is_own_rule, parse_own_rule
from atm.models.threshold_names import HINT, KnownNames, threshold_problem


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule, parsed. `limit` is an inclusive bound in the metric's base unit."""

    expression: str
    """Normalised expression: `checkout: ok p99 < 250 ms for 10 s`."""
    metric: Metric
    comparison: Comparison
    limit: float
    """ns for times, a share 0..1, 1/s for rates."""
    percent: float | None = None
    """0..100 for a percentile; None for a `statistic` and for rates."""
    statistic: Statistic | None = None
    """The statistic judged for a time, if it is not a percentile."""
    endpoint: int | None = None
    """Index into the plan's endpoints; None for all, or those of `scenario`."""
    scenario: int | None = None
    """Index into the plan's scenarios: all its steps, or its iterations; None for all."""
    check: str | None = None
    """The name of a check, for `Metric.CHECK`."""
    own: OwnMetric | None = None
    """The metric that the test declares, for `Metric.OWN`; the limit is in its unit."""
    window_seconds: int | None = None
    """Length of the windows, in complete intervals; None for the whole run."""
    abort: bool = False
    abort_after_seconds: float = 10.0
    min_samples: int = 20
    is_implied: bool = False
    """The default threshold of a spec without thresholds."""

    @property
    def needs_samples(self) -> bool:
        """Whether it is judged with `min_samples` only: few samples are a low rate, but no percentile."""
        if self.own is not None:
            return self.percent is not None or self.statistic is Statistic.MEAN
        return not METRICS[self.metric].is_rate


IMPLIED = Threshold("error_rate <= 0 %", Metric.ERROR_RATE, Comparison.AT_MOST, 0.0, is_implied=True)
"""The rule of a spec without thresholds: no request fails."""
IMPLIED_MESSAGE = "implied, because the spec has no thresholds: no request may fail"
IMPLIED_OF_CODE = Threshold(
    "iteration_error_rate <= 0 %", Metric.ITERATION_ERROR_RATE, Comparison.AT_MOST, 0.0, is_implied=True
)
"""The second rule of a spec with scenarios in code, whose iterations fail by exceptions: no iteration fails."""
IMPLIED_MESSAGE_OF_CODE = "implied, because the spec has no thresholds: no iteration of code may fail"

_STATISTICS = {
    "min": Statistic.MIN,
    "max": Statistic.MAX,
    "mean": Statistic.MEAN,
    "avg": Statistic.MEAN,
    "average": Statistic.MEAN,
}
_TIME_UNITS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9, "sec": 1e9, "m": 6e10, "min": 6e10}
# Compiled on first use (re caches them): every plan imports this module, but few processes parse a threshold.
_SUBJECT = (
    r"(?:(?P<kind>[^\W\d].*?)\s+)?"
    r"(?:(?P<percentile>p\s*\(\s*(?P<inside>[0-9.]+)\s*\)|p(?P<plain>[0-9]+(?:\.[0-9]+)?)|med(?:ian)?)"
    r"|(?P<statistic>min|max|mean|avg|average))"
)
_LIMIT = (
    r"\s*(?P<comparison><=|>=|<|>)\s*"
    r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*(?P<unit>[a-zµμ%/]*)"
    r"(?:\s+for\s+(?P<window>.+))?"
)
_RULE = r"(?P<subject>[^<>=]*?)" + _LIMIT
# Greedy: the name of a check may hold a comparison itself, as in `check time < 500ms > 99%`.
_CHECK_RULE = r"check\s+(?P<name>.+)" + _LIMIT


def parse_threshold(
    expression: str,
    *,
    endpoints: Sequence[str] = (),
    scenarios: Sequence[ScenarioSteps] | None = None,
    checks: Sequence[CheckName] | None = None,
    own_metrics: Sequence[OwnMetric] | None = None,
    endpoint: int | None = None,
    scenario: int | None = None,
    abort: bool = False,
    abort_after_seconds: float = 10.0,
    min_samples: int = 20,
) -> Threshold:
    """Parse one rule.

    `endpoints` and `scenarios` have the names allowed before a colon, `checks` those after `check`, `own_metrics`
    those after `metric`; None does not restrict them. `endpoint` or `scenario` is the index of the one that contains
    the rule.
    Raises SpecError with a message that describes the error.
    """
    text = " ".join(expression.split())
    names = KnownNames(text, endpoints, scenarios, checks)
    scope, rule_text = names.scope_of(endpoint, scenario)
    if is_own_rule(rule_text):
        own = parse_own_rule(text, rule_text, own_metrics, scope)
        if own is None:
            raise threshold_problem(*_why_unreadable(text, rule_text))
        window = _window(own.window, text)
        return Threshold(
            expression=_with_window(own.text, window),
            metric=Metric.OWN,
            comparison=own.comparison,
            limit=own.limit,
            percent=own.percent,
            statistic=own.statistic,
            own=own.metric,
            window_seconds=window,
            abort=abort,
            abort_after_seconds=abort_after_seconds,
            min_samples=min_samples,
        )
    check = re.fullmatch(_CHECK_RULE, rule_text, re.IGNORECASE)
    rule = check or re.fullmatch(_RULE, rule_text, re.IGNORECASE)
    if rule is None:
        raise threshold_problem(*_why_unreadable(text, rule_text))
    percent: float | None = None
    statistic: Statistic | None = None
    check_name: str | None = None
    if check:
        metric, check_name = Metric.CHECK, names.check_of(check["name"], scope)
    else:
        metric, percent, statistic = _subject(rule["subject"].strip(), text)
    names.require_source(metric, scope)
    comparison = Comparison(rule["comparison"])
    limit, limit_text = _limit(metric, comparison, float(rule["number"]), rule["unit"].lower(), text)
    window = _window(rule["window"], text)
    what = f"check {check_name}" if check else _subject_text(metric, percent, statistic)
    prefix = f"{scope.name}: " if scope.name else ""
    return Threshold(
        expression=_with_window(f"{prefix}{what} {comparison} {limit_text}", window),
        metric=metric,
        comparison=comparison,
        limit=limit,
        percent=percent,
        statistic=statistic,
        endpoint=scope.endpoint,
        scenario=scope.scenario,
        check=check_name,
        window_seconds=window,
        abort=abort,
        abort_after_seconds=abort_after_seconds,
        min_samples=min_samples,
    )


def _with_window(expression: str, window: int | None) -> str:
    return f"{expression} for {format_seconds(window)}" if window else expression


def _why_unreadable(text: str, rule: str) -> tuple[str, str]:
    """Return message and hint for a rule with a syntax error."""
    operators = re.findall(r"[<>=!]+", rule)
    if not operators:
        return f'the threshold "{text}" has no comparison: one of <, <=, >, >=', HINT
    if operators[0] not in ("<", "<=", ">", ">="):
        intended = next((operator for operator in ("<=", ">=", "<", ">") if set(operator) == set(operators[0])), "")
        hint = f"Write `{intended}`" if intended else "Use `<=` for a maximum or `>=` for a minimum"
        return f'the threshold "{text}" compares with "{operators[0]}"; supported are <, <=, >, >=', hint
    if re.search(r"\s(and|or|&&|\|\|)\s", rule, re.IGNORECASE) or len(operators) > 1:
        return f'the threshold "{text}" holds more than one comparison', "Write a threshold for each"
    before = rule.split(operators[0], 1)[0].strip()
    if re.fullmatch(r"[0-9.]+\s*[a-zµ%/]*", before, re.IGNORECASE):
        return f'the threshold "{text}" starts with its limit', 'The metric comes first: "p99 < 300ms"'
    after = rule.split(operators[0], 1)[1].strip()
    if not re.match(r"[0-9.]", after):
        what = f"not {after.split(' ')[0]!r}".replace("'", '"') if after else "but it ends there"
        return f'the threshold "{text}" needs a number of 0 or more after "{operators[0]}", {what}', HINT
    rest = re.sub(r"^[0-9.]+\s*", "", after)
    if re.search(r"\bfor$", rest, re.IGNORECASE):
        return f'the threshold "{text}" names no window after "for"', 'Write the window as "for 10s"'
    return f'the threshold "{text}" continues with "{rest}" after its limit', 'Write the window as "for 10s"'


def _subject(subject: str, text: str) -> tuple[Metric, float | None, Statistic | None]:
    """Parse metric, percent and statistic."""
    lowered = " ".join(subject.lower().split())
    written = {word: metric for metric, definition in METRICS.items() for word in definition.words}
    alone = written.get(lowered)
    if lowered and alone is not None and METRICS[alone].takes_name:
        hint = f'Write its name: "{METRICS[alone].example}"'
        raise threshold_problem(f'the threshold "{text}" names no {alone.replace("own", "metric")}', hint)
    if lowered and alone is not None and not METRICS[alone].is_time:
        return alone, None, None
    match = re.fullmatch(_SUBJECT, subject, re.IGNORECASE)
    metric = written.get(" ".join((match["kind"] or "").lower().split())) if match else None
    if match is None or metric is None or not METRICS[metric].is_time:
        from atm.models.nearest import nearest

        metrics = [f"{word} p99".strip() if METRICS[metric].is_time else word for word, metric in written.items()]
        close = nearest(lowered, ["p50", "p95", "min", "max", "mean", *metrics])
        hint = f"Did you mean `{close[0]}`? {HINT}" if close and subject else HINT
        if lowered and alone is not None:
            hint = f'Give a percentile, or min, max, mean: "{lowered} p95 < 300ms"'
        raise threshold_problem(f'the threshold "{text}" judges "{subject}", which is not a metric', hint)
    if match["statistic"]:
        return metric, None, _STATISTICS[match["statistic"].lower()]
    number = match["inside"] or match["plain"] or "50"
    try:
        percent = float(number)
    except ValueError:
        raise threshold_problem(f'the threshold "{text}" has a percentile "{number}", which is not a number') from None
    if not 0 < percent <= 100:
        raise threshold_problem(
            f'the threshold "{text}" has a percentile of {number}; it must be above 0 and at most 100'
        )
    return metric, percent, None


def _limit(metric: Metric, comparison: str, number: float, unit: str, text: str) -> tuple[float, str]:
    """Return the limit in its base unit, and its display text."""
    measured_in = METRICS[metric].unit
    if measured_in is Unit.SHARE:
        if unit not in ("", "%"):
            raise threshold_problem(
                f'the threshold "{text}" has the unit "{unit}"; {_spoken(metric)} is a share (0.01) or 1%'
            )
        share = number / 100 if unit == "%" else number
        if share > 1:
            percent = plain_number(number) if number <= 100 else "1"
            hint = f'"{metric} {comparison} {percent}%", or a share from 0 to 1'
            raise threshold_problem(f'the threshold "{text}" has {_spoken(metric)} above 1 (100 %)', hint)
        return share, f"{plain_number(share * 100)} %"
    if measured_in is Unit.PER_SECOND:
        if unit not in ("", "/s", "rps"):
            raise threshold_problem(f'the threshold "{text}" has the unit "{unit}"; {metric} is a number per second')
        return number, plain_number(number)
    factor = _TIME_UNITS.get(unit or "ms")
    if factor is None:
        raise threshold_problem(
            f'the threshold "{text}" has the unit "{unit}"; times are in us, ms (the default), s or m'
        )
    shown = {"sec": "s", "us": "µs", "μs": "µs", "m": "min"}.get(unit, unit or "ms")
    return number * factor, f"{plain_number(number)} {shown}"


def _window(window: str | None, text: str) -> int | None:
    if window is None:
        return None
    try:
        seconds = parse_duration(window)
    except ValueError as error:
        raise threshold_problem(f'the threshold "{text}" has a window that cannot be read: {error}') from None
    if seconds < 1 or seconds != int(seconds):
        raise threshold_problem(
            f'the threshold "{text}" has a window of {format_seconds(seconds)}; windows are whole seconds'
        )
    return int(seconds)


def _spoken(metric: Metric) -> str:
    """Return the name with its article: `an error rate`."""
    name = metric.replace("_", " ")
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _subject_text(metric: Metric, percent: float | None, statistic: Statistic | None) -> str:
    word = METRICS[metric].words[0]
    if not METRICS[metric].is_time:
        return word
    taken = statistic if percent is None else f"p{plain_number(percent)}"
    return f"{word} {taken}".strip()
