"""Parse durations to seconds, and format them."""

from __future__ import annotations

import re

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "sec": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
# Compiled on first use (re caches them): every process imports this module.
_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
_DURATION_PART = rf"\s*({_NUMBER})\s*({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![a-zµμ])"
_PLAIN_NUMBER = rf"\s*({_NUMBER})\s*"

MAX_SECONDS = 366 * 86400.0
"""The longest duration in a spec: a leap year."""


def parse_duration(value: str | float) -> float:
    """Return seconds from a number of seconds or from text such as `30s`, `1m30s`, `250ms`, `1h`.

    Raises ValueError, with a message for users, on anything else and on negative or infinite values.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError('a duration is a number of seconds or text such as "30s", "5m", "250ms"')
    seconds = _seconds_of_text(value) if isinstance(value, str) else float(value)
    if not 0 <= seconds <= MAX_SECONDS:
        shown = value if isinstance(value, str) else f"{seconds:g}"
        raise ValueError(f"a duration is between 0 and 366 days, not {shown}")
    return seconds


def _seconds_of_text(text: str) -> float:
    if plain := re.fullmatch(_PLAIN_NUMBER, text):
        return float(plain[1])
    lowered, position, seconds = text.strip().lower(), 0, 0.0
    while position < len(lowered):
        match = re.match(_DURATION_PART, lowered[position:])
        if not match:
            raise ValueError(f'"{text}" is not a duration')
        seconds += float(match[1]) * _UNITS[match[2]]
        position += match.end()
    if not lowered:
        raise ValueError("an empty text is not a duration")
    return seconds


def format_seconds(seconds: float) -> str:
    """Format a duration: `250 ms`, `10 s`, `1.5 s`."""
    if 0 < seconds < 1:
        return f"{plain_number(seconds * 1000)} ms"
    return f"{plain_number(seconds)} s"


def plain_number(number: float) -> str:
    """Format a number without exponent or trailing zeros: `300`, `0.5`, `99.9`."""
    text = f"{number:.12f}".rstrip("0").rstrip(".")
    return text or "0"
