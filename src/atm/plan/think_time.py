"""Read think times: `2s`, `1s..4s`, `exp(3s)`, `normal(3s, 1s)`."""

from __future__ import annotations

import re

from atm.models.duration import format_seconds, parse_duration
from atm.models.fields import Findings, Path
from atm.plan.program import ThinkOp
from atm.plan.randomness import LONGEST_THINK_NS
from atm.plan.values import Places

_EXPONENTIAL = re.compile(r"exp(?:onential)?\s*\((.*)\)", re.DOTALL)
_NORMAL = re.compile(r"normal\s*\(([^,]*),([^,]*)\)", re.DOTALL)


def compile_think(text: str, path: Path, findings: Findings, places: Places) -> ThinkOp | None:
    """Compile a think time; None if it cannot be read, which is added to the findings."""
    text = text.strip()
    place = places.take(2)
    try:
        if match := _EXPONENTIAL.fullmatch(text):
            return ThinkOp("exponential", _nanoseconds(match[1]), place=place)
        if match := _NORMAL.fullmatch(text):
            return ThinkOp("normal", _nanoseconds(match[1]), _nanoseconds(match[2]), place)
        least, dots, most = text.partition("..")
        if not dots:
            return ThinkOp("fixed", _nanoseconds(text), place=place)
        first, second = _nanoseconds(least), _nanoseconds(most)
    except ValueError as error:
        hint = "Write `2s`, `1s..4s`, `exp(3s)` or `normal(3s, 1s)`"
        findings.add(path, f"think: {error}", "bad_think", hint)
        return None
    if second < first:
        findings.add(path, f"think: {text} ends before it begins", "bad_think", f"Write `{most}..{least}`")
        return None
    return ThinkOp("uniform", first, second, place)


def _nanoseconds(text: str) -> int:
    nanoseconds = round(parse_duration(text.strip()) * 1e9)
    if nanoseconds > LONGEST_THINK_NS:
        raise ValueError(f"at most 1 hour, not {format_seconds(nanoseconds / 1e9)}")
    return nanoseconds
