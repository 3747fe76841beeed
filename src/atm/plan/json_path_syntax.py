"""Check the syntax of a JSONPath before the run."""

from __future__ import annotations

import re

_SEGMENT = re.compile(
    r"\.\.?(?:\*|[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff-]*)"
    r"|(?:\.\.)?\[\s*(?:\*|-?(?:0|[1-9][0-9]*)|-?[0-9]*:-?[0-9]*(?::-?[0-9]*)?|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|,\s*)+\s*\]"
    r"|(?:\.\.)?\[\s*\?.+?\]"
)


def path_problem(path: str) -> str:
    """Describe what is wrong with a JSONPath (RFC 9535); empty if nothing is."""
    position = 1
    while position < len(path):
        segment = _SEGMENT.match(path, position)
        if segment is None:
            return f"unexpected text at character {position + 1}"
        position = segment.end()
    return "" if path.startswith("$") else "it must begin with $"
