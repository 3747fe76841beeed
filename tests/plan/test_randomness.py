"""The random decisions of programs, against the cases that all engines share."""

from __future__ import annotations

from atm.plan.randomness import draw_at, random_string, row_of, think_ns, uuid4_at, weighted_index
from tests.vectors import vectors

CASES = vectors("draws")


def test_decisions_are_those_of_the_other_languages() -> None:
    for *arguments, bits in CASES["draws"]:
        assert draw_at(*arguments) == bits
    for *arguments, uuid in CASES["uuids"]:
        assert uuid4_at(*arguments) == uuid
    for first, length, text in CASES["strings"]:
        assert random_string(first, length) == text
    for bits, weights, index in CASES["weighted"]:
        assert weighted_index(bits, weights) == index
    for *arguments, ns in CASES["thinks"]:
        assert think_ns(*arguments) == ns
    for *arguments, row in CASES["rows"]:
        assert row_of(*arguments) == row


def test_a_shuffled_pass_gives_every_row_once_and_the_next_pass_another_order() -> None:
    for rows in (1, 2, 3, 10, 1000):
        first, second = (
            [row_of("shuffled", 7, 0, rows, number) for number in range(begin, begin + rows)] for begin in (1, 1 + rows)
        )
        assert sorted(first) == sorted(second) == list(range(rows))
        assert rows < 10 or first != second
