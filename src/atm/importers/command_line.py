"""What a shell parser hands over: commands as words, with variables that are known only when a run starts.

A shell variable inside a word is kept as a mark, so that text around it can be percent-encoded or escaped first. The
mark is written with code points that no text holds: halves of surrogate pairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from atm.errors import Problem, SpecError

_BEGIN, _END = "\ud800", "\udbff"
_MARK = re.compile(f"{_BEGIN}([A-Za-z0-9_]*){_END}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Command:
    """One command of a command line."""

    words: list[str] = field(default_factory=list)
    stdin: str | None = None
    """What a here-document, a here-string or an `echo` before the pipe writes to it."""


@dataclass(slots=True)
class CommandLine:
    """The commands of a pasted text, in order, and what the reader should know about how it was read."""

    commands: list[Command] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def variable(name: str) -> str:
    """The mark that stands for the shell variable `name` in a word."""
    return f"{_BEGIN}{name}{_END}"


def variables(text: str) -> list[str]:
    """The names of the shell variables in a word."""
    return _MARK.findall(text)


def begins_with_variable(text: str) -> bool:
    """Whether a word begins with a shell variable, so that what it begins with is not known yet."""
    return text.startswith(_BEGIN)


def as_template(text: str) -> str:
    """The text as a spec takes it: literal braces are escaped, a variable becomes `{{env:NAME}}`."""
    return _MARK.sub(r"{{env:\1}}", text.replace("{{", r"\{{"))


def for_people(text: str) -> str:
    """The text with variables as a shell shows them: `$NAME`."""
    return _MARK.sub(r"$\1", text)


def encoded(text: str, encode: Callable[[str], str]) -> str:
    """The text with everything but its variables encoded."""
    parts = _MARK.split(text)
    return "".join(variable(part) if index % 2 else encode(part) for index, part in enumerate(parts))


def refuse_surrogates(command: str) -> None:
    """Raise SpecError where the text holds halves of surrogate pairs, which are no characters."""
    if any("\ud800" <= character <= "\udfff" for character in command):
        raise wrong_command("the command holds half of a surrogate pair, which is no character", "bad_text")


def wrong_command(what: str, code: str, hint: str = "") -> SpecError:
    """The error for a command line that cannot become a spec."""
    return SpecError(Problem(what, code, path="command", hint=hint))
