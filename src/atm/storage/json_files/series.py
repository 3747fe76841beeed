"""Time series of runs in JSON Lines.

A line of `rows-*.jsonl` is `[start, [[endpoint, warm_up, counts, figures, histograms in base64], …]]`: one time span,
so that an incomplete line loses a whole unacknowledged second, and the number of lines is the number of seconds.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from atm.dataclass import dataclass
from atm.metrics.interval import HISTOGRAMS, Interval
from atm.models.samples import SampledExchange, SampledIteration
from atm.storage.base import MAXIMUM_PAGE, Batch, RunSeries, Written
from atm.storage.disk_format import EVENT
from atm.storage.errors import corrupt
from atm.storage.json_files.files import (
    append_lines,
    corrupt_file,
    in_thread,
    last_line,
    parsed,
    read_lines,
    read_record,
)
from atm.storage.json_files.state import Folder
from atm.storage.records import Lease, RunEvent, SampleQuery
from atm.storage.result import dumps, exchanges_from_text, iterations_from_text, samples_to_text
from atm.storage.series import queries
from atm.storage.series.queries import Selection, new_data
from atm.storage.series.rollup import Rollup, needed_to_resume
from atm.storage.series.rows import ALL, GENERATOR, RESOLUTIONS, WHOLE, GeneratorPoint, IntervalPoint, IntervalRow
from atm.storage.series.scenario_rows import ScenarioPoints, keys_of
from atm.storage.series.windows import Window


@dataclass(slots=True)
class _OpenRollup:
    """The write state of a run in this process, and the size of its 1 s file at that time."""

    token: str
    written: Written
    size: int
    rollup: Rollup


class JsonSeries:
    """The `SeriesStore` in JSON Lines."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._open_rollups: dict[str, _OpenRollup] = {}

    @in_thread
    def append(self, lease: Lease, batch: Batch) -> Written:
        run_id = lease.run_id
        with self._folder.changing():
            state = self._folder.owned(lease)
            opened = self._open_rollups.pop(run_id, None)
            if opened is None or opened.token != lease.token or opened.size != self._size(run_id):
                opened = _OpenRollup(lease.token, self._position(run_id), 0, self._resumed(run_id))
            new = new_data(run_id, opened.written, batch)
            rows = [row for interval in new.intervals for row in opened.rollup.add(interval)]
            self._append_rows(run_id, rows)
            folder = self._folder.run(run_id)
            append_lines(folder / "events.jsonl", [_event_line(event) for event in new.events])
            append_lines(folder / "samples.jsonl", samples_to_text(new.samples))
            completed = batch.requests_completed
            if completed is not None and completed != state.summary.requests_completed:
                self._folder.write(replace(state, summary=replace(state.summary, requests_completed=completed)))
            opened.written, opened.size = new.after, self._size(run_id)
            self._open_rollups[run_id] = opened
            return new.after

    def close(self, run_id: str) -> None:
        """Write the open spans and the whole run, once. The caller holds the lock."""
        opened = self._open_rollups.pop(run_id, None)
        if last_line(self._rows_file(run_id, WHOLE)) is not None:
            return
        current = opened is not None and opened.size == self._size(run_id)
        rollup = opened.rollup if opened is not None and current else self._resumed(run_id)
        self._append_rows(run_id, rollup.finish())

    def write_whole(self, run_id: str, history: Iterable[RunSeries], *, with_samples: bool) -> None:
        """Write the history of a restored run, before it is visible."""
        folder = self._folder.run(run_id)
        rollup = Rollup()
        for part in history:
            self._append_rows(run_id, [row for interval in part.intervals for row in rollup.add(interval)])
            append_lines(folder / "events.jsonl", [_event_line(event) for event in part.events])
            if with_samples:
                append_lines(folder / "samples.jsonl", samples_to_text(part.samples))
        self._append_rows(run_id, rollup.finish())

    def drop_seconds(self, run_id: str) -> None:
        """Remove the 1 s intervals of an ended run. The caller holds the lock."""
        self.close(run_id)
        self._rows_file(run_id, 1).unlink(missing_ok=True)

    @in_thread
    def written(self, run_id: str) -> Written:
        self._folder.state(run_id)
        return self._position(run_id)

    @in_thread
    def intervals(self, run_id: str, start: int = 0, end: int | None = None) -> list[Interval]:
        with _reading(run_id):
            return queries.intervals(self._rows(run_id, 1, start, end))

    @in_thread
    def points(
        self,
        run_id: str,
        resolution: int,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
    ) -> list[IntervalPoint]:
        selection = Selection(resolution, start, end, (ALL,) if endpoints is None else tuple(endpoints))
        with _reading(run_id):
            return queries.points(self._selected(run_id, selection))

    @in_thread
    def generator(self, run_id: str, resolution: int, start: int = 0, end: int | None = None) -> list[GeneratorPoint]:
        selection = Selection(resolution, start, end, (GENERATOR,))
        with _reading(run_id):
            return queries.generator_points(self._selected(run_id, selection))

    @in_thread
    def scenarios(
        self, run_id: str, resolution: int, scenarios: int, start: int = 0, end: int | None = None
    ) -> ScenarioPoints:
        selection = Selection(resolution, start, end, keys_of(scenarios))
        with _reading(run_id):
            return queries.scenario_points(self._selected(run_id, selection))

    def _selected(self, run_id: str, selection: Selection) -> list[IntervalRow]:
        # Read before the rows: rows stored in between are also aggregated below, and then skipped as duplicates.
        covered = self._covered(run_id)
        rows = self._rows(run_id, selection.resolution, selection.start, selection.end)
        stored = [row for row in rows if row.endpoint in selection.endpoints]
        if selection.resolution == 1 or (selection.resolution == WHOLE and stored):
            return stored
        if not queries.has_open_row(selection, covered):
            return stored
        starts = {row.start for row in stored}
        more = queries.open_rows(selection, covered, self._to_resume(run_id))
        return stored + [row for row in more if row.start not in starts]

    @in_thread
    def window(
        self,
        run_id: str,
        start: int = 0,
        end: int | None = None,
        endpoints: Sequence[int] | None = None,
        histograms: Sequence[str] = HISTOGRAMS,
        scenarios: int | None = None,
    ) -> Window:
        selected = (ALL,) if endpoints is None else tuple(endpoints)
        if scenarios is not None:
            selected += keys_of(scenarios)
        cut = queries.cut(start, end, self._covered(run_id))
        rows = self._rows(run_id, WHOLE, 0, None) if cut.is_whole else []
        if not rows:
            rows = [row for part in cut.parts for row in self._rows(run_id, part.resolution, part.start, part.end)]
        with _reading(run_id):
            return queries.window(cut, [row for row in rows if row.endpoint in selected], histograms)

    @in_thread
    def events(self, run_id: str, after: int = 0, limit: int = MAXIMUM_PAGE) -> list[RunEvent]:
        path = self._folder.run(run_id) / "events.jsonl"
        limit = max(1, min(limit, MAXIMUM_PAGE))
        events: list[RunEvent] = []
        for number, line in read_lines(path):
            # Line n is event n.
            if number > after:
                events.append(_event(path, number, line))
            if len(events) == limit:
                break
        return events

    @in_thread
    def samples(self, run_id: str, query: SampleQuery | None = None) -> list[SampledExchange]:
        samples = exchanges_from_text(self._samples_text(run_id), run_id)
        return [sample for sample in samples if query is None or queries.sample_matches(sample, query)]

    @in_thread
    def sampled_iterations(self, run_id: str) -> list[SampledIteration]:
        return iterations_from_text(self._samples_text(run_id), run_id)

    def _samples_text(self, run_id: str) -> str:
        """Return a JSON array of the samples of the result, or of those appended so far."""
        result = self._folder.result(run_id)
        if result is not None:
            return dumps(result["samples"])
        lines = (line for _, line in read_lines(self._folder.run(run_id) / "samples.jsonl"))
        return f"[{b','.join(lines).decode()}]"

    def _rows_file(self, run_id: str, resolution: int) -> Path:
        return self._folder.run(run_id) / f"rows-{resolution}.jsonl"

    def _size(self, run_id: str) -> int:
        try:
            return os.stat(self._rows_file(run_id, 1)).st_size
        except FileNotFoundError:
            return 0

    def _position(self, run_id: str) -> Written:
        """Return the write position from the files themselves, which are right even after a crash."""
        folder = self._folder.run(run_id)
        intervals = sum(1 for _ in read_lines(self._rows_file(run_id, 1)))
        events = sum(1 for _ in read_lines(folder / "events.jsonl"))
        samples = sum(1 for _ in read_lines(folder / "samples.jsonl"))
        return Written(intervals, events, samples)

    def _append_rows(self, run_id: str, rows: Sequence[IntervalRow]) -> None:
        # 1 s rows first: coarser rows can be rebuilt from them.
        for resolution in (*RESOLUTIONS, WHOLE):
            resolution_rows = [row for row in rows if row.resolution == resolution]
            spans = groupby(resolution_rows, key=lambda row: row.start)
            lines = [_row_line(start, span) for start, span in spans]
            append_lines(self._rows_file(run_id, resolution), lines)

    def _covered(self, run_id: str) -> dict[int, int]:
        covered: dict[int, int] = {}
        for resolution in RESOLUTIONS:
            line = last_line(self._rows_file(run_id, resolution))
            if line is not None:
                covered[resolution] = _start_of(self._rows_file(run_id, resolution), 0, line) + resolution
        return covered

    def _to_resume(self, run_id: str) -> list[IntervalRow]:
        needed = needed_to_resume(self._covered(run_id))
        return [row for resolution, start in needed for row in self._rows(run_id, resolution, start, None)]

    def _resumed(self, run_id: str) -> Rollup:
        return Rollup.resumed(self._to_resume(run_id))

    def _rows(self, run_id: str, resolution: int, start: int, end: int | None) -> list[IntervalRow]:
        path = self._rows_file(run_id, resolution)
        rows: list[IntervalRow] = []
        for number, line in read_lines(path):
            begin = _start_of(path, number, line)
            if begin >= start and (end is None or begin < end):
                rows += _rows_of(path, number, line, resolution)
        return rows


@contextmanager
def _reading(run_id: str) -> Iterator[None]:
    """Translate ValueError from unreadable rows to CorruptDataError."""
    try:
        yield
    except ValueError as error:
        raise corrupt(f"the intervals of run {run_id}", error) from error


def _row_line(start: int, rows: Iterable[IntervalRow]) -> str:
    parts = [[row.endpoint, row.warm_up, row.counts, row.figures, b64encode(row.histograms).decode()] for row in rows]
    return dumps([start, parts])


def _start_of(path: Path, number: int, line: bytes) -> int:
    """Return the start of a line without parsing the rest."""
    try:
        return int(line[1 : line.index(b",")])
    except ValueError as error:
        raise corrupt_file(f"{path}:{number}", "not a row") from error


def _rows_of(path: Path, number: int, line: bytes, resolution: int) -> list[IntervalRow]:
    try:
        start, parts = parsed(path, number, line)
        return [
            IntervalRow(resolution, start, endpoint, warm_up, counts, figures, b64decode(histograms))
            for endpoint, warm_up, counts, figures, histograms in parts
        ]
    except (ValueError, TypeError, Base64Error) as error:
        raise corrupt_file(f"{path}:{number}", str(error)) from error


def _event_line(event: RunEvent) -> str:
    return EVENT.text(event)


def _event(path: Path, number: int, line: bytes) -> RunEvent:
    event: RunEvent = read_record(EVENT, parsed(path, number, line), f"{path}:{number}")
    return event
