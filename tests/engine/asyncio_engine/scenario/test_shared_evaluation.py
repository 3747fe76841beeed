"""Conditions, extracts and values are those of the cases that both engines share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from atm.engine.asyncio_engine.scenario.condition import condition_of
from atm.engine.asyncio_engine.scenario.extract import extract_of
from atm.engine.asyncio_engine.scenario.json_text import compact
from atm.engine.asyncio_engine.scenario.message import failed_check, nothing_to_extract
from atm.engine.asyncio_engine.scenario.subject import subject_of
from atm.engine.asyncio_engine.scenario.template import part_of
from atm.engine.asyncio_engine.scenario.value import UNSET, json_form, text_form
from atm.plan import json_paths
from atm.plan.json_paths import JsonPathError
from atm.plan.plan_decoder import decode
from atm.plan.program import All, Comparison, Condition, Either, Extract, Negation, Subject
from atm.plan.template_parts import ValuePart
from tests.engine.asyncio_engine.scenario.cases import CONTEXT, EVALUATION, CaseUser, answer_of, answer_to, body_of

KINDS: dict[str, Any] = {"comparison": Comparison, "all": All, "either": Either, "negation": Negation}


def condition_in(case: dict[str, Any]) -> Condition:
    condition: Condition = decode(KINDS[case["condition"]["condition"]], case["condition"])
    return condition


def failing(cases: Iterable[Any], holds: Callable[[Any], bool]) -> list[Any]:
    """The cases that do not hold. One test looks at all of a kind, as pytest takes longer than most of them."""
    return [case for case in cases if not holds(case)]


def test_conditions_hold_as_in_the_shared_cases() -> None:
    def holds(case: dict[str, Any]) -> bool:
        return condition_of(condition_in(case), CONTEXT)(answer_of(case["answer"]), CaseUser()) is case["holds"]

    assert failing(EVALUATION["conditions"], holds) == []


def test_extracts_are_those_of_the_shared_cases() -> None:
    def holds(case: dict[str, Any]) -> bool:
        subject = decode(Subject, case["subject"])
        value = extract_of(Extract(0, subject, "as written"), CONTEXT)(answer_of(case["answer"]), CaseUser())
        if case["json"] is None:
            return value is UNSET
        return bool((json_form(value), text_form(value)) == (case["json"], case["text"]))

    assert failing(EVALUATION["extracts"], holds) == []


def test_a_default_is_taken_only_without_a_value() -> None:
    answer, user = answer_of("shop"), CaseUser()
    nothing = Extract(0, Subject("json", "$.nothing"), "$.nothing", has_default=True, default=7)
    nope = Extract(0, Subject("json", "$.nope"), "$.nope", has_default=True, default=None)
    assert extract_of(nothing, CONTEXT)(answer, user) is None
    assert extract_of(nope, CONTEXT)(answer, user) is None
    assert subject_of(nope.subject, CONTEXT)(answer, user) is UNSET


def test_documents_are_read_and_written_as_in_the_shared_cases() -> None:
    def holds(case: dict[str, Any]) -> bool:
        document = answer_to(body_of(case)).document
        return bool((None if document is UNSET else compact(document)) == case["json"])

    assert failing(EVALUATION["documents"], holds) == []


def test_paths_select_the_nodes_of_the_shared_cases() -> None:
    def holds(case: dict[str, Any]) -> bool:
        document = EVALUATION["path_documents"][case["document"]]
        nodes = list(json_paths.compiled(case["path"])(document))
        return json.dumps(nodes) == json.dumps(case["nodes"])

    assert failing(EVALUATION["paths"], holds) == []


def test_texts_that_are_no_path_are_refused() -> None:
    for path in EVALUATION["refused_paths"]:
        with pytest.raises(JsonPathError, match=r"is not a JSONPath: .") as error:
            json_paths.compiled(path)
        assert error.value.hint, path


def test_values_are_rendered_as_in_the_shared_cases() -> None:
    def holds(case: dict[str, Any]) -> bool:
        render = part_of(decode(ValuePart, case["part"]), CONTEXT)
        return bool(render(CaseUser()) == case["text"])

    assert failing(EVALUATION["renderings"], holds) == []


def test_messages_are_those_of_the_shared_cases() -> None:
    def message_of(case: dict[str, str]) -> str:
        if "check" in case:
            return failed_check(case["check"], case["text"])
        return nothing_to_extract(case["slot"], case["text"])

    assert failing(EVALUATION["messages"], lambda case: message_of(case) == case["message"]) == []
