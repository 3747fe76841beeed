"""The words of a command line as a POSIX shell sees them, with nothing expanded."""

from __future__ import annotations

import re

from atm.errors import Problem, SpecError

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "E": "\x1b"}
_ANSI = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|.)", re.DOTALL)


def split_words(command: str) -> list[str]:
    """The words of a POSIX shell command: quotes, `$'…'`, backslashes, continued lines. Raises SpecError.

    Nothing is expanded: `$NAME` stays as it is written.
    """
    words: list[str] = []
    word: list[str] | None = None
    position, length = 0, len(command)
    while position < length:
        character = command[position]
        quoted = "$'" if command.startswith("$'", position) else character
        if quoted in ("'", '"', "$'"):
            text, position = _quoted(command, position + len(quoted), quoted)
            word = [*(word or []), text]
        elif character == "\\":
            following = command[position + 1 : position + 3]
            skipped = 3 if following == "\r\n" else 2
            if not following.startswith(("\n", "\r\n")):
                word = [*(word or []), following[:1]]
            position += skipped
        elif character.isspace() or character == "\0":
            if word is not None:
                words.append("".join(word))
            word = None
            position += 1
        else:
            word = [*(word or []), character]
            position += 1
    if word is not None:
        words.append("".join(word))
    return words


def _quoted(command: str, start: int, quote_mark: str) -> tuple[str, int]:
    """The text up to the closing quote, and where it goes on."""
    end = quote_mark[-1]
    position = start
    while position < len(command) and command[position] != end:
        position += 2 if command[position] == "\\" and quote_mark != "'" else 1
    if position >= len(command):
        raise wrong_command(f"a quote {end} is never closed", "bad_quotes", "Paste the whole command")
    inside = command[start:position]
    if quote_mark == '"':
        inside = re.sub(r'\\(["\\$`])|\\\r?\n', lambda found: found[1] or "", inside)
    elif quote_mark == "$'":
        inside = _ANSI.sub(_unescaped, inside)
    return inside, position + 1


def _unescaped(found: re.Match[str]) -> str:
    text = found[1]
    if text[0] in "xuU" and len(text) > 1:
        code = int(text[1:], 16)
        return chr(code) if code <= 0x10FFFF else "\ufffd"
    if text[0] in "01234567":
        return chr(int(text, 8))
    return _ESCAPES.get(text, text)


def wrong_command(what: str, code: str, hint: str = "") -> SpecError:
    """What is wrong with a command line."""
    return SpecError(Problem(what, code, path="command", hint=hint))
