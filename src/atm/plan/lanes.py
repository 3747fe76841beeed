"""Compile the loads of scenarios into lanes: one lane per scenario, with its own load or its share of one load."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace

from atm.dataclass import dataclass
from atm.models.duration import format_seconds, parse_duration
from atm.models.fields import Findings, Path
from atm.models.scenario import ScenarioSpec
from atm.models.spec import TestSpec
from atm.plan.load import DEFAULT_REQUESTS, compile_load, nanoseconds, total_requests, written_load
from atm.plan.load_plan import Lane, Load, Segment

_TOP = ("load", "requests_per_second", "concurrency")


@dataclass(slots=True)
class ScenarioLanes:
    """Compiles the lanes of the scenarios of a spec, in the order of the scenarios."""

    spec: TestSpec
    findings: Findings
    _lanes: dict[str, Lane] = field(default_factory=dict)

    def lanes(self) -> tuple[Lane, ...]:
        """Return a lane for each scenario, with the index of its flow."""
        scenarios = self.spec.scenarios or {}
        with_load = [name for name, scenario in scenarios.items() if scenario.load is not None]
        if not with_load:
            self._refuse_own(scenarios)
            return self._shared(scenarios)
        self._check_mixed(scenarios, with_load)
        for index, (name, scenario) in enumerate(scenarios.items()):
            self._lanes[name] = self._own(index, name, scenario)
        self._start(scenarios)
        return tuple(self._lanes.values())

    def _refuse_own(self, scenarios: Mapping[str, ScenarioSpec]) -> None:
        for name, scenario in scenarios.items():
            for key in ("start_after", "duration"):
                if key in scenario.written:
                    what = f"{key} needs a load of the scenario's own, and this one shares the load of the spec"
                    hint = "Give each scenario a `load`, or remove it"
                    self.findings.add(("scenarios", name, key), what, "conflict", hint)

    def _shared(self, scenarios: Mapping[str, ScenarioSpec]) -> tuple[Lane, ...]:
        """Divide the load of the spec among its scenarios by weight."""
        spec = self.spec
        load, total = compile_load(spec, self.findings), total_requests(spec)
        weights = [scenario.weight for scenario in scenarios.values()]
        duration = None if spec.duration is None else nanoseconds(spec.duration)
        loads = _divided_load(load, weights)
        totals = [None] * len(weights) if total is None else divided(total, weights)
        lanes = tuple(
            Lane(name, (index,), "round_robin", loads[index], totals[index], duration)
            for index, name in enumerate(scenarios)
        )
        for lane in lanes:
            self._check_share(lane, load)
        return lanes

    def _check_share(self, lane: Lane, whole: Load) -> None:
        peak = max(max(segment.start, segment.end) for segment in lane.load.segments)
        noun = "users" if lane.total != 0 else "iterations"
        if (peak > 0 or not any(segment.start or segment.end for segment in whole.segments)) and lane.total != 0:
            return
        what = f'the scenario "{lane.name}" gets none of the {noun}: its weight is too small a share of them'
        self.findings.add(("scenarios", lane.name), what, "no_load", f"Raise the number of {noun}, or its weight")

    def _check_mixed(self, scenarios: Mapping[str, ScenarioSpec], with_load: Sequence[str]) -> None:
        for name in _TOP:
            if name in self.spec.written:
                what = f"the spec has {name} at the top, and its scenarios have loads of their own"
                hint = "Keep one: a `load` in each scenario, or `weight` in each scenario and one `load` at the top"
                self.findings.add((name,), what, "conflict", hint)
        if "total_requests" in self.spec.written:
            what = "total_requests cannot be divided among scenarios with loads of their own"
            self.findings.add(("total_requests",), what, "conflict", "Write `duration`, or stages in each load")
        for name, scenario in scenarios.items():
            if scenario.load is None:
                what = f'the scenario "{name}" has no load, and "{with_load[0]}" has one of its own'
                self.findings.add(("scenarios", name), what, "missing_field", "Add `load: {rate: 10}`")
            elif "weight" in scenario.written:
                what = "weight is a share of one load for all scenarios, and this scenario has a load of its own"
                self.findings.add(("scenarios", name, "weight"), what, "conflict", "Keep one of weight and load")

    def _own(self, index: int, name: str, scenario: ScenarioSpec) -> Lane:
        path: Path = ("scenarios", name, "load")
        if scenario.load is None:
            load = Load("closed", (Segment(1, 1, None),))
        else:
            load = written_load(scenario.load, path, self.findings)
        seconds = self.spec.duration if scenario.duration is None else scenario.duration
        has_end = seconds is not None or (scenario.load is not None and scenario.load.stages)
        duration = None if seconds is None else nanoseconds(seconds)
        return Lane(name, (index,), "round_robin", load, None if has_end else DEFAULT_REQUESTS, duration)

    def _start(self, scenarios: Mapping[str, ScenarioSpec]) -> None:
        """Set the start of each lane; a scenario may start at the planned end of another."""
        waiting = {name: scenario for name, scenario in scenarios.items() if scenario.start_after is not None}
        started = set(scenarios) - set(waiting)
        while waiting:
            ready = [name for name in waiting if self._previous(name, scenarios) in (None, *started)]
            if not ready:
                self._report_circle(waiting)
                return
            for name in ready:
                del waiting[name]
                started.add(name)
                self._start_one(name, scenarios)

    def _previous(self, name: str, scenarios: Mapping[str, ScenarioSpec]) -> str | None:
        """Return the scenario that another starts after; None for a time, and for a name that does not exist."""
        after = scenarios[name].start_after or ""
        return after if after in scenarios else None

    def _start_one(self, name: str, scenarios: Mapping[str, ScenarioSpec]) -> None:
        scenario, path = scenarios[name], ("scenarios", name, "start_after")
        previous = self._previous(name, scenarios)
        if previous is None:
            start = self._time(scenario.start_after or "", path, scenarios)
        else:
            start = self._lanes[previous].planned_end_ns
            if start is None:
                what = f'start_after names "{previous}", whose end is not planned: it has no duration and no stages'
                hint = f"Give {previous} a `duration`, or write a time: `start_after: 30s`"
                self.findings.add(path, what, "no_planned_end", hint)
        if start is None:
            return
        lane = replace(self._lanes[name], start_ns=start)
        if scenario.duration is None and lane.duration_ns is not None:
            lane = replace(lane, duration_ns=lane.duration_ns - start)
            if lane.duration_ns is not None and lane.duration_ns <= 0:
                at = format_seconds(start / 1e9)
                what = f"the scenario starts after {at}, when the duration of the spec has passed"
                self.findings.add(path, what, "no_load", "Give the scenario a `duration` of its own")
        self._lanes[name] = lane

    def _time(self, text: str, path: Path, scenarios: Mapping[str, ScenarioSpec]) -> int | None:
        try:
            return nanoseconds(parse_duration(text))
        except ValueError:
            from atm.models.nearest import listed, nearest

            close = nearest(text, scenarios)
            guess = f"Did you mean `{close[0]}`? " if close else ""
            what = f'start_after is "{text}", which is neither a time nor a scenario'
            hint = f"{guess}Write `30s`, or one of: {listed(scenarios)}"
            self.findings.add(path, what, "unknown_scenario", hint)
            return None

    def _report_circle(self, waiting: Mapping[str, ScenarioSpec]) -> None:
        names = ", ".join(f'"{name}"' for name in waiting)
        first = next(iter(waiting))
        what = f"{names} start after one another, so none of them ever starts"
        self.findings.add(("scenarios", first, "start_after"), what, "endless_start", "Start one of them after a time")


def divided(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide a whole number by weight: largest remainder, the earlier one first where remainders are equal."""
    total = sum(weights)
    shares = [amount * weight // total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -(amount * weights[index] % total))
    for index in by_remainder[: amount - sum(shares)]:
        shares[index] += 1
    return shares


def _divided_load(load: Load, weights: Sequence[int]) -> list[Load]:
    """Divide every level of a load: rates exactly, users into whole users."""

    def levels(level: float) -> list[float]:
        if load.model == "closed" and level == math.floor(level):
            return [float(share) for share in divided(int(level), weights)]
        return [level * weight / sum(weights) for weight in weights]

    segments = [(levels(segment.start), levels(segment.end), segment.duration_ns) for segment in load.segments]
    warm_up = levels(load.warm_up_level)
    limits = None if load.max_in_flight is None else divided(load.max_in_flight, weights)
    return [
        replace(
            load,
            segments=tuple(Segment(start[index], end[index], duration) for start, end, duration in segments),
            warm_up_level=warm_up[index],
            max_in_flight=None if limits is None else max(limits[index], 1),
            max_rate=None if load.max_rate is None else load.max_rate * weights[index] / sum(weights),
        )
        for index in range(len(weights))
    ]
