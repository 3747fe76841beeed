"""Expand curl's URL patterns with braces and brackets: `/{a,b}`, `/[1-3]`, `/[a-e:2]` (`man curl`, URL)."""

from __future__ import annotations

import re
from itertools import product

from atm.importers.command_line import wrong_command

MOST_URLS = 100
_GLOB = re.compile(r"\{([^{}]*)\}|\[(?:(\d+)-(\d+)|([a-zA-Z])-([a-zA-Z]))(?::(\d+))?\]")


def expand(url: str) -> list[str]:
    """Return every URL of a pattern, or `url` itself. Raises SpecError for more than `MOST_URLS`."""
    literals: list[str] = []
    choices: list[list[str]] = []
    number, end = 1, 0
    for match in _GLOB.finditer(url):
        values = _values(match)
        number *= len(values)
        if number > MOST_URLS:
            what = f"{url[:80]} expands to more than {MOST_URLS} URLs"
            hint = "Use one URL with a variable such as {{random_int}}, or --globoff"
            raise wrong_command(what, "too_many_urls", hint)
        literals.append(url[end : match.start()])
        choices.append(values)
        end = match.end()
    if not choices:
        return [url]
    rest = url[end:]
    return ["".join(map("".join, zip(literals, chosen, strict=True))) + rest for chosen in product(*choices)]


def _values(match: re.Match[str]) -> list[str]:
    if match[1] is not None:
        return match[1].split(",")
    step = int(match[6] or 1) or 1
    if match[2] is not None:
        first, last = int(match[2]), int(match[3])
        width = len(match[2]) if match[2].startswith("0") else 0
        return [f"{value:0{width}}" for value in range(first, min(last, first + step * MOST_URLS) + 1, step)] or [
            match[0]
        ]
    return [chr(value) for value in range(ord(match[4]), ord(match[5]) + 1, step)] or [match[0]]
