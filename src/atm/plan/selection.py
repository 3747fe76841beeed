"""Which flow request n takes. `sequential` is no choice per request but a barrier, which the engines keep."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from atm.plan.randomness import Stream, below, draw

EndpointSelector = Callable[[int], int]
"""From a request number (1-based) to an index into the plan's flows."""


def round_robin(flows: int) -> EndpointSelector:
    """Request n goes to flow (n - 1) mod `flows`."""
    return lambda number: (number - 1) % flows


def weighted(seed: int, weights: Sequence[int]) -> EndpointSelector:
    """Request n goes to a flow by weight, as a function of (seed, n)."""
    bounds = list(accumulate(weights))
    total = bounds[-1]
    return lambda number: bisect_right(bounds, below(draw(seed, number, Stream.SELECTION), total))


def sequential_shares(total: int, flows: int) -> list[int]:
    """How many of `total` requests each flow gets, the remainder going to the first ones."""
    share, remainder = divmod(total, flows)
    return [share + (1 if index < remainder else 0) for index in range(flows)]
