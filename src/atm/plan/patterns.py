"""Compile regular expressions of specs in RE2 syntax, which match in linear time whatever the pattern.

The asyncio engine matches with RE2, the native engine with Rust's `regex`, to which patterns are translated
(native/loadgen/src/pattern.rs). Patterns that only one of them accepts are refused here.
"""

from __future__ import annotations

import re
from typing import Any

MOST_CHARACTERS = 1000
MOST_INSTRUCTIONS = 4000
"""Size limit of the compiled program, which limits the steps per byte of text."""

_BYTES = 8 * 1024 * 1024
_ESCAPE = re.compile(r"\\(?:x\{([0-9A-Fa-f]{1,8})\}|([pP]\{\^)|(.))", re.DOTALL)
_REPEATED_FLAGS = re.compile(r"(?<!\\)\(\?[imsU-]+\)[*+?{]")
_BACKTRACKING = ("(?=", "(?!", "(?<", "(?>", "(?P", "(?(", "(?#", "(?x", "(?a", "(?L", "(?u")


class PatternError(ValueError):
    """An invalid pattern, or one that cannot be matched in linear time."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def compiled(pattern: str) -> Any:
    """Compile the pattern for `search`. Raises PatternError."""
    # Imported here because few specs have a pattern.
    import re2

    if len(pattern) > MOST_CHARACTERS:
        what = f"the regular expression has {len(pattern)} characters; the maximum is {MOST_CHARACTERS}"
        raise PatternError(what, "Search for a part of it, or use `contains`")
    _check_portable(pattern)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _BYTES
    try:
        compiled_pattern = re2.compile(pattern, options)
    except re2.error as error:
        raise _refused(pattern, _text(error)) from None
    if compiled_pattern.programsize > MOST_INSTRUCTIONS:
        raise _too_large(pattern)
    return compiled_pattern


def _check_portable(pattern: str) -> None:
    for escape in _ESCAPE.finditer(pattern):
        code, negated, character = escape.groups()
        if (code and 0xD800 <= int(code, 16) <= 0xDFFF) or negated or (character and character in "CQE0"):
            what = f'"{_short(pattern)}" uses {escape[0]}, which is not supported'
            raise PatternError(what, "docs/reference/spec.md lists the supported syntax")
        if character and character in "1234567":
            raise _backtracks(pattern, escape[0])

    if match := _REPEATED_FLAGS.search(pattern):
        raise PatternError(f'"{_short(pattern)}" repeats {match[0][:-1]}, which matches nothing', "Write it elsewhere")


def _refused(pattern: str, reason: str) -> PatternError:
    if "too large" in reason:
        return _too_large(pattern)
    if "perl operator" in reason and (operator := reason.rpartition(": ")[2]).startswith(_BACKTRACKING):
        return _backtracks(pattern, operator)
    hint = "For a literal text write `contains` instead"
    return PatternError(f'"{_short(pattern)}" is not a valid regular expression: {reason}', hint)


def _backtracks(pattern: str, part: str) -> PatternError:
    what = f'"{_short(pattern)}" uses {part}; look-around and back-references are not supported'
    return PatternError(what, "Use two checks, or a plain `contains`")


def _too_large(pattern: str) -> PatternError:
    what = f'"{_short(pattern)}" is too large when its repetitions are expanded'
    return PatternError(what, "Repeat less: `{1,50}` of a letter, not `{1,1000}` of a class")


def _text(error: Exception) -> str:
    first = error.args[0] if error.args else ""
    return first.decode(errors="replace") if isinstance(first, bytes) else str(first)


def _short(pattern: str) -> str:
    return pattern if len(pattern) <= 120 else pattern[:119] + "…"
