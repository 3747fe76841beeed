"""The output of a shell parser: commands as words, with variables that are only known when a run starts.

A shell variable inside a word is represented by a mark, so that the text around it can be percent-encoded or escaped.
Marks use code points that valid text cannot contain: lone surrogates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field

from atm.dataclass import dataclass
from atm.errors import Problem, SpecError

_BEGIN, _END = "\ud800", "\udbff"
_MARK = re.compile(f"{_BEGIN}([A-Za-z0-9_]*){_END}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Command:
    """One command of a command line."""

    words: list[str] = field(default_factory=list)
    stdin: str | None = None
    """Standard input from a here-document, a here-string or an `echo` before the pipe."""


@dataclass(slots=True)
class CommandLine:
    """The commands of a pasted text, in order, and notes on how it was parsed."""

    commands: list[Command] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def variable(name: str) -> str:
    """Return the mark for the shell variable `name`."""
    return f"{_BEGIN}{name}{_END}"


def variables(text: str) -> list[str]:
    """Return the names of the shell variables in a word."""
    return _MARK.findall(text)


def begins_with_variable(text: str) -> bool:
    """Return whether a word begins with a shell variable, so that its first characters are unknown."""
    return text.startswith(_BEGIN)


def as_template(text: str) -> str:
    """Return the text in spec notation: literal braces escaped, variables as `{{env:NAME}}`."""
    return _MARK.sub(r"{{env:\1}}", text.replace("{{", r"\{{"))


def for_people(text: str) -> str:
    """Return the text with variables in shell notation: `$NAME`."""
    return _MARK.sub(r"$\1", text)


def encoded(text: str, encode: Callable[[str], str]) -> str:
    """Return the text with everything except its variables encoded."""
    parts = _MARK.split(text)
    return "".join(variable(part) if index % 2 else encode(part) for index, part in enumerate(parts))


def refuse_surrogates(command: str) -> None:
    """Raise SpecError if the text contains lone surrogates."""
    if any("\ud800" <= character <= "\udfff" for character in command):
        raise wrong_command("the command contains a lone surrogate, which is not a character", "bad_text")


def wrong_command(what: str, code: str, hint: str = "") -> SpecError:
    """Return the error for a command line that cannot be converted to a spec."""
    return SpecError(Problem(what, code, path="command", hint=hint))
