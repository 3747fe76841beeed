"""JSON texts, forms of values, and how they compare."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.scenario.json_text import MOST_LEVELS, NotJsonError, compact, number_of, read_json
from atm.engine.asyncio_engine.scenario.value import UNSET, equals, json_form, order_of, text_form
from tests.examples import examples
from tests.steadiness import allowed

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(2**63), 2**64 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), INTEGERS, DOUBLES, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(TEXTS, inner, max_size=5)),
    max_leaves=20,
)
BRACKETS = st.text('[]{}",:\\ 1a', max_size=300)


def same(value: Any, other: Any) -> bool:
    return json.dumps(value) == json.dumps(other)


@given(VALUES)
@examples(500)
def test_the_json_form_is_read_back_as_the_same_value(value: Any) -> None:
    form = json_form(value)
    assert same(read_json(form), value)
    assert same(json.loads(form), value)


@given(VALUES)
@examples(200)
def test_the_text_form_of_a_text_is_itself_and_of_others_their_json(value: Any) -> None:
    assert text_form(value) == (value if isinstance(value, str) else json_form(value))


def test_no_value_has_forms_too() -> None:
    assert (text_form(UNSET), json_form(UNSET), bool(UNSET)) == ("", "null", False)


@given(DOUBLES)
@examples(1000)
def test_a_double_is_written_as_rust_writes_it(value: float) -> None:
    text = compact(value)
    assert float(text) == value
    assert math.copysign(1, float(text)) == math.copysign(1, value)
    size = abs(value)
    assert ("e" in text) is (size != 0 and not 1e-5 <= size < 1e16)
    assert "." in text or "e" in text
    assert "+" not in text
    assert "e0" not in text
    assert "e-0" not in text


@given(st.one_of(INTEGERS.map(str), DOUBLES.map(repr), st.text("0123456789.eE+-_ ", max_size=12)))
@examples(500)
def test_a_text_is_a_number_if_it_is_one_in_json(text: str) -> None:
    number = number_of(text)
    try:
        value = read_json(text)
    except NotJsonError:
        assert number is None
    else:
        assert same(number, value) if text == text.strip() else number is None


@given(st.one_of(BRACKETS, VALUES.map(json.dumps), VALUES.map(json.dumps).map(lambda text: text[:-1])))
@examples(1000)
def test_the_reader_accepts_what_the_standard_library_accepts(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(NotJsonError):
            read_json(text)
    else:
        assert same(read_json(text), expected)


@given(st.lists(st.sampled_from(['[{}, "]"]', '{{"a[": {}}}', '["\\\\", {}]', '["\\"[", {}, 1]']), max_size=140))
@examples(200)
def test_the_depth_counts_brackets_outside_of_strings(shells: list[str]) -> None:
    text = "1"
    for shell in shells:
        text = shell.format(text)
    if len(shells) <= MOST_LEVELS:
        assert compact(read_json(text))
    else:
        with pytest.raises(NotJsonError, match="deeper"):
            read_json(text)


@pytest.mark.parametrize("piece", ["[", "[]", "[[]", '"', "\\", '{"a":', "[1,", "]", "1", "\\ud800", "{}["])
def test_a_hostile_text_takes_limited_time(piece: str) -> None:
    text = piece * (4 * 1024 * 1024 // len(piece))
    started = time.monotonic()
    with pytest.raises(NotJsonError):
        read_json(f"[{text}")
    assert time.monotonic() - started < allowed(5)


@given(VALUES, VALUES)
@examples(300)
def test_values_compare_alike_in_both_directions(value: Any, other: Any) -> None:
    assert equals(value, value)
    sign, opposite = order_of(value, other), order_of(other, value)
    assert (sign is None) is (opposite is None)
    assert sign is None or opposite is None or sign == -opposite
