"""Compute all rows of a history before the transaction that stores them, to keep the write lock short.

The rows are staged in a temporary file, so that memory use does not grow with the length of the run.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO, Any

from sqlalchemy import Table, insert

from atm.errors import Problem, StorageUnavailableError
from atm.storage.base import RunSeries
from atm.storage.series.rollup import Rollup
from atm.storage.sql.connection import AsyncConnection
from atm.storage.sql.tables import run_events, run_intervals, run_samples
from atm.storage.sql.values import event_values, row_values, sample_values

_TABLES = {table.name: table for table in (run_intervals, run_events, run_samples)}


class StagedHistory:
    """The staged rows of a run's history, in insert order."""

    def __init__(self, run_id: str, file: IO[bytes]) -> None:
        self._run_id = run_id
        self._file = file
        self._chunks = 0
        self._intervals = self._last_event = self._samples = 0

    def add(self, history: Iterable[RunSeries], *, with_samples: bool) -> None:
        """Compute and stage the rows of all parts. Raises StorageUnavailableError when the temporary disk is full."""
        rollup = Rollup()
        try:
            for part in history:
                rows = [row for interval in part.intervals for row in rollup.add(interval)]
                self._write(run_intervals, [row_values(self._run_id, row) for row in rows])
                self._write(run_events, [event_values(self._run_id, event) for event in part.events])
                if with_samples:
                    self._write(run_samples, sample_values(self._run_id, self._samples, part.samples))
                self._intervals += len(part.intervals)
                self._last_event = part.events[-1].sequence if part.events else self._last_event
                self._samples += len(part.samples)
            self._write(run_intervals, [row_values(self._run_id, row) for row in rollup.finish()])
        except OSError as error:
            what = f"no temporary file can be written: {error.strerror or error}"
            raise StorageUnavailableError(
                Problem(what, "no_temporary_file", place=tempfile.gettempdir(), hint="free some space there")
            ) from error

    def _write(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            pickle.dump((table.name, rows), self._file, pickle.HIGHEST_PROTOCOL)
            self._chunks += 1

    @property
    def positions(self) -> dict[str, int]:
        """The values of the write position columns of `runs`."""
        return {"next_interval": self._intervals, "last_event": self._last_event, "next_sample": self._samples}

    async def insert(self, connection: AsyncConnection) -> None:
        """Insert all rows in the caller's transaction."""
        self._file.seek(0)
        for _ in range(self._chunks):
            name, rows = pickle.load(self._file)
            await connection.execute(insert(_TABLES[name]), rows)


@contextmanager
def staged_history(run_id: str) -> Iterator[StagedHistory]:
    """Provide a staging file for the history of a run, unnamed and deleted when the block ends."""
    with tempfile.TemporaryFile(prefix="atm-") as file:
        yield StagedHistory(run_id, file)
