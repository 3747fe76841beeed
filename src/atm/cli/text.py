"""Styled lines of text and their rendering for a terminal.

Only judged values are coloured, with the 16 ANSI colours; words and signs carry the same meaning without colour. Rich
is not used: importing it costs 100 ms of CPU and a frame 0.7 to 1.6 ms, on a thread that may be sending load.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import StrEnum

from atm.dataclass import dataclass
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
    """The meaning of a span of text; the value is its ANSI code."""

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
    """The four signs, padded to one width for alignment."""

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
    """Return the short form of an id; commands accept any unique prefix."""
    return run_id[:8]


def cells(text: str) -> int:
    """Return the terminal columns of `text`: wide East Asian characters take two, combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def shortened(text: str, width: int, ellipsis: str = "…") -> str:
    """Shorten `text` to `width` columns by cutting the middle; both ends of a name distinguish it best."""
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
    """One line of styled spans, built by a `Paper`, which defines the character set."""

    paper: Paper
    spans: list[tuple[str, Style]] = field(default_factory=list)

    def add(self, text: str, style: Style = Style.PLAIN) -> Line:
        """Append text; returns the line for chaining."""
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
        """Append text, with commands in `backticks` styled."""
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
    """The width and character set of the output."""

    width: int = 80
    unicode: bool = True

    @property
    def signs(self) -> Signs:
        return UNICODE_SIGNS if self.unicode else ASCII_SIGNS

    @property
    def ellipsis(self) -> str:
        return "…" if self.unicode else "..."

    def text(self, text: str) -> str:
        """Return `text` sanitised and in this character set."""
        text = printable(text)
        if self.unicode or text.isascii():
            return text
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")

    def line(self, text: str = "", style: Style = Style.PLAIN) -> Line:
        return Line(self).add(text, style)

    def fitted(self, text: str, width: int) -> str:
        """Shorten `text` to `width` columns by cutting the middle."""
        return shortened(self.text(text), width, self.ellipsis)

    def wrapped(self, text: str, indent: int, style: Style = Style.PLAIN) -> Iterator[Line]:
        """Wrap `text` at blanks into indented lines of the paper's width.

        Long words and text in backticks are not broken, so that commands can be copied.
        """
        line = self.line(" " * indent)
        for word in _BREAK.split(self.text(text)):
            if line.width > indent and line.width + 1 + cells(word) > self.width:
                yield line
                line = self.line(" " * indent)
            line.add(f" {word}" if line.width > indent else word, style)
        yield line


def joined(lines: Iterable[Line], color: bool) -> str:
    """Join the lines as text, each ending with a line feed."""
    return "".join(f"{line.rendered(color)}\n" for line in lines)
