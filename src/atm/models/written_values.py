"""Values as a spec writes them: numbers with their spelling, credentials, and their words in messages."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from atm.models.duration import plain_number


class WrittenFloat(float):
    """A number that stores its spelling, so that `X-Version: 1.10` is sent as `1.10`."""

    text: str

    @classmethod
    def read(cls, text: str) -> WrittenFloat:
        """Parse `text`."""
        number = cls(text)
        number.text = text
        return number


class SecretText(str):
    """A text that the spec marks as a credential: `{value: "1234", secret: true}`."""

    is_secret = True


def describe(value: Any) -> str:
    """Describe a value for a message: `"abc"`, `5`, `true`, `a list`, `an object`, `nothing`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value if len(value) <= 60 else value[:59] + "…"}"'
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    return getattr(value, "text", None) or (plain_float(value) if isinstance(value, float) else str(value)[:60])


def plain_float(value: float) -> str:
    """Format a float for a message or header: without exponent if possible, NaN and infinity as words."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return plain_number(value) if 1e-6 <= abs(value) < 1e15 or value == 0 else repr(value)


def encodable(text: str) -> bool:
    """Return whether a text can be encoded: JSON's escapes allow lone surrogates."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
