"""The metrics that a test in Python declares: their names, kinds, and the numbers that they take.

Values are kept as whole billionths, so that sums are exact and do not depend on the order of their parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum

from atm.dataclass import dataclass
from atm.models.metric import Statistic

SCALE = 1_000_000_000
"""Billionths per 1."""
HIGHEST = 10**12
"""The largest value; a gauge also takes negative ones, to the same limit."""
MOST_METRICS = 50
"""Most metrics that one run may have."""
LONGEST_NAME = 64
LONGEST_UNIT = 16


class OwnKind(StrEnum):
    """How a run reports the values."""

    COUNTER = "counter"
    """They are added up."""
    TREND = "trend"
    """Their distribution counts."""
    GAUGE = "gauge"
    """The last one counts."""


STATISTICS: Mapping[OwnKind, tuple[Statistic, ...]] = {
    OwnKind.COUNTER: (Statistic.TOTAL, Statistic.RATE),
    OwnKind.TREND: (Statistic.MEAN, Statistic.MIN, Statistic.MAX, Statistic.COUNT),
    OwnKind.GAUGE: (Statistic.LAST, Statistic.MIN, Statistic.MAX),
}
"""What a threshold may judge, beside the percentiles of a trend; the first one is the default, but for a trend."""


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """A metric that a Python file declares."""

    name: str
    kind: OwnKind
    unit: str = ""


def name_problem(name: object) -> str:
    """Return what is wrong with the name of a metric; empty if nothing is."""
    if not isinstance(name, str) or not name:
        return "the name of a metric is text, and not empty"
    if len(name) > LONGEST_NAME:
        return f"the name of a metric has at most {LONGEST_NAME} characters, and this one has {len(name)}"
    if not re.fullmatch(r"[^\W\d_](?:[\w .\-]*\w)?", name) or "  " in name:
        return f'"{name}" cannot be the name of a metric: it may have letters, digits, single spaces, ., _ and -'
    return ""


def unit_problem(unit: object) -> str:
    """Return what is wrong with the unit of a metric; empty if nothing is."""
    if not isinstance(unit, str):
        return "the unit of a metric is text"
    if len(unit) > LONGEST_UNIT:
        return f"the unit of a metric has at most {LONGEST_UNIT} characters, and this one has {len(unit)}"
    if not unit.isprintable() or re.search(r"[\s\d<>=]", unit):
        return f'"{unit}" cannot be the unit of a metric: it has no spaces, digits or comparisons'
    return ""
