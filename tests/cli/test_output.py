from __future__ import annotations

import io

import pytest

from atm.cli.output import Color, speaks_unicode, wants_color, width_of
from atm.cli.text import Paper, Style, cells, shortened
from atm.models.sanitize import printable


class Terminal(io.StringIO):
    encoding = "utf-8"

    def __init__(self, tty: bool = True) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


@pytest.mark.parametrize(
    ("choice", "tty", "environment", "colored"),
    [
        (Color.AUTO, True, {}, True),
        (Color.AUTO, False, {}, False),
        (Color.AUTO, True, {"TERM": "dumb"}, False),
        (Color.AUTO, True, {"NO_COLOR": "1"}, False),
        (Color.AUTO, True, {"NO_COLOR": ""}, True),
        (Color.AUTO, False, {"FORCE_COLOR": "1"}, True),
        (Color.AUTO, False, {"FORCE_COLOR": "0"}, False),
        (Color.AUTO, False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (Color.ALWAYS, False, {"NO_COLOR": "1"}, True),
        (Color.NEVER, True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_who_decides_about_color(choice: Color, tty: bool, environment: dict[str, str], colored: bool) -> None:
    assert wants_color(choice, Terminal(tty), environment) is colored


def test_only_a_utf8_stream_gets_more_than_ascii() -> None:
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert speaks_unicode(Terminal(), {})
    assert not speaks_unicode(Terminal(), {"LC_ALL": "C"})
    assert not speaks_unicode(latin, {})


@pytest.mark.parametrize(("columns", "width"), [("", 80), ("100", 100), ("500", 120), ("10", 40), ("many", 80)])
def test_the_width_stays_within_its_bounds(columns: str, width: int) -> None:
    assert width_of(Terminal(False), {"COLUMNS": columns}) == width


def test_wide_characters_take_two_columns_and_marks_none() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1


@pytest.mark.parametrize("width", range(1, 12))
def test_a_name_is_cut_in_the_middle_to_fit(width: int) -> None:
    short = shortened("GET /users/日本語", width)
    assert cells(short) <= width
    assert width < 5 or ("…" in short and short[0] == "G")


def test_control_characters_and_overrides_are_made_visible() -> None:
    assert printable("a\x1b[2J\u202eb\x9b\n") == "a\\x1b[2J\\u202eb\\x9b\\n"
    assert printable("日本 ✓ é") == "日本 ✓ é"
    assert printable("a\n\tb", layout=True) == "a\n\tb"


def test_what_is_to_be_typed_is_never_broken_over_lines() -> None:
    lines = [line.plain for line in Paper(40).wrapped("hint: try `atm run http://127.0.0.1:80/ --rate 5` now", 2)]
    assert lines == ["  hint: try", "  `atm run http://127.0.0.1:80/ --rate 5`", "  now"]


def test_a_line_paints_only_what_has_a_style() -> None:
    line = Paper(80).line("a ").add("b", Style.FAIL).add(" c")
    assert line.rendered(color=True) == "a \x1b[31mb\x1b[0m c"
    assert line.rendered(color=False) == "a b c"
