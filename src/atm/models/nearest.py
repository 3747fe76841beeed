"""Suggest corrections for an unknown name: the most similar known ones. Bounded for hostile input."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

MOST_OPTIONS = 100
LONGEST = 80
"""Characters of a name; a longer one is no typo."""


def nearest(name: str, options: Iterable[str], *, count: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return up to `count` of the first options similar to the name (difflib ratio of at least `cutoff`), best first.

    Takes a few milliseconds at most, for any number of options; callers limit how often they call it.
    """
    if len(name) > LONGEST:
        return []
    from difflib import get_close_matches

    # An upper bound of the ratio for texts of these lengths, which rules out most options.
    fitting = (
        option
        for option in options
        if len(option) <= LONGEST and 2 * min(len(name), len(option)) >= cutoff * (len(name) + len(option))
    )
    return get_close_matches(name, list(islice(fitting, MOST_OPTIONS)), n=count, cutoff=cutoff)


def listed(names: Iterable[str], most: int = 20) -> str:
    """Join the first names for a message."""
    some = list(islice(names, most + 1))
    return ", ".join(some[:most]) + (", …" if len(some) > most else "")
