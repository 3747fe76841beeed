"""How the thresholds and the measurement stand while a run goes on; for the live view, once a second."""

from __future__ import annotations

from atm.cli.progress import Standing
from atm.engine.environment import usable_cores
from atm.engine.executor import Execution
from atm.metrics.evidence import Circumstances, evidence_of
from atm.metrics.verdict import judge


def judged_standing(execution: Execution) -> Standing:
    """The figures so far with both verdicts so far; the measurement's is None while nothing was measured."""
    collector = execution.collector
    thresholds = execution.thresholds.results(collector)
    if not collector.window_ns:
        return Standing(collector.snapshot(), thresholds)
    load = execution.test.plan.load
    circumstances = Circumstances(execution.engine.name, usable_cores(), poisson=load.arrival == "poisson")
    measurement, reasons = judge(evidence_of(collector, collector.window_ns, circumstances))
    return Standing(collector.snapshot(), thresholds, measurement, reasons[0].what if reasons else "")
