"""Render the report of a real `atm demo` as SVG for the docs, in a dark and a light version.

Usage: python -m tools.picture
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tools.repository import ROOT

COLUMNS = 80
FOLDER = ROOT / "docs" / "images"
THEMES = {
    "dark": TerminalTheme(
        (13, 15, 19),
        (233, 236, 241),
        [
            (107, 116, 132),
            (255, 122, 138),
            (86, 205, 176),
            (237, 184, 54),
            (127, 174, 247),
            (192, 132, 245),
            (108, 196, 245),
            (233, 236, 241),
        ],
    ),
    "light": TerminalTheme(
        (255, 255, 255),
        (21, 25, 34),
        [
            (88, 97, 112),
            (142, 15, 47),
            (12, 107, 88),
            (133, 90, 0),
            (29, 85, 181),
            (124, 52, 172),
            (16, 94, 119),
            (21, 25, 34),
        ],
    ),
}
# Rich's frame without its web fonts, so that the picture loads no external files.
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, monospace; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def main() -> int:
    environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "PYTHONUTF8": "1"}
    demo = [sys.executable, "-m", "atm", "demo", "--color", "always"]
    done = subprocess.run(demo, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, theme in THEMES.items():
        console = Console(record=True, width=COLUMNS + 1, file=io.StringIO(), force_terminal=True)
        console.print(Text.from_ansi(done.stdout.strip("\n")))
        picture = console.export_svg(title="atm demo", theme=theme, code_format=SVG, unique_id="atm")
        (FOLDER / f"report-{name}.svg").write_text(re.sub(r"[ \t]+$", "", picture, flags=re.MULTILINE), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
