"""Slow down who tries keys: a few wrong ones from an address, then one every few seconds. Pure; time is an argument.

A wrong key that comes again counts once: it is a program with an old key, and no guess.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

WRONG_KEYS = 10
"""So many may come at once."""
REFILL_SECONDS = 6.0
"""After this one more may come."""
_MOST_ADDRESSES = 10_000
_MOST_KEYS = 10_000


class Throttle:
    """The wrong keys that this process has seen lately, by address (of IPv6 by network of 64 bits)."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Level of the bucket, and when it was so."""
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._repeated: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Wrong ones that came from there."""

    def wait_seconds(self, address: str, key_hash: str, now: float) -> int:
        """How long a client has to wait before a key is looked at; 0: not at all.

        Keys that opened from there before are always looked at, so that nobody locks out those behind the same address.
        """
        if (address, key_hash) in self._good or (_group(address), key_hash) in self._repeated:
            return 0
        level = self._level(_group(address), now)
        return 0 if level + 1 <= WRONG_KEYS else math.ceil((level + 1 - WRONG_KEYS) * REFILL_SECONDS)

    def failed(self, address: str, key_hash: str, now: float) -> bool:
        """A key from there opened nothing; whether it is another one than before."""
        group = _group(address)
        if (group, key_hash) in self._repeated:
            return False
        _remember(self._repeated, (group, key_hash))
        self._wrong[group] = (self._level(group, now) + 1, now)
        self._wrong.move_to_end(group)
        while len(self._wrong) > _MOST_ADDRESSES:
            self._wrong.popitem(last=False)
        return True

    def succeeded(self, address: str, key_hash: str) -> None:
        """A key from there opened."""
        _remember(self._good, (address, key_hash))

    def _level(self, group: str, now: float) -> float:
        level, at = self._wrong.get(group, (0.0, now))
        return max(0.0, level - (now - at) / REFILL_SECONDS)


def _remember(keys: OrderedDict[tuple[str, str], None], key: tuple[str, str]) -> None:
    keys[key] = None
    keys.move_to_end(key)
    while len(keys) > _MOST_KEYS:
        keys.popitem(last=False)


def _group(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is None:
        return str(ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)
