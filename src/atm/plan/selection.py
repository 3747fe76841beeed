"""Select the flow of request n. `sequential` needs no selection: the engines separate its flows by barriers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate

from atm.plan.randomness import Stream, below, draw

EndpointSelector = Callable[[int], int]
"""Maps a request number (1-based) to an index into the plan's flows."""


def round_robin(flows: int) -> EndpointSelector:
    """Select flow (n - 1) mod `flows` for request n."""
    return lambda number: (number - 1) % flows


def weighted(seed: int, weights: Sequence[int]) -> EndpointSelector:
    """Select flows by weight, as a function of (seed, n)."""
    bounds = list(accumulate(weights))
    total = bounds[-1]
    return lambda number: bisect_right(bounds, below(draw(seed, number, Stream.SELECTION), total))


def sequential_shares(total: int, flows: int) -> list[int]:
    """Split `total` requests among the flows; the remainder goes to the first ones."""
    share, remainder = divmod(total, flows)
    return [share + (1 if index < remainder else 0) for index in range(flows)]
