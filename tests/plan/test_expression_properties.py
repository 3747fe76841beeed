"""Whatever a condition, an extract or a value says, it compiles or is a problem with a hint."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from atm.models.fields import Findings
from atm.plan.expressions import compile_condition
from atm.plan.extracts import compile_extract
from atm.plan.program import All, Comparison, Either, Extract, Negation, Slot
from atm.plan.templates import Names
from atm.plan.think_time import compile_think
from atm.plan.values import Places, Scope
from tests.examples import examples

WORDS = (
    *("status", "time", "size", "body", "header", "cookie", "regex", "schema", "and", "or", "not", "in", "exists"),
    *("missing", "contains", "matches", "==", "!=", "<", "<=", ">", ">=", "=", "(", ")", "[", "]", ",", "|", "first"),
    *("random", "count", "default", "$.a", "$.items[*].id", "$['a b']", "$[?@.x > 1]", "stock", "200", "2xx", "500ms"),
    *(
        "1mb",
        "1e999",
        '"a"',
        "'b",
        "{{stock}}",
        "{{",
        "}}",
        "{{stock | base64}}",
        "random_int(1,6)",
        "/x/",
        "/x/i",
        "ok",
    ),
)
TEXTS = st.one_of(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.text(max_size=60))


def names() -> Names:
    names = Names({"mode": "fast"}, {}, Findings())
    names.scope = Scope(names.places, {"stock": Slot("stock")})
    return names


@given(TEXTS, st.booleans())
@examples(500)
def test_a_condition_compiles_or_is_a_problem(text: str, of_response: bool) -> None:
    scope = names()
    condition = compile_condition(text, ("c",), scope, of_response=of_response, read_schema=lambda _, __: True)
    assert (condition is None) == (len(scope.findings) > 0)
    assert condition is None or isinstance(condition, Comparison | All | Either | Negation)


@given(TEXTS)
@examples(300)
def test_an_extract_compiles_or_is_a_problem(text: str) -> None:
    scope = names()
    extract = compile_extract(0, text, ("e",), scope)
    assert (extract is None) == (len(scope.findings) > 0)
    assert extract is None or isinstance(extract, Extract)


@given(st.one_of(TEXTS, st.text("0123456789.smh()expnormal, ", max_size=20)))
@examples(300)
def test_a_think_time_compiles_or_is_a_problem(text: str) -> None:
    findings = Findings()
    think = compile_think(text, ("t",), findings, Places())
    assert (think is None) == (len(findings) > 0)


@given(st.text("abc(){}|,\"\\' .stock_randominthmac256base64:+-", max_size=40))
@examples(500)
def test_a_value_compiles_or_is_a_problem(text: str) -> None:
    scope = names()
    template = scope.template(f"{{{{{text}}}}}", ("v",))
    assert len(scope.findings) > 0 or template is not None
