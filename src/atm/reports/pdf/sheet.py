"""A4 pages with text in embedded fonts, from top to bottom: the cursor, page breaks, headings and page numbers.

Names come from specs and targets. They are cut to `MOST_CHARACTERS`, control characters are escaped as everywhere, and
characters that no font has are shown as boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from fpdf import FPDF

from atm.models.sanitize import printable
from atm.reports.palette import LIGHT

WIDTH, HEIGHT = 595.28, 841.89
LEFT, RIGHT = 44.0, WIDTH - 44.0
TOP, BOTTOM = 48.0, HEIGHT - 54.0
MOST_CHARACTERS = 300
BODY, SMALL = 8.5, 7.5
_FONTS = Path(__file__).parent / "fonts"
_MAIN, _EAST_ASIAN = "FiraGO", "WenQuanYi Micro Hei"
_MISSING = "□"


def rgb(colour: str) -> tuple[int, int, int]:
    """Return the parts of a colour by its role in the palette, or of `#RRGGBB`."""
    value = LIGHT.get(colour, colour)
    return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)


def tint(colour: str, share: float) -> str:
    """Mix a colour with white: `share` 0 is white, 1 the colour."""
    return "#" + "".join(f"{round(255 - (255 - part) * share):02X}" for part in rgb(colour))


class Sheet:
    """The document: text and shapes at places in points from the top left corner, and `y`, where the next part goes."""

    def __init__(self, title: str, foot: str, at: datetime | None) -> None:
        pdf = FPDF(unit="pt", format="A4")
        pdf.set_auto_page_break(False)
        pdf.set_margin(0)
        pdf.c_margin = 0
        # Without it, "{nb}" in a name would become the number of pages.
        pdf.str_alias_nb_pages = None
        pdf.add_font(_MAIN, "", _FONTS / "FiraGO-Regular.ttf")
        pdf.add_font(_MAIN, "B", _FONTS / "FiraGO-Bold.ttf")
        pdf.add_font(_EAST_ASIAN, "", _FONTS / "WenQuanYiMicroHei.ttf")
        pdf.set_fallback_fonts([_EAST_ASIAN], exact_match=False)
        self._known = {code for font in pdf.fonts.values() for code in font.cmap}
        self.pdf = pdf
        self._foot = self.clean(foot)
        self.y = TOP
        pdf.set_title(self.clean(title))
        pdf.set_creator("API Test Machine")
        pdf.set_lang("en")
        if at is not None:
            pdf.set_creation_date(at)
        self.new_page()

    def new_page(self) -> None:
        """Continue at the top of a new page."""
        self.pdf.add_page()
        self.y = TOP

    def need(self, height: float) -> None:
        """Continue on a new page if this height does not fit on the current one."""
        if self.y + height > BOTTOM and self.y > TOP:
            self.new_page()

    def clean(self, text: str, most: int = MOST_CHARACTERS) -> str:
        """Return text that can be shown: short, on one line, without control characters and unknown characters."""
        text = text if len(text) <= most else f"{text[:most]}…"
        text = printable(" ".join(text[: 2 * most].split()))
        return "".join(character if ord(character) in self._known else _MISSING for character in text)

    def font(self, size: float, bold: bool = False, tabular: bool = False) -> None:
        """Select a font for the next text; digits of `tabular` text have the same width."""
        self.pdf.set_font(_MAIN, "B" if bold else "", size)
        self.pdf.set_text_shaping(True, features={"tnum": tabular})

    def width_of(self, text: str, size: float = BODY, bold: bool = False, tabular: bool = False) -> float:
        """Return the width of clean text."""
        self.font(size, bold, tabular)
        return float(self.pdf.get_string_width(text))

    def fitted(self, text: str, width: float, size: float = BODY, bold: bool = False) -> str:
        """Return clean text, shortened at its end to fit the width."""
        text = self.clean(text)
        if self.width_of(text, size, bold) <= width:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.width_of(f"{text[:middle]}…", size, bold) <= width:
                low = middle
            else:
                high = middle - 1
        return f"{text[:low]}…"

    def wrapped(self, text: str, width: float, size: float = BODY, bold: bool = False, most: int = 4) -> list[str]:
        """Return clean text in lines that fit the width, at most `most` of them."""
        self.font(size, bold)
        lines: list[str] = self.pdf.multi_cell(
            width, size, self.clean(text), dry_run=True, output="LINES", align="L"
        ) or [""]
        if len(lines) > most:
            lines = [*lines[: most - 1], self.fitted(f"{lines[most - 1]}…", width, size, bold)]
        return lines

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = BODY,
        *,
        bold: bool = False,
        colour: str = "text",
        align: str = "L",
    ) -> None:
        """Write one line of clean text on the baseline `y`; `align` says which part of it is at `x`: L, C or R."""
        width = self.width_of(text, size, bold, tabular=align == "R")
        left = x - {"L": 0.0, "C": width / 2, "R": width}[align]
        self.pdf.set_text_color(*rgb(colour))
        self.pdf.set_xy(left, y - size * 0.8)
        self.pdf.cell(width + 1, size, text, align="L")

    def paragraph(self, text: str, size: float = BODY, *, colour: str = "text", bold: bool = False) -> None:
        """Write text over the whole width."""
        for line in self.wrapped(text, RIGHT - LEFT, size, bold, most=8):
            self.need(size * 1.45)
            self.y += size * 1.45
            self.text(LEFT, self.y - size * 0.35, line, size, colour=colour, bold=bold)

    def heading(self, title: str, note: str = "", needed: float = 80) -> None:
        """Begin a section that needs this height to start on this page."""
        self.need(needed + 34)
        self.y += 22
        title = self.clean(title)
        self.text(LEFT, self.y, title, 11, bold=True)
        if note:
            left = LEFT + self.width_of(title, 11, True) + 8
            self.text(left, self.y, self.fitted(note, RIGHT - left, SMALL), SMALL, colour="muted")
        self.y += 8

    def line(self, points: Sequence[tuple[float, float]], colour: str, width: float = 0.5, dash: float = 0) -> None:
        """Draw straight segments."""
        self.pdf.set_draw_color(*rgb(colour))
        self.pdf.set_line_width(width)
        self.pdf.set_dash_pattern(dash, dash)
        self.pdf.polyline(points)
        self.pdf.set_dash_pattern()

    def box(self, x: float, y: float, width: float, height: float, colour: str, *, radius: float = 0) -> None:
        """Fill a rectangle."""
        if width <= 0 or height <= 0:
            return
        self.pdf.set_fill_color(*rgb(colour))
        rounded = {"round_corners": True, "corner_radius": radius} if radius else {}
        self.pdf.rect(x, y, width, height, style="F", **rounded)

    def frame(self, x: float, y: float, width: float, height: float, colour: str, radius: float) -> None:
        """Draw the border of a rectangle."""
        self.pdf.set_draw_color(*rgb(colour))
        self.pdf.set_line_width(0.6)
        self.pdf.rect(x, y, width, height, style="D", round_corners=True, corner_radius=radius)

    def dot(self, x: float, y: float, radius: float, colour: str) -> None:
        """Fill a circle."""
        self.pdf.set_fill_color(*rgb(colour))
        self.pdf.circle(x, y, radius, style="F")

    def sign(self, x: float, y: float, kind: str, size: float = 6) -> None:
        """Draw a check, a cross or an exclamation mark; `y` is the baseline of the text beside it."""
        if kind == "warn":
            self.text(x + size / 2, y, "!", size * 1.5, bold=True, colour=kind, align="C")
            return
        low, middle, high = y, y - size * 0.45, y - size * 0.95
        if kind == "pass":
            self.line([(x, middle), (x + size * 0.38, low), (x + size, high)], kind, size / 5)
        else:
            self.line([(x, low), (x + size * 0.95, high)], kind, size / 5)
            self.line([(x, high), (x + size * 0.95, low)], kind, size / 5)

    def finished(self) -> bytes:
        """Number the pages and return the document."""
        total = len(self.pdf.pages)
        for number in range(1, total + 1):
            self.pdf.page = number
            # What the page before left selected is not written again, so select something else first.
            self.font(SMALL + 1)
            self.pdf.set_draw_color(0)
            self.pdf.set_line_width(1)
            self.line([(LEFT, HEIGHT - 42), (RIGHT, HEIGHT - 42)], "border")
            page = f"Page {number} of {total}"
            self.text(RIGHT, HEIGHT - 29, page, SMALL, colour="muted", align="R")
            room = RIGHT - LEFT - self.width_of(page, SMALL) - 20
            self.text(LEFT, HEIGHT - 29, self.fitted(self._foot, room, SMALL), SMALL, colour="muted")
        return bytes(self.pdf.output())
