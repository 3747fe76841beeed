"""Random decisions are those of the shared cases, and every row is used once per pass."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.plan.randomness import below, draw_at, random_string, row_of, think_ns, uuid4_at, weighted_index
from tests.examples import examples
from tests.vectors import vectors

RANDOMNESS = vectors("randomness")


@pytest.mark.parametrize("case", RANDOMNESS["draws"], ids=str)
def test_draws_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    place = (case["seed"], case["iteration"], case["place"], case["round"])
    assert (draw_at(*place), uuid4_at(*place)) == (case["bits"], case["uuid"])


@pytest.mark.parametrize("case", RANDOMNESS["strings"], ids=str)
def test_strings_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    assert random_string(case["first"], case["length"]) == case["text"]


@pytest.mark.parametrize("case", RANDOMNESS["weights"], ids=str)
def test_weighted_choices_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    assert weighted_index(case["bits"], case["weights"]) == case["index"]


@pytest.mark.parametrize("case", RANDOMNESS["integers"], ids=str)
def test_integers_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    assert case["low"] + below(case["bits"], case["high"] - case["low"] + 1) == case["value"]


@pytest.mark.parametrize("case", RANDOMNESS["thinks"], ids=str)
def test_think_times_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    names = ("distribution", "first_ns", "second_ns", "bits", "more_bits")
    difference = think_ns(*(case[name] for name in names)) - case["think_ns"]
    assert abs(difference) <= RANDOMNESS["tolerance_ns"]


@pytest.mark.parametrize("case", RANDOMNESS["rows"], ids=lambda case: f"{case['pick']} {case['seed']} {case['rows']}")
def test_rows_are_those_of_the_shared_cases(case: dict[str, Any]) -> None:
    drawn = [row_of(case["pick"], case["seed"], case["table"], case["rows"], number) for number in case["numbers"]]
    assert drawn == case["expected"]


@given(
    st.sampled_from(["in_order", "shuffled"]),
    st.integers(0, 2**64 - 1),
    st.integers(0, 1000),
    st.integers(1, 200),
    st.integers(0, 10**9),
)
@examples(200)
def test_each_pass_gives_every_row_once(pick: str, seed: int, table: int, rows: int, passes: int) -> None:
    first = passes * rows + 1
    drawn = [row_of(pick, seed, table, rows, number) for number in range(first, first + rows)]
    assert sorted(drawn) == list(range(rows))


@given(st.integers(0, 2**64 - 1), st.integers(0, 1000), st.integers(1, 10**9), st.integers(1, 2**63))
@examples(200)
def test_a_random_row_exists(seed: int, table: int, rows: int, number: int) -> None:
    assert 0 <= row_of("random", seed, table, rows, number) < rows
