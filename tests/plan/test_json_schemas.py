"""JSON Schemas are judged like by an independent validator, and refused with what to do."""

from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.plan.json_schemas import JsonSchemaError, compiled
from tests.examples import examples
from tests.steadiness import allowed

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([0.5, 2.0, "", "a", "ab", "é"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SCHEMAS = st.recursive(
    st.one_of(
        st.booleans(),
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=2, unique=True)),
                "minimum": st.integers(-2, 2),
                "exclusiveMaximum": st.integers(-2, 2),
                "multipleOf": st.sampled_from([1, 2, 0.5]),
                "maxLength": st.integers(0, 2),
                "pattern": st.sampled_from(["^a", "b$", "[^a]"]),
                "uniqueItems": st.booleans(),
                "minItems": st.integers(0, 2),
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "const": VALUES,
                "enum": st.lists(VALUES, min_size=1, max_size=3),
            },
        ),
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "contains": inner,
            "unevaluatedProperties": inner,
        },
    ),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
@examples(500)
def test_values_are_judged_like_by_an_independent_validator(schema: Any, value: Any) -> None:
    assert compiled(schema)(value) == jsonschema.Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        (None, "a JSON Schema is an object, true or false, not null"),
        ("x", "not a text"),
        ([], "not a list"),
        (1, "not a number"),
        ({"type": "x"}, "the JSON Schema is not valid at /type: "),
        ({"properties": {"a": {"minimum": "1"}}}, "not valid at /properties/a/minimum: "),
        ({"pattern": "(?=a)"}, "not valid at /pattern: "),
        ({"pattern": "(a{1000}){1000}"}, "not valid at /pattern: "),
        ({"$ref": "http://other.invalid/schema"}, "refers to what is not in it: "),
        ({"$ref": "file:///other.json"}, "refers to what is not in it: "),
        ({"$ref": "other.json"}, "refers to what is not in it: "),
        ({"$ref": "#/$defs/nope"}, "refers to what is not in it: "),
        ({"$schema": "http://other.invalid/draft"}, "refers to what is not in it: "),
    ],
)
def test_a_refusal_says_what_is_wrong_and_what_to_do(schema: Any, what: str) -> None:
    with pytest.raises(JsonSchemaError) as error:
        compiled(schema)
    assert what in str(error.value)
    assert error.value.hint


def chain(length: int, *, copies: int = 1) -> dict[str, Any]:
    """A schema whose definitions each refer to the next one."""
    definitions: dict[str, Any] = {
        f"d{number}": {"allOf": [{"$ref": f"#/$defs/d{number + 1}"}] * copies} for number in range(length)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {"type": "string"}}}


def members(length: int, **fields: Any) -> dict[str, Any]:
    """A schema whose definitions each judge the member `a` twice by the next one."""
    definitions: dict[str, Any] = {}
    for number in range(length):
        branch = {"properties": {"a": {"$ref": f"#/$defs/d{number + 1}"}}}
        definitions[f"d{number}"] = {"anyOf": [{**branch, "minProperties": 1}, branch], **fields}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{length}": {"type": "string"}}}


def clique(size: int) -> dict[str, Any]:
    """A schema whose definitions each refer to all others."""
    names = [f"d{number}" for number in range(size)]
    return {
        "$ref": "#/$defs/d0",
        "$defs": {
            name: {
                "properties": {other: {"$ref": f"#/$defs/{other}"} for other in names},
                "additionalProperties": {"anyOf": [{"$ref": f"#/$defs/{other}"} for other in names if other != name]},
                "unevaluatedProperties": {"anyOf": [{"$ref": f"#/$defs/{other}"} for other in names if other > name]},
                "allOf": [{"$ref": f"#/$defs/{other}"} for other in names if other > name],
            }
            for name in names
        },
    }


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        (chain(20, copies=2), "applies more than 10,000 schemas to one value"),
        (chain(900), "applies more than 50 schemas within each other to one value"),
        ({"$ref": "#"}, "applies more than 50 schemas"),
        ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, "applies more than 50 schemas"),
        (
            {"properties": {"x": {"$anchor": "b", "not": {"$ref": "#b"}}}},
            "applies more than 50 schemas",
        ),
        ({"$id": "http://a.invalid/x", "if": {"$ref": "http://a.invalid/x#"}}, "applies more than 50 schemas"),
        (members(14), "applies more than 10,000 schemas to one value"),
        (members(7, unevaluatedProperties=False), "applies more than 10,000 schemas to one value"),
        (clique(12), "repeats more than 20,000 schemas for its unevaluatedProperties and unevaluatedItems"),
    ],
)
def test_a_schema_that_visits_a_value_too_often_is_refused(schema: Any, what: str) -> None:
    with pytest.raises(JsonSchemaError, match=what) as error:
        compiled(schema)
    assert error.value.hint


def test_a_recursive_schema_of_a_tree_judges_the_deepest_body() -> None:
    tree = {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}}]}
    judge = compiled(tree)
    deepest: Any = None
    for _ in range(127):
        deepest = {"l": deepest, "r": None}
    assert judge(deepest)
    assert not judge({"l": {"r": 1}})
    assert compiled(chain(20))("text")


@pytest.mark.parametrize("schema", [{"properties": {"a": {"anyOf": [{"$ref": "#"}] * 2}}}, members(12)])
def test_what_is_accepted_judges_the_deepest_body_in_limited_time(schema: dict[str, Any]) -> None:
    deepest: Any = 1
    for _ in range(127):
        deepest = {"a": deepest}
    started = time.monotonic()
    compiled(schema)(deepest)
    assert time.monotonic() - started < allowed(5)


@pytest.mark.parametrize("meta", [jsonschema.Draft202012Validator, jsonschema.Draft201909Validator])
def test_the_schema_of_schemas_is_accepted(meta: Any) -> None:
    judge = compiled(meta.META_SCHEMA)
    assert judge(meta.META_SCHEMA)
    assert not judge({"type": "x"})


def test_a_hostile_response_takes_limited_time() -> None:
    started = time.monotonic()
    assert not compiled({"pattern": "^(a+)+$"})("a" * 100_000 + "b")
    assert time.monotonic() - started < allowed(2)
