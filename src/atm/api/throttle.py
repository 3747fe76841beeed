"""Rate limit for invalid keys: a few per address, then one every few seconds. Pure; the time is an argument.

A repeated invalid key counts once: it comes from a program with an old key, not from guessing.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address, ip_network

WRONG_KEYS = 10
"""Invalid keys allowed in a burst."""
REFILL_SECONDS = 6.0
"""Time after which one more is allowed."""
_MOST_ADDRESSES = 10_000
_MOST_KEYS = 10_000


class Throttle:
    """Leaky bucket of recent invalid keys in this process, by address (for IPv6 by /64 network)."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Level of each bucket, and its time."""
        self._good: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._repeated: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Invalid keys by address, to count repeated ones once."""

    def wait_seconds(self, address: str, key_hash: str, now: float) -> int:
        """Return the seconds until a key is checked again; 0 if it is checked now.

        Keys that were valid from this address before are always checked, so that an attacker cannot lock out others
        behind the same address.
        """
        if (address, key_hash) in self._good or (_group(address), key_hash) in self._repeated:
            return 0
        level = self._level(_group(address), now)
        return 0 if level + 1 <= WRONG_KEYS else math.ceil((level + 1 - WRONG_KEYS) * REFILL_SECONDS)

    def failed(self, address: str, key_hash: str, now: float) -> bool:
        """Count an invalid key; return whether it is a new one for this address."""
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
        """Record a valid key of this address."""
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
        client = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(client, IPv6Address) and client.ipv4_mapped is None:
        return str(ip_network((client, 64), strict=False))
    return str(getattr(client, "ipv4_mapped", None) or client)
