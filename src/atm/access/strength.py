"""How hard a key is to guess, for keys that a person chose: those that atm makes have 256 random bits. Pure."""

from __future__ import annotations

import math
import string
from itertools import pairwise

NEEDED_BITS = 128
"""16 random bytes: `openssl rand -hex 16` has exactly so many."""
_LEAST_EFFECTIVE_BITS = 80
"""What has to be left of them after all that repeats or counts up is left out, chance repetitions among it."""
_HEX = frozenset(string.hexdigits.lower())
_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
_REPEATED = 4
"""Characters in a row that were there before are no longer news."""


def is_strong(key: str) -> bool:
    """Whether the key can have 16 random bytes: long enough for its alphabet, and not made of repetitions.

    An upper bound: words that a person chose pass when they are long, as nothing here knows dictionaries.
    """
    if len(key) * _bits_of_character(key) < NEEDED_BITS:
        return False
    return _news(key) * math.log2(len(set(key))) >= _LEAST_EFFECTIVE_BITS


def _bits_of_character(key: str) -> float:
    if not key:
        return 0.0
    if set(key) <= _HEX:
        return 4.0
    if set(key) & set(string.ascii_lowercase) and set(key) & set(string.ascii_uppercase):
        # Base64, whether or not a digit is among it.
        return 6.0
    alphabet = sum(len(each) for each in _CLASSES if set(key) & set(each))
    others = {character for character in key if not any(character in each for each in _CLASSES)}
    # Of other characters those that are there count, as - and _ of base64.
    return min(math.log2(max(alphabet + len(others), 2)), 6.5)


def _news(key: str) -> int:
    """How many characters neither go on with a step (`aaaa`, `abcd`, `9876`) nor repeat what was there."""
    count = 0
    steps = [ord(after) - ord(before) for before, after in pairwise(key)]
    for position in range(len(key)):
        goes_on = position >= 2 and steps[position - 1] == steps[position - 2] and abs(steps[position - 1]) <= 1
        start = position - _REPEATED + 1
        repeats = start > 0 and key.find(key[start : position + 1], 0, position) not in (-1, start)
        count += not (goes_on or repeats)
    return count
