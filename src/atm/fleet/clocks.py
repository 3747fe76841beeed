"""The offset of a worker's monotonic clock from the controller's, and how far it can be wrong."""

from __future__ import annotations

from atm.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """Read from the fastest of several round trips (Cristian 1989): the reading is that of its middle."""

    offset_ns: int = 0
    """The worker's clock minus the controller's."""
    error_ns: int = 0
    """Half of the round trip: the offset is wrong by no more."""
    round_trip_ns: int = 0
    """The slowest of the round trips."""

    def including(self, sent_ns: int, now_ns: int, received_ns: int) -> ClockEstimate:
        """Return the estimate after one more reading; `now_ns` is the worker's clock."""
        trip = received_ns - sent_ns
        slowest = max(self.round_trip_ns, trip)
        if self.round_trip_ns and trip // 2 >= self.error_ns:
            return ClockEstimate(self.offset_ns, self.error_ns, slowest)
        return ClockEstimate(now_ns - (sent_ns + received_ns) // 2, trip // 2, slowest)

    def differs_by(self, earlier: ClockEstimate) -> int:
        """Return by how much the clock may have drifted since an earlier estimate, the errors of both included."""
        return abs(self.offset_ns - earlier.offset_ns) + self.error_ns + earlier.error_ns
