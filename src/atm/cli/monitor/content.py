"""Turn the command line's styled lines into Textual content, without interpreting markup."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from atm.cli.text import Line, Style

_STYLES = {
    Style.PLAIN: "",
    Style.PASS: "ansi_green",
    Style.FAIL: "ansi_red",
    Style.WARN: "ansi_yellow",
    Style.TYPE: "ansi_cyan",
    Style.DIM: "dim",
    Style.BOLD: "bold",
}


def content_of(lines: Sequence[Line]) -> Content:
    """Return the lines as content."""
    parts: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if number:
            parts.append(("\n", ""))
        # Pairs are never parsed as markup; `Line` has escaped control characters.
        parts += [(text, _STYLES[style]) for text, style in line.spans]
    return Content.assemble(*parts)
