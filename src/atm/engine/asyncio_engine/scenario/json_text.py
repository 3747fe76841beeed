"""Strict JSON (RFC 8259) to values and back, alike in both engines.

Beyond `json`: no NaN, no unpaired surrogates, numbers within the range of the native engine, and a limit of levels, so
that every value can be walked recursively.
"""

from __future__ import annotations

import json
import math
import re
from json.encoder import encode_basestring as quoted
from typing import Any

MOST_LEVELS = 128
LEAST_INTEGER = -(2**63)
GREATEST_INTEGER = 2**64 - 1

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_SURE_DIGITS = 18
"""Integers of up to this many digits are within the range."""
_AS_ARRAYS = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


class NotJsonError(ValueError):
    """A text is not JSON, or beyond the limits."""


def read_json(text: str) -> Any:
    """Parse a text without a byte order mark. Raises NotJsonError."""
    if text.count("[") + text.count("{") > MOST_LEVELS and _is_too_deep(text):
        raise NotJsonError(f"nested deeper than {MOST_LEVELS} levels")
    try:
        value, end = _DECODER.raw_decode(text, _content_start(text))
    except (ValueError, RecursionError) as error:
        # A malformed text may be deeper than it looks.
        raise NotJsonError(str(error)) from None
    if text[end:].strip(" \t\r\n"):
        raise NotJsonError("followed by further text")
    if ("\\ud" in text or "\\uD" in text) and _has_unpaired_surrogate(text):
        raise NotJsonError("half of a surrogate pair")
    return value


def number_of(text: str) -> int | float | None:
    """Return the number that a text is in JSON; None if it is not a number, or is out of range."""
    match = _NUMBER.fullmatch(text)
    if not match:
        return None
    try:
        return _integer(text) if match[1] is None and match[2] is None else _double(text)
    except NotJsonError:
        return None


def compact(value: Any) -> str:
    """Write a JSON value without spaces, its keys in order, and characters beyond ASCII unescaped."""
    kind = type(value)
    if kind is str:
        return str(quoted(value))
    if kind is int:
        return str(value)
    if kind is float:
        return double_text(value)
    if kind is list:
        return f"[{','.join([compact(item) for item in value])}]"
    if kind is dict:
        return "{" + ",".join([f"{quoted(key)}:{compact(item)}" for key, item in value.items()]) + "}"
    if value is None:
        return "null"
    return "true" if value else "false"


def double_text(value: float) -> str:
    """Write a double like Rust's serde_json: 100.0, 0.00001, 1e16, 1.5e-7."""
    text = repr(value)
    digits, marker, exponent = text.partition("e")
    if not marker:
        return text
    power = int(exponent)
    if power != -5:
        return f"{digits}e{power}"
    sign = "-" if value < 0 else ""
    return f"{sign}0.0000{digits.lstrip('-').replace('.', '')}"


def _integer(text: str) -> int | float:
    if len(text) <= _SURE_DIGITS:
        number = int(text)
        return number if number or text[0] != "-" else -0.0
    if len(text) <= _SURE_DIGITS + 3 and LEAST_INTEGER <= (number := int(text)) <= GREATEST_INTEGER:
        return number
    return _double(text)


def _double(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise NotJsonError("a number out of range")
    return number


def _constant(name: str) -> Any:
    raise NotJsonError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_int=_integer, parse_float=_double, parse_constant=_constant)


def _content_start(text: str) -> int:
    return len(text) - len(text.lstrip(" \t\r\n"))


def _is_too_deep(text: str) -> bool:
    """Return whether brackets outside of strings are nested too deeply, if the text is JSON."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    outside = "".join(text.split('"')[::2]).encode(errors="replace")
    brackets = outside.translate(_AS_ARRAYS, _NOT_BRACKETS)
    for _ in range(MOST_LEVELS):
        # Without the innermost level.
        rest = brackets.replace(b"[]", b"")
        if len(rest) == len(brackets):
            break
        brackets = rest
    return bool(brackets)


def _has_unpaired_surrogate(text: str) -> bool:
    """Return whether an escape is half of a surrogate pair without the other half, in a text that is JSON."""
    high_end = -1
    for escape in _ESCAPE.finditer(text):
        code = int(escape[1], 16) if escape[1] else 0
        if high_end >= 0:
            if escape.start() != high_end or not 0xDC00 <= code <= 0xDFFF:
                return True
            high_end = -1
        elif 0xDC00 <= code <= 0xDFFF:
            return True
        elif 0xD800 <= code <= 0xDBFF:
            high_end = escape.end()
    return high_end >= 0
