from __future__ import annotations

import pytest

from tools import wording
from tools.repository import ROOT


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("# sent to whoever listens", "whoever"),
        ('message = "Nobody listens"', "Nobody"),
        ("for asked in requests:", "asked"),
        ("//! It waits so\n//! long.", "so long"),
        ("The run goes\non.", "goes on"),
    ],
)
def test_a_narrator_word_is_found(text: str, word: str) -> None:
    assert [match for _, match in wording.matches(text)] == [word]


@pytest.mark.parametrize("text", ["was_asked = True", "slippage", "the task is done", "so. Many requests"])
def test_parts_of_names_and_other_words_pass(text: str) -> None:
    assert list(wording.matches(text)) == []


def test_a_match_has_the_line_in_which_it_begins() -> None:
    assert [line for line, _ in wording.matches("first\nsecond\nso\n# many\n")] == [3]


@pytest.mark.parametrize(("name", "exempt"), [("docs/proof/core.txt", True), ("docs/guide/dashboard.md", False)])
def test_an_exception_covers_a_directory(name: str, exempt: bool) -> None:
    assert wording.is_exempt(name) is exempt


def test_a_generated_block_is_checked_in_its_source_only() -> None:
    page = "<!-- all fields -->\nasked\n<!-- end of all fields -->\ntold\n"
    assert list(wording.matches(page)) == [(4, "told")]


def test_every_exception_exists() -> None:
    for name in wording.EXCEPTIONS:
        assert (ROOT / name).exists(), f"{name} is gone: remove its exception"
