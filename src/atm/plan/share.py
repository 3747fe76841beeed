"""The part of a load that one of several engines sends."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from atm.dataclass import dataclass

MOST_SHARES = 10_000


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a plan's load that one of several engines sends.

    It has the arrivals (open model) and users (closed model, or prepared ones) whose 0-based index modulo `of` is in
    `residues`, warm-up included. In the closed model its iterations, counted from j = 0, have the numbers
    `of * (j // len(residues)) + residues[j % len(residues)] + 1`. The shares of a run have every residue exactly once,
    so together they send what one engine would send.

    A plan's levels, rates, prepared users, durations, `last_number` and, in the open model, `total` are those of the
    whole run. `max_in_flight`, `max_rate` and, in the closed model, `total` are the share's own. `sequential` selection
    cannot be shared: only one engine knows when everything has ended.

    A share with `from_ns` continues another one whose engine was lost. It has the arrivals due from then on, and its
    first interval is the second of that time. Only open loads without prepared users have such shares.
    """

    residues: tuple[int, ...]
    """At least one, in ascending order, each from 0 to `of` - 1."""
    of: int
    """At most `MOST_SHARES`."""
    from_ns: int = 0
    """Arrivals due before are not of this share; since the start of the run."""

    def __post_init__(self) -> None:
        rising = all(one < other for one, other in pairwise(self.residues))
        within = bool(self.residues) and self.residues[0] >= 0 and self.residues[-1] < self.of <= MOST_SHARES
        if not (rising and within):
            raise ValueError(
                f"{self.residues} of {self.of} is not a share: ascending residues below 1 to {MOST_SHARES}"
            )

    @property
    def part(self) -> float:
        """The part of the whole load, above 0 to 1."""
        return len(self.residues) / self.of

    def index(self, serial: int) -> int:
        """Return the 0-based index in the whole of the share's arrival, user or iteration `serial`, from 0."""
        turns, position = divmod(serial, len(self.residues))
        return self.of * turns + self.residues[position]

    def count(self, below: int) -> int:
        """Return how many of the indices 0 to `below` - 1 belong to the share."""
        turns, rest = divmod(below, self.of)
        return len(self.residues) * turns + bisect_left(self.residues, rest)

    def has(self, index: int) -> bool:
        """Return whether an index belongs to the share."""
        return self.count(index + 1) > self.count(index)


WHOLE = Share((0,), 1)
