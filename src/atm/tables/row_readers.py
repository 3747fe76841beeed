"""Reads the rows of a user's file: CSV, JSON, JSON Lines, plain lines. Bounded memory; every error names its line.

Cells of CSV and of plain lines are text; those of JSON keep their type. Blank lines are skipped.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from atm.dataclass import dataclass
from atm.errors import DataError, Problem
from atm.tables.json_rows import JsonArray, decoder
from atm.tables.layout import LINE, Format, Layout
from atm.tables.source_text import decoded_lines
from atm.tables.table_file import Cell


@dataclass(frozen=True, slots=True)
class Rows:
    """The columns of a file, and an iterator over its rows."""

    columns: tuple[str, ...]
    rows: Iterator[Sequence[str]] | Iterator[Sequence[Cell]]


def open_rows(file: BinaryIO, name: str, layout: Layout) -> Rows:
    """Begin to read a file from its start. `name` is shown in messages. Raises DataError, as does the iterator."""
    readers: dict[Format, Callable[[BinaryIO, str, Layout], Rows]] = {
        "csv": _csv,
        "json": _json,
        "jsonl": _json_lines,
        "lines": _lines,
    }
    return readers[layout.format](file, name, layout)


def inline_rows(rows: Sequence[Any], columns: tuple[str, ...] | None) -> Rows:
    """Return the rows of a spec: objects, or with `columns` lists, or with one column plain values.

    Raises DataError, with the index of the row as place: `[3]`.
    """
    if not rows:
        raise DataError(Problem("there are no rows", "no_rows", hint="Add at least one row"))
    if columns is None:
        first = rows[0]
        if not isinstance(first, Mapping) or not first:
            hint = "Add `columns: [name, …]`, or write each row as an object: `{name: Ada}`"
            raise DataError(Problem("rows that are no objects need columns", "no_columns", place="[0]", hint=hint))
        columns = tuple(str(key) for key in first)
    checked = _checked_columns(columns, "")
    return Rows(checked, iter([_inline_row(row, checked, f"[{index}]") for index, row in enumerate(rows)]))


def _inline_row(row: Any, columns: tuple[str, ...], place: str) -> list[Cell]:
    if isinstance(row, Mapping):
        return _object_row({str(key): value for key, value in row.items()}, columns, place, is_exact=True)
    values = list(row) if isinstance(row, list | tuple) else [row]
    if len(values) != len(columns):
        raise _ragged(len(values), columns, place)
    return [_cell(value, place) for value in values]


def _csv(file: BinaryIO, name: str, layout: Layout) -> Rows:
    reader = csv.reader(decoded_lines(file, name), delimiter=layout.separator, strict=True)
    first = _next_csv(reader, name)
    if first is None:
        raise _empty(name)
    if layout.columns is None:
        columns = _checked_columns(tuple(cell.strip() for cell in first), f"{name}:1")
        return Rows(columns, _csv_rows(reader, name, columns, None))
    columns = _checked_columns(layout.columns, name)
    is_header = tuple(cell.strip() for cell in first) == columns
    return Rows(columns, _csv_rows(reader, name, columns, None if is_header else first))


def _csv_rows(reader: Any, name: str, columns: tuple[str, ...], first: list[str] | None) -> Iterator[list[str]]:
    width = len(columns)
    if first is not None:
        if len(first) != width:
            raise _ragged(len(first), columns, f"{name}:{reader.line_num}")
        yield first
    try:
        for row in reader:
            if len(row) != width:
                if not row:
                    continue
                raise _ragged(len(row), columns, f"{name}:{reader.line_num}")
            yield row
    except csv.Error as error:
        raise _bad_csv(error, reader, name) from None


def _next_csv(reader: Any, name: str) -> list[str] | None:
    """Return the next row that is not blank, or None at the end."""
    try:
        return next((row for row in reader if row), None)
    except csv.Error as error:
        raise _bad_csv(error, reader, name) from None


def _bad_csv(error: csv.Error, reader: Any, name: str) -> DataError:
    text = str(error)
    hint = "Put cells that contain the separator or a quote into quotes, and write a quote in them twice"
    if "field limit" in text:
        text, hint = f"a cell has more than {csv.field_size_limit():,} characters", "A quote may never be closed"
    return DataError(Problem(f"invalid CSV: {text}", "bad_csv", place=f"{name}:{reader.line_num}", hint=hint))


def _json(file: BinaryIO, name: str, layout: Layout) -> Rows:
    return _objects(iter(JsonArray(file, name)), name, layout)


def _json_lines(file: BinaryIO, name: str, layout: Layout) -> Rows:
    def parsed() -> Iterator[tuple[str, Any]]:
        decode = decoder().decode
        for number, line in enumerate(decoded_lines(file, name), 1):
            if line.isspace():
                continue
            try:
                yield f"{name}:{number}", decode(line)
            except json.JSONDecodeError as error:
                place = f"{name}:{number}:{error.pos + 1}"
                raise DataError(Problem(f"invalid JSON: {error.msg.lower()}", "bad_json", place=place)) from None
            except (ValueError, RecursionError) as error:
                problem = Problem(f"invalid JSON: {error}", "bad_json", place=f"{name}:{number}")
                raise DataError(problem) from None

    return _objects(parsed(), name, layout)


def _objects(values: Iterator[tuple[str, Any]], name: str, layout: Layout) -> Rows:
    first = next(values, None)
    if first is None:
        raise _empty(name)
    place, row = first
    columns = layout.columns or tuple(_as_object(row, place))
    return Rows(
        _checked_columns(columns, place if layout.columns is None else name),
        _object_rows(place, row, values, columns, is_exact=layout.columns is None),
    )


def _object_rows(
    place: str, row: Any, values: Iterator[tuple[str, Any]], columns: tuple[str, ...], *, is_exact: bool
) -> Iterator[list[Cell]]:
    yield _object_row(_as_object(row, place), columns, place, is_exact=is_exact)
    for further_place, further in values:
        yield _object_row(_as_object(further, further_place), columns, further_place, is_exact=is_exact)


def _as_object(row: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(row, dict):
        kind = "a list" if isinstance(row, list) else "a single value"
        hint = 'Write rows as objects: `{"name": "Ada"}`'
        raise DataError(Problem(f"a row must be an object, not {kind}", "bad_row", place=place, hint=hint))
    return row


def _object_row(row: Mapping[str, Any], columns: tuple[str, ...], place: str, *, is_exact: bool) -> list[Cell]:
    """Return the cells of an object; with `is_exact`, it must have no further fields."""
    try:
        cells = [_cell(row[column], place) for column in columns]
    except KeyError as error:
        what = f'the row has no "{error.args[0]}"'
        raise DataError(Problem(what, "ragged_row", place=place, hint="Write null where there is no value")) from None
    if is_exact and len(row) != len(columns):
        other = next(key for key in row if key not in columns)
        hint = f"Columns: {', '.join(columns)}. Add it to the first row too, or list the fields to use in `columns`"
        raise DataError(Problem(f'the row has a further field "{other}"', "ragged_row", place=place, hint=hint))
    return cells


def _cell(value: Any, place: str) -> Cell:
    if isinstance(value, str):
        return Cell(value)
    try:
        return Cell(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")), True)
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(Problem(f"a cell is not JSON: {error}", "bad_row", place=place)) from None


def _lines(file: BinaryIO, name: str, layout: Layout) -> Rows:
    columns = _checked_columns(layout.columns or (LINE,), name)
    if len(columns) != 1:
        what = f"plain lines have one column, and `columns` names {len(columns)}"
        raise DataError(Problem(what, "bad_columns", place=name, hint="Add `format: csv` if the file is CSV"))
    texts = (line.rstrip("\r\n") for line in decoded_lines(file, name))
    rows = ([text] for text in texts if text)
    first = next(rows, None)
    if first is None:
        raise _empty(name)
    return Rows(columns, _with_first(first, rows))


def _with_first(first: list[str], rows: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rows


def _checked_columns(columns: tuple[str, ...], place: str) -> tuple[str, ...]:
    earlier: set[str] = set()
    for number, column in enumerate(columns, 1):
        if not column:
            what = f"column {number} has no name"
            hint = "Name it in the first line, or name all columns in `columns` if there is no header"
            raise DataError(Problem(what, "bad_columns", place=place, hint=hint))
        if column in earlier:
            what = f'two columns are called "{column}"'
            raise DataError(Problem(what, "bad_columns", place=place, hint="Give each a name of its own"))
        earlier.add(column)
    return columns


def _ragged(count: int, columns: tuple[str, ...], place: str) -> DataError:
    cells = "1 cell" if count == 1 else f"{count} cells"
    what = f"the row has {cells}, and there are {len(columns)} columns: {', '.join(columns)}"
    hint = "Put cells that contain the separator into quotes" if count > len(columns) else ""
    return DataError(Problem(what, "ragged_row", place=place, hint=hint))


def _empty(name: str) -> DataError:
    return DataError(Problem("the file has no rows", "no_rows", place=name, hint="Add at least one row"))
