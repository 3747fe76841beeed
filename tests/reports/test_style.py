"""The report's colours can be read: contrasts after WCAG 2, computed from the style sheet itself."""

from __future__ import annotations

import re

import pytest

from atm.reports.html.style import STYLE

TEXT = ("text", "muted", "pass", "fail", "warn", "info")
GRAPHICS = ("p50", "p90", "p95", "p99", "p999", "s2", "s3", "s4", "s5", "s0", *(f"e{number}" for number in range(1, 9)))


def palettes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r":root\{([^}]*)\}", STYLE)
    colours = [dict(re.findall(r"--(\w+):(#[0-9A-F]{6})", block)) for block in blocks]
    return {"light": colours[0], "dark": colours[1]}


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("role", TEXT)
def test_text_can_be_read_on_card_and_canvas(theme: str, role: str) -> None:
    palette = palettes()[theme]
    assert contrast(palette[role], palette["card"]) >= 4.5
    assert contrast(palette[role], palette["canvas"]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", GRAPHICS)
def test_lines_and_areas_stand_out_from_the_card(theme: str, name: str) -> None:
    palette = palettes()[theme]
    assert contrast(palette[name], palette["card"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_rises_towards_the_tail(theme: str) -> None:
    palette = palettes()[theme]
    tail = [contrast(palette[name], palette["card"]) for name in ("p50", "p90", "p95", "p99", "p999")]
    assert tail == sorted(tail)
