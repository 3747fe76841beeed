"""Both engines evaluate conditions, extracts and paths alike, on random documents and comparisons."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.scenario.condition import condition_of
from atm.engine.asyncio_engine.scenario.json_text import compact
from atm.engine.asyncio_engine.scenario.subject import subject_of
from atm.engine.asyncio_engine.scenario.value import UNSET, json_form
from atm.plan.json_paths import compiled
from atm.plan.program import Comparison, Subject
from tests.engine.asyncio_engine.scenario.cases import CONTEXT, EVALUATION, CaseUser, answer_to
from tests.examples import examples

NATIVE = Path(__file__).resolve().parents[2] / "native"
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -0.0, 1.0, 1e16, 1e-7, 2.0**53, 2**53 + 1]),
)
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.sampled_from(["", "a", "1", "1.0", "-0", "1e2", "01", "1e999", "true", "null", "é😀"]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
NAMES = st.sampled_from(["a", "b", "c", "0", ""])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=15,
)
# Filters compare with integers and texts only: the library of the native engine orders false before true, and compares
# numbers as doubles.
STEPS = [".a", ".b", "['c']", '[""]', "[0]", "[-1]", ".*", "[*]", "..a", "..*", "[0:2]", "[::-1]", "['a','b']"]
FILTERS = ["[?@.a]", "[?@.a == 'a']", "[?@.b]", "[?!@.a]", "[?length(@) > 1]", "[?@.a == 'a' || @.b]"]
SEGMENTS = st.sampled_from([*STEPS, *FILTERS])
PATHS = (
    st.lists(SEGMENTS, max_size=4)
    .filter(lambda parts: "".join(parts).count("..") <= 2)
    .map(lambda parts: "$" + "".join(parts))
)
SUBJECTS: st.SearchStrategy[Subject] = st.one_of(
    st.builds(
        Subject, st.just("json"), PATHS, st.sampled_from(["first", "last", "random", "all", "count"]), st.integers(0, 9)
    ),
    st.builds(
        Subject,
        st.just("regex"),
        st.sampled_from(["a", "x*", "(\\d+)", "(a)|\\d", "\\b", "é?", '"(\\w*)"']),
        st.sampled_from(["first", "last", "random", "all", "count"]),
    ),
    st.builds(Subject, st.sampled_from(["status", "size", "body"])),
    st.builds(Subject, st.just("header"), st.just("x"), st.sampled_from(["first", "last", "all", "count"])),
)
COMPARISONS: st.SearchStrategy[Comparison] = st.one_of(
    st.builds(
        Comparison,
        SUBJECTS,
        st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "contains", "not_contains"]),
        DOCUMENTS,
    ),
    st.builds(Comparison, SUBJECTS, st.sampled_from(["in", "not_in"]), st.lists(DOCUMENTS, max_size=3)),
    st.builds(Comparison, SUBJECTS, st.sampled_from(["exists", "missing"])),
    st.builds(Comparison, SUBJECTS, st.sampled_from(["matches", "not_matches"]), st.sampled_from(["a", "^\\d+$", "é"])),
    st.builds(
        Comparison,
        SUBJECTS,
        st.just("conforms"),
        st.sampled_from(
            [{"type": "object"}, {"type": "integer"}, {"minimum": 1}, {"required": ["a"]}, {"pattern": "^a"}]
        ),
    ),
)


class NativeEvaluation:
    """The example `evaluate` of the native engine."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def result(self, body: str, **task: Any) -> Any:
        """Evaluate one case on a response with this body."""
        answer = {"status": 200, "headers": [["x", "1"], ["X", "b"]], "body": body}
        case = {"scope": EVALUATION["scope"], "answer": answer, **task}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(
            json.dumps(case, default=lambda item: {n: getattr(item, n) for n in item.__slots__}) + "\n"
        )
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


@pytest.fixture(scope="module")
def native() -> Iterator[NativeEvaluation]:
    if not shutil.which("cargo"):
        pytest.skip("no cargo to build the native engine's example")
    # With the features of the whole workspace, as its tests are built: nothing is compiled again.
    build = ["cargo", "build", "--quiet", "--locked", "--workspace", "--example", "evaluate"]
    subprocess.run(build, cwd=NATIVE, check=True)
    evaluation = NativeEvaluation(NATIVE / "target" / "debug" / "examples" / "evaluate")
    yield evaluation
    evaluation.close()


def answer_of(body: str) -> Any:
    return answer_to(body.encode(), headers=[["x", "1"], ["X", "b"]])


@given(DOCUMENTS, COMPARISONS)
@examples(300)
def test_conditions_hold_in_both(native: NativeEvaluation, document: Any, comparison: Comparison) -> None:
    body = json.dumps(document, ensure_ascii=False)
    holds = condition_of(comparison, CONTEXT)(answer_of(body), CaseUser())
    assert native.result(body, condition=comparison) is holds


@given(st.one_of(DOCUMENTS.map(json.dumps), TEXTS), SUBJECTS)
@examples(300)
def test_subjects_have_one_value(native: NativeEvaluation, body: str, subject: Subject) -> None:
    value = subject_of(subject, CONTEXT)(answer_of(body), CaseUser())
    assert native.result(body, subject=subject) == (None if value is UNSET else json_form(value))


@given(DOCUMENTS, PATHS)
@examples(300)
def test_paths_select_the_same_nodes(native: NativeEvaluation, document: Any, path: str) -> None:
    body = json.dumps(document)
    assert native.result(body, path=path) == [compact(node) for node in compiled(path)(answer_of(body).document)]
