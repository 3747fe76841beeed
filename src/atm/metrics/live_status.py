"""The live status of a run: its figures, thresholds and measurement verdict, once a second."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from atm.dataclass import dataclass
from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances, evidence_of
from atm.metrics.snapshot import Snapshot
from atm.metrics.thresholds import ThresholdJudge

if TYPE_CHECKING:
    # At run time, this would import pydantic before the first request.
    from atm.models.run import Measurement, ThresholdResult


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The status after one second."""

    snapshot: Snapshot
    thresholds: Sequence[ThresholdResult] = ()
    measurement: Measurement | None = None
    """None while it is undetermined."""
    reason: str = ""
    """Reasons why the measurement is not valid so far."""


def judged(collector: Collector, thresholds: ThresholdJudge, circumstances: Circumstances) -> LiveStatus:
    """Return the status with both verdicts; the measurement's is None while nothing was measured.

    `thresholds` has seen the same seconds as `collector`.
    """
    from atm.metrics.verdict import judge

    results = thresholds.results(collector)
    if not collector.window_ns:
        return LiveStatus(collector.snapshot(), results)
    measurement, reasons = judge(evidence_of(collector, collector.window_ns, circumstances))
    return LiveStatus(collector.snapshot(), results, measurement, reasons[0].what if reasons else "")
