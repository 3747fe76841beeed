"""Tests that are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from atm.models.control.base import Answer, Notes, Request, Spec, Tags
from atm.models.control.errors import ErrorEntry
from atm.models.control.runs import RunAccepted, RunSummaryView


class TestRequest(Request):
    """PUT /tests/{test}. The name of a test is its spec's."""

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
        description="A run whose credentials are meant where the spec has `***`; they stay with the hosts of that run.",
    )


class RunAllRequest(Request):
    """POST /tests/run-all."""

    repetitions: Annotated[int, Field(ge=1, le=100)] = 1
    """Runs of each test."""
    max_concurrency: Annotated[int, Field(ge=1, le=1000)] | None = None
    """At most this many of these runs go on at the same time; null: as many as the server lets run."""


class EnabledRequest(Request):
    """POST /tests/{test}/enabled."""

    enabled: bool


class TestView(Answer):
    """A test that is kept to be run again."""

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
    """How many runs of this name there are."""
    last_run: RunSummaryView | None
    recent: list[RunSummaryView] = Field([])
    """Its newest runs, newest first, where they were asked for."""


class TestList(Answer):
    """GET /tests, by name."""

    __test__ = False

    tests: list[TestView]
    configs: list[TestView]
    """The same list, by the name of the first design."""
    total: int


class SyncAnswer(Answer):
    """POST /tests/sync."""

    created: list[str]
    """Names of the tests that the history had and the list had not."""
    total: int
    synced: int
    """How many were created."""
    message: str


class StartedRuns(Answer):
    """POST /tests/run-all."""

    batch_id: str
    runs: list[RunAccepted]
    run_ids: list[str]
    skipped: list[ErrorEntry]
    """Tests that could not be started, and why."""
    total_tests: int
    """Tests of which a run was accepted."""
    message: str
