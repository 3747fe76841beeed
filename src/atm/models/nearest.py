"""What was probably meant: the known names that are most like one that is not known. Bounded, for hostile input."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

MOST_OPTIONS = 100
LONGEST = 80
"""Of a name, in characters: what is longer is no slip of a finger."""


def nearest(name: str, options: Iterable[str], *, count: int = 1, cutoff: float = 0.6) -> list[str]:
    """At most `count` of the first options that are like the name (difflib's ratio of `cutoff` and more), best first.

    It takes a few milliseconds at most, however many options there are; callers bound how often they ask.
    """
    if len(name) > LONGEST:
        return []
    from difflib import get_close_matches

    # Two texts of these lengths cannot be more alike than this: most options need no comparison.
    fitting = (
        option
        for option in options
        if len(option) <= LONGEST and 2 * min(len(name), len(option)) >= cutoff * (len(name) + len(option))
    )
    return get_close_matches(name, list(islice(fitting, MOST_OPTIONS)), n=count, cutoff=cutoff)


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, the first of many."""
    some = list(islice(names, most + 1))
    return ", ".join(some[:most]) + (", …" if len(some) > most else "")
