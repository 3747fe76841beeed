"""JSONPath queries, compared with a plain reading of RFC 9535 and with the library that parses them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.plan.json_path_queries import parsed
from atm.plan.json_paths import MOST_CHARACTERS, JsonPathError, compiled
from tests.examples import examples
from tests.steadiness import allowed

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from([0.0, 1.0, 2.5, "", "a", "b", "1"]))
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["a", "b", "c", "0"]), inner, max_size=4)
    ),
    max_leaves=25,
)
SIMPLE_STEPS = st.lists(
    st.sampled_from([".a", ".b", "['a']", '["c"]', "[0]", "[1]", "[-1]", "[-2]", ".*", "[*]", "['0']"]), max_size=4
)
SELECTORS = st.one_of(
    st.tuples(st.just("name"), st.sampled_from(["a", "b", "c", "0"])),
    st.tuples(st.just("index"), st.integers(-3, 3)),
    st.tuples(
        st.just("slice"),
        st.tuples(*[st.one_of(st.none(), st.integers(-3, 3)) for _ in ["start", "end", "step"]]),
    ),
    st.tuples(st.just("all"), st.none()),
    st.tuples(
        st.just("filter"), st.tuples(st.sampled_from(["a", "b", ""]), st.sampled_from(["==", "!=", "<", ">="]), SCALARS)
    ),
    st.tuples(st.just("test"), st.sampled_from(["a", "b", ""])),
)
SEGMENTS = st.lists(st.tuples(st.booleans(), st.lists(SELECTORS, min_size=1, max_size=3)), max_size=3).filter(
    lambda segments: sum(descends for descends, _ in segments) <= 2
)


def written(segments: list[Any]) -> str:
    """The query that the segments are."""
    return "$" + "".join(f"{'..' if deep else ''}[{','.join(map(selector_text, some))}]" for deep, some in segments)


def selector_text(selector: tuple[str, Any]) -> str:
    kind, value = selector
    if kind == "slice":
        return ":".join("" if part is None else str(part) for part in value)
    if kind == "filter":
        name, operator, operand = value
        return f"?@{'.' + name if name else ''} {operator} {json.dumps(operand)}"
    if kind == "test":
        return f"?@{'.' + value if value else ''}"
    return {"name": repr(value), "index": str(value), "all": "*"}[kind]


def selected(nodes: list[Any], segments: list[Any]) -> list[Any]:
    """The nodes of a query by the sentences of section 2, one after the other."""
    for deep, selectors in segments:
        parents = [below for node in nodes for below in (descendants(node) if deep else [node])]
        nodes = [child for parent in parents for selector in selectors for child in children(parent, selector)]
    return nodes


def descendants(node: Any) -> Iterator[Any]:
    yield node
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else []
    for child in inner:
        yield from descendants(child)


def children(node: Any, selector: tuple[str, Any]) -> list[Any]:
    kind, value = selector
    every = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []
    if kind == "all":
        return every
    if kind == "name":
        return [node[value]] if isinstance(node, dict) and value in node else []
    if kind == "index":
        at = value if value >= 0 or not isinstance(node, list) else len(node) + value
        return [node[at]] if isinstance(node, list) and 0 <= at < len(node) else []
    if kind == "slice":
        return [node[at] for at in slice_indices(len(node), *value)] if isinstance(node, list) else []
    if kind == "test":
        return [child for child in every if not value or (isinstance(child, dict) and value in child)]
    name, operator, operand = value
    return [child for child in every if compares(*singular(child, name), operator, operand)]


def singular(node: Any, name: str) -> tuple[bool, Any]:
    if not name:
        return True, node
    return (True, node[name]) if isinstance(node, dict) and name in node else (False, None)


def compares(exists: bool, value: Any, operator: str, operand: Any) -> bool:
    """Section 2.3.5.2.2, with a literal that is no array and no object on the right."""
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (value, operand))
    same = exists and value == operand and (numbers or type(value) is type(operand))
    if operator in ("==", "!="):
        return same is (operator == "==")
    comparable = exists and (numbers or (isinstance(value, str) and isinstance(operand, str)))
    if operator == "<":
        return bool(comparable and value < operand)
    return bool(same or (comparable and value > operand))


def slice_indices(length: int, start: int | None, end: int | None, step: int | None) -> list[int]:
    """Section 2.3.4.2.2."""
    step = 1 if step is None else step
    if step == 0:
        return []
    start = (0 if step > 0 else length - 1) if start is None else start + length * (start < 0)
    end = (length if step > 0 else -1) if end is None else end + length * (end < 0)
    if step > 0:
        lower, upper = min(max(start, 0), length), min(max(end, 0), length)
        return list(range(lower, upper, step))
    upper, lower = min(max(start, -1), length - 1), min(max(end, -1), length - 1)
    return list(range(upper, lower, step))


@given(DOCUMENTS, SEGMENTS)
@examples(1000)
def test_queries_select_what_the_rfc_says(document: Any, segments: list[Any]) -> None:
    assert json.dumps(list(compiled(written(segments))(document))) == json.dumps(selected([document], segments))


@given(DOCUMENTS, SIMPLE_STEPS)
@examples(500)
def test_simple_queries_select_the_same_without_the_library(document: Any, steps: list[str]) -> None:
    path = "$" + "".join(steps)
    assert json.dumps(list(compiled(path)(document))) == json.dumps(list(parsed(path)(document, document)))


@pytest.mark.parametrize(
    ("path", "document", "nodes"),
    [
        ("$.l[?@.x == $.want].x", {"want": 2, "l": [{"x": 1}, {"x": 2}]}, [2]),
        ("$.l[?@.m[?@.x == $.want]].n", {"want": 2, "l": [{"m": [{"x": 2}], "n": 5}, {"m": [{"x": 3}]}]}, [5]),
        ("$[?@.a == @.b]", [{"a": [1], "b": [True]}, {"a": [1], "b": [1.0]}, {}], [{"a": [1], "b": [1.0]}, {}]),
        ("$[?!@]", [0, False, "", None], []),
        # Numbers are compared as doubles, which cannot tell these apart.
        ("$[?@ == 9007199254740993]", [9007199254740992, 9007199254740993], [9007199254740992, 9007199254740993]),
        ("$[?@ > 18446744073709551614]", [18446744073709551614, 18446744073709551615], []),
        ("$[?@ && 1 == 1]", [0, False, "", None], [0, False, "", None]),
        (
            "$[?length(value(@..a)) > 2]",
            [{"x": {"a": "abc"}}, {"a": "ab"}, {"a": "abc", "b": {"a": "abc"}}],
            [{"x": {"a": "abc"}}],
        ),
        ("$[?count(@..*) == 2]", [[1, 2], [[1]], [1]], [[1, 2], [[1]]]),
        (
            "$[?match(@.a, @.p)]",
            [{"a": "xx", "p": "x*"}, {"a": "xx", "p": "x"}, {"a": "x", "p": "("}, {"p": "x"}],
            [{"a": "xx", "p": "x*"}],
        ),
    ],
)
def test_filters_follow_the_rfc(path: str, document: Any, nodes: list[Any]) -> None:
    assert json.dumps(list(compiled(path)(document))) == json.dumps(nodes)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("items", '"items" is not a JSONPath: it does not start with $'),
        ("$.items ", '"$.items " is not a JSONPath: it ends with white space'),
        ("$..a..b..c", "has more than 2 times `..`"),
        (
            "$." + "a" * MOST_CHARACTERS,
            f"the JSONPath has {MOST_CHARACTERS + 2} characters; the maximum is {MOST_CHARACTERS}",
        ),
        ("$[?@.a == 1e999]", "is not a JSONPath: "),
        ("$[?@.a == " + "1" * 400 + "]", "is not a JSONPath: a number is out of range"),
        ("$[?@.a == 1.5e999]", "is not a JSONPath: a number is out of range"),
        ("$[?!'a']", "is not a condition"),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(path: str, what: str) -> None:
    with pytest.raises(JsonPathError) as error:
        compiled(path)
    assert what in str(error.value)
    assert error.value.hint


def test_two_dots_in_a_name_are_no_descendants() -> None:
    assert list(compiled("$['....']..a..b")({"....": {"a": {"b": 1}}})) == [1]


@given(st.text("$.[]*?@'\"()!=<>&|,:-0123456789ab \\\t", max_size=30))
@examples(500)
def test_every_text_is_a_query_or_refused(text: str) -> None:
    try:
        nodes = compiled("$" + text)
    except JsonPathError:
        return
    list(nodes({"a": [1, {"b": "x"}]}))


def test_a_hostile_response_takes_limited_time() -> None:
    deep: Any = "a" * 20_000 + "b"
    for _ in range(127):
        deep = [deep, deep] if type(deep) is str else [deep]
    started = time.monotonic()
    assert len(list(compiled("$..[?@..[0]]")(deep))) == 126
    assert list(compiled("$..[?match(@, '(a+)+')]")(deep)) == []
    assert time.monotonic() - started < allowed(2)
