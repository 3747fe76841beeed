"""Thresholds on metrics that a test declares: `metric orders total >= 100`, `metric queue time p95 < 300 ms`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.models.duration import plain_number
from atm.models.metric import Comparison, Statistic
from atm.models.own_metric import STATISTICS, OwnKind, OwnMetric
from atm.models.threshold_names import Scope, threshold_problem

_RULE = (
    r"metric\s+(?P<subject>[^<>=]+?)\s*(?P<comparison><=|>=|<|>)\s*"
    r"(?P<number>-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*(?P<unit>[^\s\d<>=]*?)(?:\s+for\s+(?P<window>.+))?"
)
_WORDS = {
    "min": Statistic.MIN,
    "max": Statistic.MAX,
    "mean": Statistic.MEAN,
    "avg": Statistic.MEAN,
    "average": Statistic.MEAN,
    "total": Statistic.TOTAL,
    "sum": Statistic.TOTAL,
    "rate": Statistic.RATE,
    "count": Statistic.COUNT,
    "last": Statistic.LAST,
}
_PERCENTILE = r"p(?P<percent>[0-9]+(?:\.[0-9]+)?)|p\s*\(\s*(?P<inside>[0-9.]+)\s*\)|med(?:ian)?"
_TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0}
_EXAMPLES = {
    OwnKind.COUNTER: "metric orders total >= 100",
    OwnKind.TREND: "metric queue time p95 < 300",
    OwnKind.GAUGE: "metric stock last >= 1",
}


@dataclass(frozen=True, slots=True)
class OwnRule:
    """A rule on a metric, parsed."""

    metric: OwnMetric
    percent: float | None
    statistic: Statistic | None
    comparison: Comparison
    limit: float
    """In the unit of the metric."""
    text: str
    """Normalised: `metric orders total >= 100`."""
    window: str | None


def is_own_rule(rule: str) -> bool:
    """Return whether a rule is about a metric that a test declares."""
    return re.match(r"metric\s+[^\s<>=]", rule, re.IGNORECASE) is not None


def parse_own_rule(text: str, rule: str, metrics: Sequence[OwnMetric] | None, scope: Scope) -> OwnRule | None:
    """Parse a rule, None if its syntax is wrong. With `metrics` None, any name is allowed. Raises SpecError."""
    match = re.fullmatch(_RULE, rule, re.IGNORECASE)
    if match is None:
        return None
    if scope.name:
        what = (
            f'the threshold "{text}" judges a metric of the test in "{scope.name}"; it has values of the whole run only'
        )
        raise threshold_problem(what, "Move it to the thresholds of the spec, without a name before it")
    metric, written = _metric(match["subject"].strip(), metrics, text)
    percent, statistic = _statistic(metric, written, text)
    limit, unit = _limit(metric, statistic, float(match["number"]), match["unit"], text)
    taken = f"p{plain_number(percent)}" if percent is not None else statistic
    comparison = Comparison(match["comparison"])
    shown = f"metric {metric.name} {taken} {comparison} {plain_number(float(match['number']))}"
    return OwnRule(metric, percent, statistic, comparison, limit, f"{shown} {unit}".rstrip(), match["window"])


def unit_of(metric: OwnMetric, statistic: Statistic | None) -> str:
    """Return the unit of a statistic: `orders/s` for a rate, none for a number of values."""
    if statistic is Statistic.COUNT:
        return ""
    return f"{metric.unit}/s" if statistic is Statistic.RATE else metric.unit


def _metric(subject: str, metrics: Sequence[OwnMetric] | None, text: str) -> tuple[OwnMetric, str]:
    """Return the metric, and what follows its name."""
    quoted = re.fullmatch(r"([\"'])(?P<name>.+?)\1\s*(?P<rest>.*)", subject)
    if metrics is None:
        return _guessed(*(quoted["name"], quoted["rest"]) if quoted else _split(subject))
    for metric in sorted(metrics, key=lambda metric: len(metric.name), reverse=True):
        if quoted:
            if quoted["name"] == metric.name:
                return metric, quoted["rest"]
        elif subject == metric.name or subject.startswith(f"{metric.name} "):
            return metric, subject.removeprefix(metric.name).strip()
    from atm.models.nearest import nearest

    name = quoted["name"] if quoted else _split(subject)[0]
    names = [metric.name for metric in metrics]
    close = nearest(name, names)
    hint = f'Did you mean "{close[0]}"?' if close else "It has: " + ", ".join(f'"{candidate}"' for candidate in names)
    if not names:
        hint = f'Declare it at the top level of the Python file: `atm.Counter("{name}")`'
    raise threshold_problem(
        f'the threshold "{text}" names a metric "{name}", which the test does not declare', hint, "unknown_metric"
    )


def _split(subject: str) -> tuple[str, str]:
    """Return a name that is not known, and the statistic after it."""
    name, _, last = subject.rpartition(" ")
    if name and (last.lower() in _WORDS or re.fullmatch(_PERCENTILE, last, re.IGNORECASE)):
        return name, last
    return subject, ""


def _guessed(name: str, written: str) -> tuple[OwnMetric, str]:
    statistic = _WORDS.get(written.lower())
    kinds = [kind for kind, statistics in STATISTICS.items() if statistic in statistics]
    kind = kinds[0] if kinds else OwnKind.TREND if written else OwnKind.COUNTER
    return OwnMetric(name, kind), written


def _statistic(metric: OwnMetric, written: str, text: str) -> tuple[float | None, Statistic | None]:
    percentile = re.fullmatch(_PERCENTILE, written, re.IGNORECASE)
    statistics = STATISTICS[metric.kind]
    if metric.kind is OwnKind.TREND:
        if percentile:
            percent = float(percentile["percent"] or percentile["inside"] or "50")
            if not 0 < percent <= 100:
                raise threshold_problem(
                    f'the threshold "{text}" has a percentile of {percent:g}; it must be above 0 and at most 100'
                )
            return percent, None
    elif not written:
        return None, statistics[0]
    statistic = _WORDS.get(written.lower())
    if statistic in statistics:
        return None, statistic
    listed = ", ".join((*(("a percentile",) if metric.kind is OwnKind.TREND else ()), *statistics))
    what = f'"{written}", which a {metric.kind} does not have' if written else "no statistic of a trend"
    hint = f'"{metric.name}" has: {listed}. Example: "{_EXAMPLES[metric.kind]}"'
    raise threshold_problem(f'the threshold "{text}" judges {what}', hint)


def _limit(metric: OwnMetric, statistic: Statistic | None, number: float, written: str, text: str) -> tuple[float, str]:
    """Return the limit in the unit of the metric, and the unit to show."""
    unit = unit_of(metric, statistic)
    allowed = {"", unit, "/s"} if statistic is Statistic.RATE else {"", unit}
    if written in allowed:
        return number, unit
    if written.lower() in _TIME_UNITS and unit in _TIME_UNITS:
        return number * _TIME_UNITS[written.lower()] / _TIME_UNITS[unit], written
    has = f"is in {unit}" if unit else "has no unit"
    raise threshold_problem(f'the threshold "{text}" has the unit "{written}"; "{metric.name}" {has}', "Leave it out")
