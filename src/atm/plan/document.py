"""A spec before it is compiled: plain data that knows where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atm.errors import Problem
from atm.models.fields import Path


@dataclass(frozen=True, slots=True)
class SpecDocument:
    """A spec as it was written: plain data, and where each value came from."""

    data: Any
    places: Mapping[Path, str] = field(default_factory=dict)
    """From a path to `shop.yaml:12`, or to the flag that put the value there."""
    name: str = ""
    """Of the file; empty when there is none."""
    problems: tuple[Problem, ...] = ()
    """What was wrong with it before its fields were looked at: a flag that cannot be read."""

    def place(self, path: Path) -> str:
        """Where the value at `path` stands, or the nearest known one around it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return self.name
