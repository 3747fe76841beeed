"""Rows that several engines used are one run's: compared with the set of all uses."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atm.engine.asyncio_engine.ledger.data_books import DataBooks
from atm.metrics.interval import Interval
from atm.metrics.scenario_interval import DataInterval
from atm.metrics.used_rows import UsedRows, encoded_rows
from atm.plan.program import DataTable

ROWS = (1, 8, 40)
TABLES = [DataTable(f"t{rows}", ("a",), rows, "iteration", "random", "") for rows in ROWS]
uses = st.sampled_from([(table, row) for table, rows in enumerate(ROWS) for row in range(rows)])
seconds = st.lists(st.lists(uses, max_size=30), min_size=1, max_size=5)


@given(st.lists(seconds, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_used_and_repeated_are_those_of_all_engines(engines: list[list[list[tuple[int, int]]]], order: object) -> None:
    parts: list[DataInterval] = []
    for engine in engines:
        books = DataBooks(TABLES, is_shared=True)
        for second in engine:
            for table, row in second:
                books.count(table, row)
            parts += books.take()
    order.shuffle(parts)  # type: ignore[attr-defined]  # it is a random.Random
    together = UsedRows(ROWS)
    totals = {table: DataInterval(table) for table in range(len(ROWS))}
    for part in parts:
        for merged in together.merged([part]):
            totals[merged.table].used += merged.used
            totals[merged.table].repeated += merged.repeated
    all_uses = [use for engine in engines for second in engine for use in second]
    for table, total in totals.items():
        rows = [row for of, row in all_uses if of == table]
        assert (total.used, total.repeated) == (len(set(rows)), len(rows) - len(set(rows)))


def test_parts_of_one_second_are_merged_by_table() -> None:
    parts = [
        DataInterval(2, 2, 1, encoded_rows([1, 39])),
        DataInterval(1, 1, 0, encoded_rows([0])),
        DataInterval(2, 2, 0, encoded_rows([39, 8])),
    ]
    assert UsedRows(ROWS).merged(parts) == [DataInterval(1, 1), DataInterval(2, 3, 2)]


@pytest.mark.parametrize(
    "part",
    [
        DataInterval(3, 1, 0, encoded_rows([0])),
        DataInterval(-1, 1, 0, encoded_rows([0])),
        DataInterval(1, 1),
        DataInterval(1, 2, 0, encoded_rows([3])),
        DataInterval(1, 1, 0, encoded_rows([8])),
        DataInterval(1, 8, 0, zlib.compress(b"\xff" * 10**6)[:100]),
        DataInterval(1, 9, 0, zlib.compress(b"\xff" * 10**6)),
        DataInterval(1, 1, 0, b"not zlib"),
    ],
)
def test_a_part_that_contradicts_itself_is_refused(part: DataInterval) -> None:
    with pytest.raises(ValueError, match="test data"):
        UsedRows(ROWS).merged([part])


def test_rows_travel_in_an_interval() -> None:
    interval = Interval(0, "load", 1, 0.0, data=[DataInterval(0, 2, 3, encoded_rows([5, 1000]))])
    assert Interval.from_bytes(interval.to_bytes()) == interval
    plain = replace(interval, data=[DataInterval(0, 2, 3)])
    assert b"rows" not in plain.to_bytes()
