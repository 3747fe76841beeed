"""The figures of test data, from intervals whose figures are known."""

from __future__ import annotations

import pytest

from atm.metrics.interval import Interval
from atm.metrics.scenario_interval import DataInterval
from atm.metrics.test_data import DataTotals
from atm.models.outline import DataSource


def second(number: int, *data: DataInterval) -> Interval:
    return Interval(number, "load", data=list(data))


def test_rows_add_up_and_the_last_unused_row_has_a_second() -> None:
    totals = DataTotals([DataSource("accounts", 10), DataSource("queries", 3), DataSource("idle", 5)])
    for interval in (
        second(0, DataInterval(0, 4), DataInterval(1, 2, 1)),
        second(1, DataInterval(1, 1)),
        second(2, DataInterval(0, 5), DataInterval(1, repeated=7)),
    ):
        totals.add(Interval.from_bytes(interval.to_bytes()))
    accounts, queries, idle = totals.figures()
    assert (accounts.used, accounts.repeated, accounts.used_up_second) == (9, 0, None)
    assert (queries.used, queries.repeated, queries.used_up_second) == (3, 8, 1)
    assert (idle.rows, idle.used, idle.used_up_second) == (5, 0, None)


def test_a_source_whose_rows_are_not_counted_has_no_figures() -> None:
    totals = DataTotals([DataSource("words", 10, is_counted=False), DataSource("queries", 3)])
    totals.add(second(0, DataInterval(1, 2)))
    assert [(source.name, source.used) for source in totals.figures()] == [("queries", 2)]


def test_unknown_test_data_is_an_error() -> None:
    with pytest.raises(ValueError, match="test data 1 of 1 in second 4"):
        DataTotals([DataSource("accounts", 10)]).add(second(4, DataInterval(1, 1)))
