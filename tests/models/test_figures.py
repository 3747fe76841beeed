"""One figure, one spelling: the test vectors that every formatter of ours shares."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.models import figures
from tests.examples import examples

VECTORS = Path(__file__).parents[2] / "docs" / "reference" / "number-formats.json"
RULES: dict[str, Callable[..., str]] = {
    "time": figures.time,
    "time_in": figures.time_in,
    "rate": figures.rate,
    "count": figures.count,
    "share": figures.share,
    "percent": figures.percent,
    "size": figures.size,
    "duration": figures.duration,
    "planned": figures.planned,
    "clock": figures.clock,
    "multiple": figures.multiple,
    "own_value": figures.own_value,
}


def vectors() -> list[Any]:
    cases = []
    for rule in json.loads(VECTORS.read_text(encoding="utf-8"))["rules"]:
        more = [rule["shown_in"]] if "shown_in" in rule else []
        for value, text in rule["vectors"]:
            number = math.inf if value == "Infinity" else value
            cases.append(pytest.param(rule["rule"], [number, *more], text, id=f"{rule['rule']} {value} is {text}"))
    return cases


@pytest.mark.parametrize(("rule", "arguments", "text"), vectors())
def test_the_shared_vectors_hold(rule: str, arguments: list[Any], text: str) -> None:
    assert RULES[rule](*arguments) == text


def test_every_rule_has_vectors() -> None:
    document = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert {rule["rule"] for rule in document["rules"]} == set(RULES)


@given(st.floats(1e-6, 3.6e6))
@examples(200)
def test_a_time_has_three_significant_digits_and_is_true_to_them(milliseconds: float) -> None:
    number, unit = figures.time(milliseconds).split(" ")
    length = {"ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3}[unit]
    assert float(number.replace(",", "")) * length == pytest.approx(milliseconds, rel=0.0051 if unit != "ns" else 0.51)
    assert len(re.sub(r"[.,]", "", number)) in ((1, 2, 3) if unit == "ns" else (3, 4))


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
@examples(200)
def test_a_share_reads_zero_or_all_only_when_it_is(part: float) -> None:
    text = figures.share(part)
    assert text not in ("0 %", "0.00 %", "100 %", "100.0 %", "100.00 %")
    shown = float(text.removesuffix(" %").lstrip("<>"))
    assert shown == pytest.approx(part * 100, abs=0.0501)


@given(st.floats(1e-9, 1e9))
@examples(200)
def test_a_rate_that_is_not_zero_does_not_read_zero(per_second: float) -> None:
    text = figures.rate(per_second)
    assert text != "0"
    assert text == "<0.001" or float(text.replace(",", "")) == pytest.approx(per_second, rel=1e-3, abs=5.1e-4)


@pytest.mark.parametrize(
    ("median_ms", "unit"),
    [(None, "ms"), (math.inf, "ms"), (0, "ms"), (0.0004, "ns"), (0.4, "µs"), (12.4, "ms"), (999.7, "s"), (4e6, "s")],
)
def test_a_block_takes_the_unit_of_its_median(median_ms: float | None, unit: str) -> None:
    assert figures.time_unit(median_ms) == unit


def test_a_number_has_a_noun_that_fits() -> None:
    assert [figures.counted(number, "user") for number in (0, 1, 2_000)] == ["0 users", "1 user", "2,000 users"]
    assert figures.counted(2, "process") == "2 processes"
