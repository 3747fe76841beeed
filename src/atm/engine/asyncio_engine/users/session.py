"""The state of a user in a scenario: its variables and cookies, and what its current iteration has done so far."""

from __future__ import annotations

from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.value import UNSET, Value
from atm.engine.asyncio_engine.users.data_rows import DataRows
from atm.engine.asyncio_engine.users.trace import Trace


@dataclass(frozen=True, slots=True)
class RenderedRequest:
    """The values of a request that was rendered, part by part, so that it can be written again without some of them."""

    values: Sequence[Sequence[bytes]]
    cookies: bytes


class Session:
    """State of one user in one flow, which conditions and templates read (`scenario.scope.Scope`).

    An iteration that does not keep it begins with a new one.
    """

    __slots__ = (
        "_data",
        "_rows",
        "counters",
        "is_failing_to_send",
        "iteration",
        "jar",
        "position",
        "rendered",
        "requests",
        "round",
        "slots",
        "think_ns",
        "trace",
        "user",
        "visited",
    )

    def __init__(self, slots: int, counters: int, data: DataRows, jar: Jar | None) -> None:
        """`jar` is None if the flow uses no cookies."""
        self.slots: list[Value] = [UNSET] * slots
        self.counters = [0] * counters
        self.jar = jar
        self.rendered: RenderedRequest | None = None
        """The current request, if its step needs it."""
        self.trace: Trace | None = None
        """The requests of the iteration, if it is traced."""
        self._data = data
        self._rows: dict[int, int] = {}
        self.begin(0, 0)

    def begin(self, iteration: int, user: int) -> None:
        """Begin an iteration; `iteration` and `user` are 1-based numbers."""
        self.iteration = iteration
        self.user = user
        self.position = 0
        """The next operation."""
        self.round = 0
        """Number of backward jumps."""
        self.requests = 0
        """Number of requests sent."""
        self.visited = 0
        """The steps of requests sent, as bits."""
        self.think_ns = 0
        """Think time drawn."""
        self.is_failing_to_send = False
        """A request ended with a generator error."""
        self._rows.clear()
        for index in range(len(self.counters)):
            self.counters[index] = 0

    def cell(self, table: int, column: int, place: int) -> Value:
        """Return a cell of the current row of a data table, or per use of the row drawn at a place."""
        row = self._rows.get(table)
        if row is None:
            if self._data.is_per_use(table):
                drawn = self._data.drawn_row(table, self.iteration, place, self.round)
                return self._data.cell(table, drawn, column)
            row = self._rows[table] = self._data.row(table, user=self.user, iteration=self.iteration)
        return self._data.cell(table, row, column)
