"""Find characters that would end a line of a request's head and so inject another header or request."""

from __future__ import annotations

import re

_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_TARGET = re.compile(r"[\x00-\x20\x7f]")
_NAMES = {"\r": "a carriage return", "\n": "a line feed", "\t": "a tab", " ": "a space", "\0": "a NUL character"}


def breaks_header(text: str) -> str:
    """Describe the first character that a header value must not hold (RFC 9110, 5.5); empty if there is none."""
    return _name(_IN_HEADER.search(text))


def breaks_target(text: str) -> str:
    """Describe the first character that a request target must not hold (RFC 9112, 3.2); empty if there is none."""
    return _name(_IN_TARGET.search(text))


def _name(match: re.Match[str] | None) -> str:
    return _NAMES.get(match[0], "a control character") if match else ""
