"""The history, by test name."""

from __future__ import annotations

from atm.models.control.base import Answer
from atm.models.control.runs import RunSummaryView


class TestHistory(Answer):
    """A test name in the history."""

    __test__ = False

    name: str
    runs: int
    recent: list[RunSummaryView]
    """Its newest runs, newest first."""


class HistoryView(Answer):
    """GET /history: the tests in the history, the most recently run first."""

    __test__ = False

    tests: list[TestHistory]
    total: int
    """Number of matching test names."""
