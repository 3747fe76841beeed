"""The URLs that curl makes of one with braces and brackets: `/{a,b}`, `/[1-3]`, `/[a-e:2]` (`man curl`, URL)."""

from __future__ import annotations

import re
from itertools import product

from atm.importers.command_line import wrong_command

MOST_URLS = 100
_GLOB = re.compile(r"\{([^{}]*)\}|\[(?:(\d+)-(\d+)|([a-zA-Z])-([a-zA-Z]))(?::(\d+))?\]")


def expand(url: str) -> list[str]:
    """Every URL that `url` stands for; itself where it has no pattern. Raises SpecError for more than `MOST_URLS`."""
    literals: list[str] = []
    choices: list[list[str]] = []
    number, end = 1, 0
    for found in _GLOB.finditer(url):
        values = _values(found)
        number *= len(values)
        if number > MOST_URLS:
            what = f"{url[:80]} stands for more than {MOST_URLS} URLs"
            hint = "Write one URL with a variable such as {{random_int}}, or --globoff"
            raise wrong_command(what, "too_many_urls", hint)
        literals.append(url[end : found.start()])
        choices.append(values)
        end = found.end()
    if not choices:
        return [url]
    rest = url[end:]
    return ["".join(map("".join, zip(literals, chosen, strict=True))) + rest for chosen in product(*choices)]


def _values(found: re.Match[str]) -> list[str]:
    if found[1] is not None:
        return found[1].split(",")
    step = int(found[6] or 1) or 1
    if found[2] is not None:
        first, last = int(found[2]), int(found[3])
        width = len(found[2]) if found[2].startswith("0") else 0
        return [f"{value:0{width}}" for value in range(first, min(last, first + step * MOST_URLS) + 1, step)] or [
            found[0]
        ]
    return [chr(value) for value in range(ord(found[4]), ord(found[5]) + 1, step)] or [found[0]]
