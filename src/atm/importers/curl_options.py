"""Parse the arguments of one curl command to options with long names and values, one list per `--next`.

Follows curl: an option with a value takes the next argument whatever it begins with, letters can be combined, and a
long name can be abbreviated as long as it is unique.
"""

from __future__ import annotations

from collections.abc import Iterator

from atm.errors import Problem, SpecError
from atm.importers.curl_manual import FLAGS, SHORT, WITH_VALUE

Option = tuple[str, str]
"""A long name and its value, empty for a flag. A positional argument is `("url", …)`."""

_ALL = tuple(sorted(WITH_VALUE | FLAGS))


def option_lists(arguments: list[str]) -> list[list[Option]]:
    """Return the options of each request of a command. Raises SpecError with every option unknown to curl."""
    groups: list[list[Option]] = [[]]
    problems: list[Problem] = []
    for name, value in _options(iter(arguments), problems):
        if name == "next":
            groups.append([])
        else:
            groups[-1].append((name, value))
    if problems:
        raise SpecError(problems)
    return [group for group in groups if group] or [[]]


def _options(rest: Iterator[str], problems: list[Problem]) -> Iterator[Option]:
    only_urls = False
    for word in rest:
        if only_urls or not word.startswith("-") or word == "-":
            yield "url", word
        elif word == "--":
            only_urls = True
        elif word.startswith("--"):
            yield from _long(word, rest, problems)
        else:
            yield from _joined_letters(word, rest, problems)


def _long(word: str, rest: Iterator[str], problems: list[Problem]) -> Iterator[Option]:
    written, equals, value = word[2:].partition("=")
    name = _full_name(written)
    if name in WITH_VALUE:
        yield name, value if equals else _value(rest, word, problems)
    elif name in FLAGS:
        yield name, ""
    elif written.startswith("no-") and _full_name(written[3:]) in FLAGS:
        yield f"no-{_full_name(written[3:])}", ""
    else:
        problems.append(_unknown(f"--{written}"))


def _full_name(written: str) -> str:
    """Resolve a long name or a unique prefix; empty if there is none."""
    if written in WITH_VALUE or written in FLAGS:
        return written
    matching = [name for name in _ALL if name.startswith(written)] if written else []
    return matching[0] if len(matching) == 1 else ""


def _joined_letters(word: str, rest: Iterator[str], problems: list[Problem]) -> Iterator[Option]:
    for position, letter in enumerate(word[1:], start=1):
        name = SHORT.get(letter)
        if name is None:
            problems.append(_unknown(f"-{letter}"))
            return
        if name in WITH_VALUE:
            yield name, word[position + 1 :] or _value(rest, f"-{letter}", problems)
            return
        yield name, ""


def _value(rest: Iterator[str], option: str, problems: list[Problem]) -> str:
    value = next(rest, None)
    if value is None:
        what = f"{option[:60]} needs a value, but the command ends there"
        problems.append(Problem(what, "missing_value", path="command"))
    return value or ""


def _unknown(option: str) -> Problem:
    what = f"curl has no option {option[:60]}"
    return Problem(what, "unknown_option", path="command", hint="`curl --help all` lists them; remove this one")
