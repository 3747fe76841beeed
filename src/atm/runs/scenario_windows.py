"""The figures of scenarios and checks in any window of a stored run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.interval import EndpointInterval
from atm.metrics.own_interval import OwnInterval
from atm.metrics.own_totals import own_figures
from atm.metrics.scenarios import ScenarioTotals, check_figures, scenario_metrics
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.models.run_figures import CheckFigures, OwnFigures, ScenarioMetrics
from atm.runs.spool_history import MOST_LIVE_ITERATIONS, MOST_LIVE_SAMPLES
from atm.runs.started_line import checks_of, own_metrics_of, scenarios_of
from atm.storage import StorageInterface
from atm.storage.series.windows import Window


@dataclass(frozen=True, slots=True)
class RunOutline:
    """What a stored run counts: scenarios, checks, and the metrics that the test declares; each may be empty."""

    endpoints: Sequence[str]
    scenarios: Sequence[ScenarioSteps] = ()
    checks: Sequence[CheckName] = ()
    own_metrics: Sequence[OwnMetric] = ()

    @property
    def is_plain(self) -> bool:
        """Whether it counts requests only."""
        return not self.scenarios and not self.own_metrics

    def own_figures(self, window: Window, spans: Sequence[tuple[float, float]]) -> list[OwnFigures]:
        """Return the figures of the metrics of the test in a window; `spans` as for `figures`."""
        parts = [
            window.own.get((index, False)) or OwnInterval(index, warm_up=False)
            for index in range(len(self.own_metrics))
        ]
        return own_figures(self.own_metrics, parts, sum(end - start for start, end in spans))

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
    """Return the outline of a run with these endpoints, and those that its code has announced so far."""
    first = await storage.series.events(run_id, 0, 1)
    if not first or first[0].kind != "started":
        return RunOutline(endpoints)
    started = first[0].data
    outline = RunOutline(endpoints, scenarios_of(started), checks_of(started), own_metrics_of(started))
    if not any(scenario.grows for scenario in outline.scenarios):
        return outline
    last = await _last_second(storage, run_id)
    return outline if last is None else _extended(outline, last)


async def _last_second(storage: StorageInterface, run_id: str) -> Mapping[str, Any] | None:
    """Return the figures so far of the last second; their endpoints, scenarios and checks are in the order of indices.

    After it come at most the samples of that second, and the end of the run.
    """
    written = await storage.series.written(run_id)
    samples = MOST_LIVE_SAMPLES + MOST_LIVE_ITERATIONS
    events = await storage.series.events(run_id, max(written.last_event - samples - 2, 0), 2 * samples)
    seconds = [event.data["so_far"] for event in events if event.kind == "interval"]
    return seconds[-1] if seconds else None


def _extended(outline: RunOutline, so_far: Mapping[str, Any]) -> RunOutline:
    names = [str(endpoint["name"]) for endpoint in so_far["endpoints"]]
    indices = {name: index for index, name in enumerate(names)}
    scenarios = [
        replace(
            scenario,
            endpoints=tuple(
                dict.fromkeys((*scenario.endpoints, *(indices[step["endpoint"]] for step in figures["steps"])))
            ),
        )
        for scenario, figures in zip(outline.scenarios, so_far.get("scenarios", ()), strict=True)
    ]
    checks = [CheckName(check["name"], indices[check["endpoint"]]) for check in so_far.get("checks", ())]
    return replace(outline, endpoints=names, scenarios=scenarios, checks=checks)
