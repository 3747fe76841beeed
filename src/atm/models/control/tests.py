"""Stored tests."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from atm.models.control.base import Answer, Name, Notes, Request, Spec, Tags
from atm.models.control.errors import ErrorEntry
from atm.models.control.runs import RunAccepted, RunSummaryView


class TestRequest(Request):
    """PUT /tests/{test}. The name of a test is that of its spec."""

    __test__ = False

    spec: Spec
    description: Notes = ""
    enabled: bool = True
    tags: Tags = Field([])


class NewTestRequest(TestRequest):
    """POST /tests."""

    from_run: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="A run whose credentials replace `***` in the spec; they remain bound to the hosts of that run.",
    )


class RunAllRequest(Request):
    """POST /tests/run-all."""

    repetitions: Annotated[int, Field(ge=1, le=100)] = 1
    """Number of runs per test."""
    max_concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Most runs of these to execute at the same time; null: the server's limit."""
    tags: Tags = Field([], description="Only tests with all of these tags.")
    tests: Annotated[list[Name], Field(max_length=1000)] | None = Field(
        None, description="Only these tests, by id or name; null: all of them."
    )
    enabled_only: bool = Field(True, description="Skip disabled tests.")


class EnabledRequest(Request):
    """POST /tests/{test}/enabled."""

    enabled: bool


class TestView(Answer):
    """A stored test."""

    __test__ = False

    id: str
    name: str
    description: str
    enabled: bool
    tags: list[str]
    spec: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    runs: int
    """Number of runs with this name."""
    last_run: RunSummaryView | None
    recent: list[RunSummaryView] = Field([])
    """Its newest runs, newest first, if requested."""


class TestList(Answer):
    """GET /tests, by name."""

    __test__ = False

    tests: list[TestView]
    configs: list[TestView]
    """The same list, under its name in the first design."""
    total: int


class SyncAnswer(Answer):
    """POST /tests/sync."""

    created: list[str]
    """Names of the tests in the history that were not stored."""
    total: int
    synced: int
    """Number of tests created."""
    message: str


class StartedRuns(Answer):
    """POST /tests/run-all."""

    batch_id: str
    runs: list[RunAccepted]
    run_ids: list[str]
    skipped: list[ErrorEntry]
    """Tests that could not be started, and why."""
    total_tests: int
    """Tests whose run was accepted."""
    message: str
