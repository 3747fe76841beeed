"""Text of strangers made harmless to look at: what targets answer and what specs are called."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_WITH_LAYOUT = re.compile("[\t\n]")


def printable(text: str, *, layout: bool = False) -> str:
    """`text` with control characters, bidirectional overrides and lone surrogates made visible, as `\\x1b`.

    None of them may move a cursor, write to a clipboard, turn a line around or break XML. `layout` keeps tabs and line
    feeds as they are.
    """
    if text.isprintable():
        return text
    text = _UNPRINTABLE.sub(_escaped, text)
    return text if layout else _WITH_LAYOUT.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
