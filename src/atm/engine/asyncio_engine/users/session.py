"""The state of a user in a scenario: what its current iteration has done so far."""

from __future__ import annotations


class Session:
    """State of one user in one flow. An iteration that does not keep it begins with a new one."""

    __slots__ = (
        "counters",
        "is_failing_to_send",
        "iteration",
        "position",
        "requests",
        "round",
        "think_ns",
        "user",
        "visited",
    )

    def __init__(self, counters: int) -> None:
        self.counters = [0] * counters
        self.begin(0, 0)

    def begin(self, iteration: int, user: int) -> None:
        """Begin an iteration; `iteration` and `user` are 1-based numbers."""
        self.iteration = iteration
        self.user = user
        self.position = 0
        """The next operation."""
        self.round = 0
        """Number of backward jumps."""
        self.requests = 0
        """Number of requests sent."""
        self.visited = 0
        """The steps of requests sent, as bits."""
        self.think_ns = 0
        """Think time drawn."""
        self.is_failing_to_send = False
        """A request ended with a generator error."""
        for index in range(len(self.counters)):
            self.counters[index] = 0
