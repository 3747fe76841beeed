"""The history by the names of tests."""

from __future__ import annotations

from atm.models.control.base import Answer
from atm.models.control.runs import RunSummaryView


class TestHistory(Answer):
    """A test name that occurs in the history."""

    __test__ = False

    name: str
    runs: int
    recent: list[RunSummaryView]
    """Its newest runs, newest first."""


class HistoryView(Answer):
    """GET /history: the tests that were run, the one with the newest run first."""

    __test__ = False

    tests: list[TestHistory]
    total: int
    """How many test names match."""
