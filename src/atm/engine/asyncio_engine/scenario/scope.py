"""What conditions and templates may read of a user, and what they read of the run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.value import Value


class Scope(Protocol):
    """A virtual user in an iteration."""

    @property
    def user(self) -> int:
        """The 1-based number of the user."""
        ...

    @property
    def iteration(self) -> int:
        """The 1-based number of the iteration."""
        ...

    @property
    def round(self) -> int:
        """The number of backward jumps so far in the iteration."""
        ...

    @property
    def slots(self) -> Sequence[Value]:
        """The values of the variables; UNSET for those without one."""
        ...

    def cell(self, table: int, column: int, place: int) -> Value:
        """Return a cell of the current row of a data table, or per use of the row drawn at a place."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What all users share."""

    seed: int
    secrets: Mapping[str, str]
    """The current values of the secret slots; read at each evaluation, since they may change."""
    wall_ns: Callable[[], int] = time.time_ns
    """The wall time (ns since 1970)."""
