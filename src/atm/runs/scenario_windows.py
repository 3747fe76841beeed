"""The figures of scenarios and checks in any window of a stored run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from atm.metrics.interval import EndpointInterval
from atm.metrics.scenarios import ScenarioTotals, check_figures, scenario_metrics
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.run_figures import CheckFigures, ScenarioMetrics
from atm.runs.started import checks_of, scenarios_of
from atm.storage import StorageInterface
from atm.storage.series.windows import Window


@dataclass(frozen=True, slots=True)
class RunOutline:
    """What a stored run counts: scenarios and checks, both empty for a spec without scenarios."""

    endpoints: Sequence[str]
    scenarios: Sequence[ScenarioSteps] = ()
    checks: Sequence[CheckName] = ()

    def figures(
        self, window: Window, spans: Sequence[tuple[float, float]]
    ) -> tuple[Sequence[ScenarioMetrics], Sequence[CheckFigures]]:
        """Return the figures of a window, which has all endpoints and scenarios.

        `spans` are its measured parts, from and to, in seconds since the start of the run. The rate of a scenario is
        that in the time in which its own load was planned.
        """
        totals = ScenarioTotals(self.scenarios, self.checks)
        for (flow, warm_up), iterations in window.iterations.items():
            if not warm_up and flow < len(self.scenarios):
                totals.iterations[flow].merge(iterations)
        for (check, warm_up), evaluations in window.checks.items():
            if not warm_up and check < len(self.checks):
                totals.evaluations[check].merge(evaluations)
        measured = [
            window.endpoints.get((index, False)) or EndpointInterval(index) for index in range(len(self.endpoints))
        ]
        seconds = [_seconds_of(scenario, spans) for scenario in self.scenarios]
        metrics = scenario_metrics(totals, self.endpoints, measured, seconds)
        return metrics, check_figures(totals, self.endpoints)


def _seconds_of(scenario: ScenarioSteps, spans: Sequence[tuple[float, float]]) -> float:
    end = math.inf if scenario.measured_until is None else scenario.measured_until
    return sum(max(0.0, min(until, end) - max(begin, scenario.measured_from)) for begin, until in spans)


async def outline_of(storage: StorageInterface, run_id: str, endpoints: Sequence[str]) -> RunOutline:
    """Return the outline of a run with these endpoints."""
    first = await storage.series.events(run_id, 0, 1)
    if not first or first[0].kind != "started":
        return RunOutline(endpoints)
    return RunOutline(endpoints, scenarios_of(first[0].data), checks_of(first[0].data))
