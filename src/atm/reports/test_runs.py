"""A saved test with its newest runs, as the report of all tests shows it."""

from __future__ import annotations

from collections.abc import Sequence

from atm.dataclass import dataclass
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome

_LIVE = (RunOutcome.QUEUED, RunOutcome.RUNNING)


@dataclass(frozen=True, slots=True)
class TestRuns:
    """A saved test with its newest runs."""

    __test__ = False

    name: str
    enabled: bool
    runs: Sequence[RunSummaryView]
    """The newest runs, newest first."""
    reasons: Sequence[str] = ()
    """Why the last ended run did not pass."""

    @property
    def last(self) -> RunSummaryView | None:
        """The newest run that has ended."""
        return next((run for run in self.runs if run.outcome not in _LIVE), None)

    @property
    def failed(self) -> bool:
        """Whether the last ended run did not pass."""
        return self.last is not None and self.last.outcome is not RunOutcome.PASSED
