"""Records of saved tests, and of tests in the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from atm.dataclass import dataclass
from atm.storage.records import RunSummary


@dataclass(frozen=True, slots=True)
class TestConfig:
    """A saved test. Names are unique."""

    __test__ = False  # pytest would collect the class by its name

    id: str
    name: str
    spec: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    description: str = ""
    enabled: bool = True
    tags: tuple[str, ...] = ()
    sealed: bytes | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class TestInHistory:
    """A test name that occurs in the history, with its newest run."""

    __test__ = False  # as above

    name: str
    runs: int
    last_run: RunSummary
