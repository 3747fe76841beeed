"""Estimate the strength of user-chosen keys; keys created by atm have 256 random bits. Pure."""

from __future__ import annotations

import math
import string
from itertools import pairwise

NEEDED_BITS = 128
"""16 random bytes, as `openssl rand -hex 16` produces."""
_LEAST_EFFECTIVE_BITS = 80
"""The minimum after removing repetitions and sequences, including those that occur by chance in random keys."""
_HEX = frozenset(string.hexdigits.lower())
_CLASSES = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
_REPEATED = 4
"""The length from which a repeated substring counts as a repetition."""


def is_strong(key: str) -> bool:
    """Return whether a key can contain 16 random bytes: long enough for its alphabet, and not made of repetitions.

    An upper bound: long passphrases pass, as no dictionary is used.
    """
    if len(key) * _bits_of_character(key) < NEEDED_BITS:
        return False
    return _unpredictable(key) * math.log2(len(set(key))) >= _LEAST_EFFECTIVE_BITS


def _bits_of_character(key: str) -> float:
    if not key:
        return 0.0
    if set(key) <= _HEX:
        return 4.0
    if set(key) & set(string.ascii_lowercase) and set(key) & set(string.ascii_uppercase):
        # Base64, with or without digits.
        return 6.0
    alphabet = sum(len(letters) for letters in _CLASSES if set(key) & set(letters))
    others = {character for character in key if not any(character in letters for letters in _CLASSES)}
    # Other characters, such as - and _ of base64, count only when present.
    return min(math.log2(max(alphabet + len(others), 2)), 6.5)


def _unpredictable(key: str) -> int:
    """Count the characters that neither continue a sequence (`aaaa`, `abcd`, `9876`) nor repeat earlier ones."""
    count = 0
    steps = [ord(after) - ord(before) for before, after in pairwise(key)]
    for position in range(len(key)):
        continues = position >= 2 and steps[position - 1] == steps[position - 2] and abs(steps[position - 1]) <= 1
        start = position - _REPEATED + 1
        repeats = start > 0 and key.find(key[start : position + 1], 0, position) not in (-1, start)
        count += not (continues or repeats)
    return count
