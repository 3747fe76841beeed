"""Characters that would end a line of a request's head, and with it begin another header or another request."""

from __future__ import annotations

import re

_IN_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_IN_TARGET = re.compile(r"[\x00-\x20\x7f]")
_NAMES = {"\r": "a carriage return", "\n": "a line feed", "\t": "a tab", " ": "a space", "\0": "a NUL character"}


def breaks_header(text: str) -> str:
    """The first character of a header's value that no header may hold (RFC 9110, 5.5), in words; empty for none."""
    return _name(_IN_HEADER.search(text))


def breaks_target(text: str) -> str:
    """The first character that the target of a request line may not hold (RFC 9112, 3.2), in words; empty for none."""
    return _name(_IN_TARGET.search(text))


def _name(found: re.Match[str] | None) -> str:
    return _NAMES.get(found[0], "a control character") if found else ""
