"""Delays and statuses as pure functions of (seed, n), for the n-th request of a seeded route.

Shared by the server and by tests, which compute the expected behaviour with them.
"""

from __future__ import annotations

import math

_MASK = 0xFFFFFFFFFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15


def uniform(seed: int, number: int, stream: int = 0) -> float:
    """Return a number in (0, 1) that depends only on the arguments.

    The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014); the
    upper 52 bits are centred in their interval, so that neither 0 nor 1 occurs.
    """
    state = (_mix((seed & _MASK) ^ _mix(stream + 1)) + number * _GOLDEN) & _MASK
    return ((_mix(state) >> 12) + 0.5) / (1 << 52)


def lognormal_ms(median_ms: float, sigma: float, seed: int, number: int) -> float:
    """Return the delay in ms of request `number`: median times e^(sigma z), z standard normal by Box-Muller."""
    radius = math.sqrt(-2.0 * math.log(uniform(seed, number)))
    normal = radius * math.cos(2.0 * math.pi * uniform(seed, number, 1))
    return median_ms * math.exp(sigma * normal)


def bimodal_ms(fast_ms: float, slow_ms: float, share: float, seed: int, number: int) -> float:
    """Return the delay in ms of request `number`: `slow_ms` for `share` (0 to 1) of them, else `fast_ms`."""
    return slow_ms if uniform(seed, number) < share else fast_ms


def status_of(ok: int, other: int, share: float, seed: int, number: int) -> int:
    """Return the status of request `number`: `other` for `share` (0 to 1) of them, else `ok`."""
    return other if uniform(seed, number) < share else ok


def _mix(state: int) -> int:
    state = (state + _GOLDEN) & _MASK
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _MASK
    return state ^ (state >> 31)
