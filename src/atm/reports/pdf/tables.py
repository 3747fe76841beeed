"""Tables: thin lines between rows, numbers on the right, the head repeated on each page, long texts wrapped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.reports.pdf.sheet import BODY, BOTTOM, LEFT, RIGHT, SMALL, Sheet

_LINE = 11.5
_PADDING = 4.5
_GAP = 10.0
MOST_LINES = 3
_FEWEST_BARS = 20
"""A trend has space for at least this number of bars; the newest is at the right."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column; the width of one with `grows` is what the others leave."""

    title: str
    number: bool = False
    grows: float = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """Text with a colour, and what is in front of it."""

    text: str
    colour: str = "text"
    bold: bool = False
    chip: str = ""
    """The colour of a small square in front of the text."""
    sign: str = ""
    """A check (`pass`), a cross (`fail`) or an exclamation mark (`warn`) in front of the text."""
    bar: float | None = None
    """A share 0..1, drawn instead of text."""
    trend: Sequence[tuple[float | None, str]] = ()
    """Values with their colours, drawn as bars instead of text."""


Row = Sequence[Cell | str]


def draw_table(
    sheet: Sheet, columns: Sequence[Column], rows: Sequence[Row], most: int = 200, noun: str = "rows"
) -> None:
    """Draw the table at the cursor: the first `most` rows, and how many there are besides."""
    shown = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in rows[:most]]
    widths = _widths(sheet, columns, shown)
    _head(sheet, columns, widths)
    for row in shown:
        lines = [
            sheet.wrapped(cell.text, width - _indent(cell), BODY, cell.bold, MOST_LINES)
            if column.grows and cell.bar is None and not cell.trend
            else [sheet.fitted(cell.text, width - _indent(cell), BODY, cell.bold)]
            for column, cell, width in zip(columns, row, widths, strict=True)
        ]
        height = max(map(len, lines)) * _LINE + 2 * _PADDING - (_LINE - BODY)
        if sheet.y + height > BOTTOM:
            sheet.new_page()
            _head(sheet, columns, widths)
        _row(sheet, columns, row, lines, widths)
        sheet.y += height
        sheet.line([(LEFT, sheet.y), (RIGHT, sheet.y)], "border")
    if len(rows) > most:
        sheet.y += 4
        sheet.paragraph(f"and {len(rows) - most:,} more {noun}", SMALL, colour="muted")


def _indent(cell: Cell) -> float:
    return 10.0 if cell.chip else 11.0 if cell.sign else 0.0


def _widths(sheet: Sheet, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> list[float]:
    """Return the widths: of fixed columns that of their longest text, the rest for those that grow."""
    widths = []
    for place, column in enumerate(columns):
        if column.grows:
            widths.append(0.0)
            continue
        texts = (
            sheet.width_of(sheet.clean(row[place].text), BODY, row[place].bold, column.number) + _indent(row[place])
            for row in rows
        )
        widths.append(max([sheet.width_of(column.title, SMALL), *texts]) + 0.5)
    left = RIGHT - LEFT - sum(widths) - _GAP * (len(columns) - 1)
    growing = sum(column.grows for column in columns)
    if not growing:
        return widths
    return [
        left * column.grows / growing if column.grows else width for column, width in zip(columns, widths, strict=True)
    ]


def _head(sheet: Sheet, columns: Sequence[Column], widths: Sequence[float]) -> None:
    sheet.y += 14 if any(column.title for column in columns) else 2
    x = LEFT
    for column, width in zip(columns, widths, strict=True):
        place = (x + width, "R") if column.number else (x, "L")
        sheet.text(place[0], sheet.y - 4, column.title, SMALL, colour="muted", align=place[1])
        x += width + _GAP
    sheet.line([(LEFT, sheet.y), (RIGHT, sheet.y)], "muted", 0.6)


def _row(
    sheet: Sheet,
    columns: Sequence[Column],
    row: Sequence[Cell],
    lines: Sequence[Sequence[str]],
    widths: Sequence[float],
) -> None:
    first = sheet.y + _PADDING + BODY * 0.8
    x = LEFT
    for column, cell, texts, width in zip(columns, row, lines, widths, strict=True):
        if cell.chip:
            sheet.box(x, first - 6, 6, 6, cell.chip, radius=1)
        if cell.sign:
            sheet.sign(x, first, cell.sign)
        if cell.bar is not None:
            sheet.box(x, first - 6.5, max(width * cell.bar, 1.0 if cell.bar else 0.0), 7, cell.colour)
        if cell.trend:
            _trend(sheet, x, first + 2, width, cell.trend)
        for number, text in enumerate(texts if cell.bar is None else ()):
            at, align = (x + width, "R") if column.number else (x + _indent(cell), "L")
            sheet.text(at, first + number * _LINE, text, BODY, bold=cell.bold, colour=cell.colour, align=align)
        x += width + _GAP


def _trend(sheet: Sheet, x: float, y: float, width: float, values: Sequence[tuple[float | None, str]]) -> None:
    """Draw bars for the values of the last runs, each in its colour; a dot where there is no value. `y` is the base."""
    finite = [value for value, _ in values if value is not None and math.isfinite(value)]
    high = max(finite, default=0.0) or 1.0
    step = width / max(len(values), _FEWEST_BARS)
    x += width - step * len(values)
    for place, (value, colour) in enumerate(values):
        left = x + place * step
        if value is None or not math.isfinite(value):
            sheet.dot(left + step / 2, y - 1.2, 1.0, colour)
        else:
            height = max(9 * value / high, 1.0)
            sheet.box(left, y - height, max(step - 1.2, 0.6), height, colour)
