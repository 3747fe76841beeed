"""No response makes a condition or an extract raise."""

from __future__ import annotations

import gzip
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.responses import CHECKED_BYTES
from atm.engine.asyncio_engine.scenario.condition import condition_of
from atm.engine.asyncio_engine.scenario.extract import extract_of
from atm.engine.asyncio_engine.scenario.json_text import read_json
from atm.engine.asyncio_engine.scenario.value import UNSET, json_form
from atm.plan.program import Comparison, Extract, Negation, Subject
from tests.engine.asyncio_engine.scenario.cases import CONTEXT, EVALUATION, CaseUser, answer_to
from tests.engine.asyncio_engine.scenario.test_shared_evaluation import condition_in
from tests.examples import examples

CONDITIONS = [condition_of(condition_in(case), CONTEXT) for case in EVALUATION["conditions"]]
PICKS: list[Any] = ["first", "last", "random", "all", "count"]
READ: list[tuple[Any, str]] = [
    ("json", "$..*"),
    ("json", "$.a[?@.b>1]"),
    ("regex", "(.)|x*"),
    ("header", "x"),
    ("cookie", "a"),
]
EXTRACTS = [
    extract_of(Extract(0, Subject(kind, text, pick), "as written"), CONTEXT) for kind, text in READ for pick in PICKS
]
JSON_LIKE = st.text('{}[]":,0123456789.eE-+ \\uabdnulltrefs\x00é', max_size=60)
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON_LIKE.map(str.encode),
    st.binary(max_size=60).map(gzip.compress),
    st.integers(0, 300).map(lambda levels: b"[" * levels + b"]" * levels),
)
LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["Content-Type", "Content-Encoding", "Set-Cookie", "X"]),
        st.one_of(
            LATIN, st.sampled_from(["gzip", "deflate", "text/plain; charset=utf-16", "x; charset=nope", "a=1; b"])
        ),
    ).map(list),
    max_size=4,
)


@given(BODIES, HEADERS, st.integers(100, 999))
@examples(200)
def test_no_answer_makes_anything_raise(body: bytes, headers: list[list[str]], status: int) -> None:
    answer, user = answer_to(body, status=status, headers=headers), CaseUser()
    for holds in CONDITIONS:
        assert holds(answer, user) in (True, False)
    for extracted in EXTRACTS:
        value = extracted(answer, user)
        if value is not UNSET:
            read_json(json_form(value))


def test_a_body_that_is_too_long_has_no_value() -> None:
    for body, headers in (
        (b'"' + b"a" * (CHECKED_BYTES - 1) + b'"', []),
        (gzip.compress(b'"' + b"a" * (CHECKED_BYTES - 1) + b'"'), [["Content-Encoding", "gzip"]]),
    ):
        answer = answer_to(body, headers=headers)
        assert answer.text is None
        assert answer.utf8 is None
        assert answer.document is UNSET
    assert answer_to(b'"' + b"a" * (CHECKED_BYTES - 2) + b'"').document == "a" * (CHECKED_BYTES - 2)


def test_a_body_that_was_not_kept_whole_has_no_value() -> None:
    assert answer_to(b"[1]", size=4).document is UNSET


def test_a_body_is_parsed_once() -> None:
    answer = answer_to(b'{"a":[1]}')
    assert answer.document is answer.document


def test_the_negation_of_a_missing_subject_is_true_though_ne_is_false() -> None:
    answer, user = answer_to(b"{}"), CaseUser()
    equal = Comparison(Subject("json", "$.a"), "eq", 1)
    assert condition_of(Negation(equal), CONTEXT)(answer, user)
    assert not condition_of(Comparison(Subject("json", "$.a"), "ne", 1), CONTEXT)(answer, user)
