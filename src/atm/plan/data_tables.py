"""Compile the test data of a spec: open its tables, and end loads whose rows may not be used twice. Pure.

The function that opens a table is an argument, as is the one that reads TLS files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import Literal

from atm.dataclass import dataclass
from atm.errors import DataError
from atm.models.data_spec import DataSpec
from atm.models.fields import Findings, Path
from atm.models.figures import count, counted
from atm.plan.load_plan import Flow, Lane, Load, PreparedUsers, Segment
from atm.plan.program import DataTable
from atm.plan.table_uses import tables_of
from atm.plan.templates import Names
from atm.tables.layout import FORMATS, Format, Layout
from atm.tables.table_request import OpenedTable, OpenTable, TableRequest, checked_table

_NO_TABLE = OpenedTable("", (), 0)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class _Source:
    """A data source whose table was opened."""

    name: str
    table: DataTable
    when_used_up: Literal["stop", "recycle", "error"]

    @property
    def path(self) -> Path:
        return ("data", self.name)


class DataTables:
    """The data of one spec."""

    def __init__(
        self, data: Mapping[str, DataSpec], names: Names, notes: Findings, open_table: OpenTable | None
    ) -> None:
        """Open every table. With None, there are no files here, and rows of the spec are only checked."""
        self._names = names
        self._findings = names.findings
        self._notes = notes
        self._open = open_table or checked_table
        self._sources = [self._source(name, spec) for name, spec in data.items()]

    @property
    def tables(self) -> tuple[DataTable, ...]:
        """The tables by index. One that could not be opened, which was reported, has no rows and no columns."""
        return tuple(source.table for source in self._sources)

    def limited(self, lanes: Sequence[Lane], flows: Sequence[Flow]) -> tuple[Lane, ...]:
        """Return the lanes, each ending where a source that is not recycled ends. Reports rows that cannot last."""
        limited = list(lanes)
        for index, source in enumerate(self._sources):
            users = [position for position, lane in enumerate(lanes) if _uses(lane, flows, index)]
            if not users and not self._findings.touch(*source.path):
                what = f'the data "{source.name}" is not used'
                hint = f"Use a cell: {{{{{source.name}.{(source.table.columns or ('COLUMN',))[0]}}}}}, or remove it"
                if not any(flow.program for flow in flows):
                    hint = "Only steps of scenarios have test data: turn the requests into `scenarios`, or remove it"
                self._notes.add(source.path, what, "unused_data", hint)
            if source.when_used_up == "recycle" or not source.table.rows or not users:
                continue
            if len(users) > 1:
                names = " and ".join(f'"{lanes[position].name}"' for position in users)
                what = f'the data "{source.name}" is not recycled, and {names} would each use all of its rows'
                hint = "Give each scenario data of its own, or write `when_used_up: recycle`"
                self._findings.add(source.path, what, "data_shared", hint)
                continue
            limited[users[0]] = self._limited(limited[users[0]], source)
        return tuple(limited)

    def _source(self, name: str, spec: DataSpec) -> _Source:
        path: Path = ("data", name)
        before = len(self._findings)
        if not _NAME.fullmatch(name):
            hint = "A name has letters, digits, _ and -, and begins with a letter"
            self._findings.add(path, f'"{name}" cannot be a name of data', "bad_name", hint)
        pick = spec.pick or ("random" if spec.per == "use" else "in_order")
        when_used_up = spec.when_used_up or ("stop" if pick == "once" else "recycle")
        self._check_use(spec, pick, path)
        opened = self._opened(spec, path) if len(self._findings) == before else _NO_TABLE
        table = DataTable(
            name, opened.columns, opened.rows, spec.per, "in_order" if pick == "once" else pick, opened.path
        )
        return _Source(name, table, when_used_up)

    def _check_use(self, spec: DataSpec, pick: str, path: Path) -> None:
        add = self._findings.add
        if (spec.file is None) == (spec.rows is None) and not self._findings.touch(*path):
            what = "data needs a file or rows" if spec.file is None else "data has both file and rows"
            code = "missing_field" if spec.file is None else "conflict"
            add(path, what, code, "Write `file: accounts.csv`, or `rows: […]`")
        if spec.per == "use" and pick != "random":
            what = f"per: use draws a row at each place, so pick: {pick} has no order there"
            add((*path, "pick"), what, "conflict", "Write `pick: random`, or `per: iteration`")
        if pick == "once" and spec.when_used_up == "recycle":
            what = "pick: once uses no row twice, and when_used_up: recycle does"
            add((*path, "when_used_up"), what, "conflict", "Write `pick: in_order` to begin again after the last row")
        if pick == "random" and spec.when_used_up is not None and spec.when_used_up != "recycle":
            what = f"random rows may repeat and are never used up, so when_used_up: {spec.when_used_up} has no effect"
            add((*path, "when_used_up"), what, "conflict", "Remove it, or write `pick: shuffled`")
        if spec.rows is not None:
            for name in ("format", "separator"):
                if name in spec.written:
                    what = f"{name} belongs to a file, and these rows are in the spec"
                    add((*path, name), what, "conflict", "Remove it")

    def _opened(self, spec: DataSpec, path: Path) -> OpenedTable:
        columns = None if spec.columns is None else tuple(spec.columns)
        place = (*path, "rows" if spec.file is None else "file")
        try:
            if spec.file is None:
                return self._open(TableRequest(columns, rows=spec.rows or ()))
            before = len(self._findings)
            file = self._names.fixed(spec.file, place, "a file name", secrets=False)
            layout = self._layout(file, spec, columns, place) if len(self._findings) == before else None
            return _NO_TABLE if layout is None else self._open(TableRequest(columns, file, layout))
        except DataError as error:
            for problem in error.problems:
                what = f"{problem.place}: {problem.what}" if problem.place else problem.what
                self._findings.add(place, what, problem.code, problem.hint)
            return _NO_TABLE

    def _layout(self, file: str, spec: DataSpec, columns: tuple[str, ...] | None, path: Path) -> Layout | None:
        extension = f".{file.rpartition('.')[2].lower()}" if "." in file else ""
        format_: Format | None = spec.format or FORMATS.get(extension)
        if format_ is None:
            what = f'the format of "{file}" is unknown: its name ends in none of {", ".join(FORMATS)}'
            self._findings.add(path, what, "unknown_format", "Add `format: csv` (json, jsonl, lines)")
            return None
        if spec.separator is not None and format_ != "csv":
            self._findings.add((*path[:-1], "separator"), f"{format_} has no separator", "conflict", "Remove it")
            return None
        return Layout(format_, columns, spec.separator or ("\t" if extension == ".tsv" else ","))

    def _limited(self, lane: Lane, source: _Source) -> Lane:
        """Return the lane, ending before a row of this source would be used twice."""
        rows, load = source.table.rows, lane.load
        if source.table.per == "user" and lane.prepared is not None:
            return self._with_users_limited(lane, lane.prepared, source)
        if source.table.per == "user" and load.model == "closed":
            most = max(load.warm_up_level, *(max(segment.start, segment.end) for segment in load.segments))
            users = max(1, int(most + 0.5))
            if users <= rows:
                return lane
            self._report(
                source,
                lane,
                counted(users, "user"),
                f"only {counted(rows, 'user')} {'starts' if rows == 1 else 'start'}",
            )
            return replace(lane, load=_clipped(load, rows))
        needed = _iterations(lane)
        if needed is not None and needed > rows:
            starts = f"about {counted(needed, 'iteration')}"
            self._report(source, lane, starts, f"it ends after {counted(rows, 'iteration')}")
        if load.model == "closed":
            return replace(lane, last_number=rows if lane.last_number is None else min(rows, lane.last_number))
        from atm.plan.pacer import Pacer

        measured = rows - Pacer(load).warm_up_arrivals
        if measured < 1:
            what = f'the warm-up of "{lane.name}" alone needs all {count(rows)} rows of "{source.name}"'
            self._findings.add(source.path, what, "data_used_up", "Add rows, or shorten the warm-up")
            return lane
        return replace(lane, total=measured if lane.total is None else min(measured, lane.total))

    def _with_users_limited(self, lane: Lane, prepared: PreparedUsers, source: _Source) -> Lane:
        """Return the open lane without prepared users for whom there is no row."""
        rows = source.table.rows
        if prepared.users <= rows:
            return lane
        self._report(source, lane, counted(prepared.users, "prepared user"), f"only {count(rows)} can be prepared")
        load = replace(lane.load, max_in_flight=rows)
        return replace(lane, prepared=replace(prepared, users=rows), load=load)

    def _report(self, source: _Source, lane: Lane, needs: str, follows: str) -> None:
        has = counted(source.table.rows, "row")
        what = f'the data "{source.name}" has {has}, and "{lane.name}" has {needs}'
        again = "`pick: in_order`" if source.table.pick == "in_order" else "`when_used_up: recycle`"
        hint = f"Add rows, or use them again with {again}"
        if source.when_used_up == "error":
            self._findings.add(source.path, what, "data_used_up", hint)
        else:
            self._notes.add(source.path, f"{what}: {follows}", "data_used_up", hint)


def _uses(lane: Lane, flows: Sequence[Flow], table: int) -> bool:
    return any(table in tables_of(flows[flow]) for flow in lane.flows)


def _iterations(lane: Lane) -> int | None:
    """Return the planned number of iterations, warm-up included; None if it depends on the target."""
    load = lane.load
    if load.model == "closed":
        return lane.total
    from atm.plan.pacer import Pacer

    pacer = Pacer(load)
    bounds: list[float] = [] if lane.total is None else [lane.total]
    if lane.planned_ns is not None:
        warm_up = load.warm_up_ns / 1e9 * load.warm_up_level
        bounds.append(pacer.expected_arrivals(load.warm_up_ns + lane.planned_ns) - warm_up)
    return pacer.warm_up_arrivals + ceil(round(min(bounds), 6)) if bounds else None


def _clipped(load: Load, most: float) -> Load:
    """Return the load with no level above `most`."""
    segments: list[Segment] = []
    for segment in load.segments:
        segments += _clipped_segment(segment, most)
    return replace(load, segments=tuple(segments), warm_up_level=min(load.warm_up_level, most))


def _clipped_segment(segment: Segment, most: float) -> list[Segment]:
    start, end, duration = segment.start, segment.end, segment.duration_ns
    if max(start, end) <= most:
        return [segment]
    if min(start, end) >= most or duration is None:
        return [Segment(min(start, most), min(end, most), duration)]
    crossing = round((most - start) / (end - start) * duration)
    if start < end:
        return [Segment(start, most, crossing), Segment(most, most, duration - crossing)]
    return [Segment(most, most, crossing), Segment(most, end, duration - crossing)]
