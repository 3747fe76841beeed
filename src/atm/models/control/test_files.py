"""The data files of stored tests."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from atm.models.control.base import Answer
from atm.models.control.errors import ErrorEntry
from atm.models.control.runs import Deleted
from atm.models.control.tests import TestView


class TestFileView(Answer):
    """A file of a stored test."""

    __test__ = False

    name: str
    size: int
    """Bytes."""
    sha256: str
    """The digest of its content, as runs record it."""
    updated_at: datetime


class TestFileList(Answer):
    """GET /tests/{test}/files, by name."""

    __test__ = False

    files: list[TestFileView]
    most_file_bytes: int
    """The largest file that this server accepts."""
    most_total_bytes: int
    """The limit of the files of all tests together; equal contents count once."""
    total_bytes: int
    """The files of all tests together."""


class TestFileDeleted(Deleted):
    """The response to a DELETE; `id` is that of the test."""

    __test__ = False

    name: str


class TestFilePreview(Answer):
    """The beginning of a file: rows, if it can be read as a table, else text."""

    __test__ = False

    columns: list[str]
    """Empty for a file that is no table."""
    rows: list[list[str]]
    """The first rows; long cells are cut, and columns with the name of a credential masked."""
    total_rows: int
    text: str | None
    """The beginning of a file that is no table; null if it is not text."""
    problem: ErrorEntry | None
    """Why it cannot be read as a table of the format of its name."""


class SavedTestView(TestView):
    """The response to a saved test."""

    __test__ = False

    named_files: list[str] = Field([])
    """The files that the spec names."""
    warnings: list[ErrorEntry] = Field([])
    """Each place that names a file which the test does not have; it cannot run until these are uploaded."""
