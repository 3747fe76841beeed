"""Styled lines: text with meaning attached, and what a terminal makes of them.

Colour is one of the 16 ANSI colours and stands only where something was judged; words and signs carry every meaning
without it. Rich is not used here: importing it costs 100 ms of CPU and a frame 0.7 to 1.6 ms, on the thread that may be
sending load at that moment.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from atm.models.sanitize import printable

_ESCAPE = "\x1b["
_BREAK = re.compile(r" +(?=(?:[^`]*`[^`]*`)*[^`]*$)")
_ASCII = str.maketrans(
    {
        "·": "-",
        "×": "x",
        "≤": "<=",
        "≥": ">=",
        "∞": "inf",
        "µ": "u",
        "…": "...",
        "◂": "<",
        "–": "-",
        "→": "->",
        "≈": "~",
        "█": "#",
        "━": "#",
        "╸": "#",
        "╺": "-",
        "─": "-",
    }
)


class Style(StrEnum):
    """What a piece of text means; the value is its ANSI code."""

    PLAIN = ""
    PASS = "32"
    FAIL = "31"
    WARN = "33"
    TYPE = "36"
    """Something to type."""
    DIM = "2"
    BOLD = "1"


@dataclass(frozen=True, slots=True)
class Signs:
    """The four signs, padded to one width so that what follows lines up."""

    passed: str
    failed: str
    warning: str
    stopped: str

    @property
    def width(self) -> int:
        return len(self.passed)


UNICODE_SIGNS = Signs("✓", "✗", "!", "■")
ASCII_SIGNS = Signs("ok  ", "FAIL", "WARN", "STOP")


def short_id(run_id: str) -> str:
    """What people see and type of an id; commands take any beginning that is one run's alone."""
    return run_id[:8]


def cells(text: str) -> int:
    """How many terminal columns `text` takes: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def shortened(text: str, width: int, ellipsis: str = "…") -> str:
    """`text` in at most `width` columns, cut in the middle: both ends of a name tell more than its centre."""
    if cells(text) <= width:
        return text
    room = width - len(ellipsis)
    if room < 2:
        return _head(text, width)
    tail = room // 2
    return _head(text, room - tail) + ellipsis + _head(text[::-1], tail)[::-1]


def _head(text: str, width: int) -> str:
    taken = 0
    for position, character in enumerate(text):
        taken += cells(character)
        if taken > width:
            return text[:position]
    return text


@dataclass(slots=True)
class Line:
    """One line of styled spans. Built by a `Paper`, which knows the character set."""

    paper: Paper
    spans: list[tuple[str, Style]] = field(default_factory=list)

    def add(self, text: str, style: Style = Style.PLAIN) -> Line:
        """Append text; returns the line, so that calls chain."""
        if text:
            self.spans.append((self.paper.text(text), style))
        return self

    def extend(self, line: Line) -> Line:
        """Append the spans of another line."""
        self.spans += line.spans
        return self

    def to(self, column: int) -> Line:
        """Pad with blanks up to `column` (0-based); at least one blank when the line is already that long."""
        self.spans.append((" " * max(1 if self.spans else 0, column - self.width), Style.PLAIN))
        return self

    def hint(self, text: str) -> Line:
        """Append text in which `backticks` hold something to type."""
        for position, part in enumerate(text.split("`")):
            self.add(f"`{part}`" if position % 2 else part, Style.TYPE if position % 2 else Style.PLAIN)
        return self

    def right(self, text: str, end: int, style: Style = Style.PLAIN) -> Line:
        """Append text so that it ends before column `end`."""
        text = self.paper.text(text)
        missing = end - self.width - cells(text)
        if missing > 0:
            self.spans.append((" " * missing, Style.PLAIN))
        elif self.spans and not self.spans[-1][0].endswith(" "):
            self.spans.append((" ", Style.PLAIN))
        self.spans.append((text, style))
        return self

    @property
    def width(self) -> int:
        """Columns used so far."""
        return sum(cells(text) for text, _ in self.spans)

    @property
    def plain(self) -> str:
        return "".join(text for text, _ in self.spans).rstrip()

    def rendered(self, color: bool) -> str:
        """The line for a terminal, without trailing blanks and without a line feed."""
        if not color:
            return self.plain
        return "".join(
            f"{_ESCAPE}{style.value}m{text}{_ESCAPE}0m" if style.value and not text.isspace() else text
            for text, style in self.spans
        ).rstrip(" ")


@dataclass(frozen=True, slots=True)
class Paper:
    """What is written on: how wide, and with which characters."""

    width: int = 80
    unicode: bool = True

    @property
    def signs(self) -> Signs:
        return UNICODE_SIGNS if self.unicode else ASCII_SIGNS

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."

    def text(self, text: str) -> str:
        """`text` as it may be printed here."""
        text = printable(text)
        if self.unicode or text.isascii():
            return text
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")

    def line(self, text: str = "", style: Style = Style.PLAIN) -> Line:
        return Line(self).add(text, style)

    def fitted(self, text: str, width: int) -> str:
        """`text` in at most `width` columns, cut in the middle."""
        return shortened(self.text(text), width, self.ellipsis)

    def wrapped(self, text: str, indent: int, style: Style = Style.PLAIN) -> Iterator[Line]:
        """Break `text` at blanks into lines of the paper's width, each indented.

        A long word is left whole, and so is what stands in backticks: it is there to be copied.
        """
        line = self.line(" " * indent)
        for word in _BREAK.split(self.text(text)):
            if line.width > indent and line.width + 1 + cells(word) > self.width:
                yield line
                line = self.line(" " * indent)
            line.add(f" {word}" if line.width > indent else word, style)
        yield line


def joined(lines: Iterable[Line], color: bool) -> str:
    """All lines as text, each ended by a line feed."""
    return "".join(f"{line.rendered(color)}\n" for line in lines)
