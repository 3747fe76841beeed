"""The end of a lane's sending, as its users and its schedule record it. Times: ns of the monotonic clock."""

from __future__ import annotations

from atm.plan.pacer import NEVER


class LaneEnd:
    """When the sending of a lane ends, and when its last request or iteration finished."""

    __slots__ = ("end", "last_finish")

    def __init__(self) -> None:
        self.end = NEVER
        """Whatever finishes after this is drained; NEVER while it is unknown, and where the last finish is the end."""
        self.last_finish = 0
