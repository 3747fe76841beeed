"""Escape control characters in untrusted text (responses, names of specs) before it is printed."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_WITH_LAYOUT = re.compile("[\t\n]")


def printable(text: str, *, layout: bool = False) -> str:
    """Return `text` with control characters, bidirectional overrides and lone surrogates escaped, as `\\x1b`.

    They could move the cursor, write to the clipboard, reverse a line or break XML. `layout` keeps tabs and line feeds
    unescaped.
    """
    if text.isprintable():
        return text
    text = _UNPRINTABLE.sub(_escaped, text)
    return text if layout else _WITH_LAYOUT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
