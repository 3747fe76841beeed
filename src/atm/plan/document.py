"""A spec before compilation: plain data with the source position of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atm.dataclass import dataclass
from atm.errors import Problem
from atm.models.fields import Path


@dataclass(frozen=True, slots=True)
class SpecDocument:
    """A spec as it was written: plain data, and the source of each value."""

    data: Any
    places: Mapping[Path, str] = field(default_factory=dict)
    """Maps a path to `shop.yaml:12`, or to the flag that set the value."""
    name: str = ""
    """The file's name; empty if there is none."""
    problems: tuple[Problem, ...] = ()
    """Problems found before its fields were read: an unreadable flag."""

    def place(self, path: Path) -> str:
        """Return the source of the value at `path`, or of the nearest enclosing one."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return self.name
