"""How a run stands while it goes on: its figures, its thresholds, and whether it can be believed; once a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances, evidence_of
from atm.metrics.snapshot import Snapshot
from atm.metrics.thresholds import ThresholdJudge

if TYPE_CHECKING:
    # At run time this would bring pydantic into the path to the first request.
    from atm.models.run import Measurement, ThresholdResult


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """Taken after a second."""

    snapshot: Snapshot
    thresholds: Sequence[ThresholdResult] = ()
    measurement: Measurement | None = None
    """None while it cannot be told."""
    reason: str = ""
    """Why the measurement is not valid so far."""


def judged(collector: Collector, thresholds: ThresholdJudge, circumstances: Circumstances) -> LiveStatus:
    """The standing with both verdicts; the measurement's is None while nothing was measured.

    `thresholds` has seen the same seconds as `collector`.
    """
    from atm.metrics.verdict import judge

    results = thresholds.results(collector)
    if not collector.window_ns:
        return LiveStatus(collector.snapshot(), results)
    measurement, reasons = judge(evidence_of(collector, collector.window_ns, circumstances))
    return LiveStatus(collector.snapshot(), results, measurement, reasons[0].what if reasons else "")
