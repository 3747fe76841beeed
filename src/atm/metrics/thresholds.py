"""Judge thresholds: over the whole run, over windows of complete measured seconds, and as reasons to abort a run.

Rules beyond what a threshold's expression states:

- Bounds are inclusive. A time and a limit in the same histogram bucket (0.1 % wide) are equal, so the threshold passes.
- A threshold over zero samples has failed with `no data`; the samples of rates and of `error_rate` are the completed
  requests (or the ended iterations), those of times the recorded values, for the adjusted latency including those at
  +∞, those of a check its evaluations. What a counter of the test has added up is 0 without values.
- A window is `window_seconds` consecutive complete seconds within the measured window: without warm-up, the second in
  which it ends, draining, and the last, partial second. One violating window fails the threshold.
- Windows with fewer than `min_samples` samples are skipped; if none remain, the result is `no data`. Rates are judged
  in every window, and may abort without `min_samples`: a low rate has few samples, and a lower bound must detect a
  target that does not respond at all. The same holds for metrics of the test, but for percentiles and the mean.
- A threshold that aborted the run has failed, even if draining requests would have made it pass.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from atm.metrics.code_interval import CodeInterval
from atm.metrics.collector import Collector
from atm.metrics.histogram import HIGHEST_NS, Histogram, index_of
from atm.metrics.interval import Interval
from atm.metrics.own_interval import OwnInterval
from atm.metrics.own_thresholds import OwnWindow, measure_own
from atm.metrics.scenarios import with_announced
from atm.metrics.threshold_amounts import Amounts, Judged, Measured, amounts_of, measure
from atm.metrics.windows import RollingWindow
from atm.models import figures
from atm.models.metric import METRICS, Metric, Source, Unit
from atm.models.outline import CheckName, ScenarioSteps
from atm.models.own_metric import OwnMetric
from atm.models.own_threshold import unit_of
from atm.models.threshold import IMPLIED_MESSAGE, IMPLIED_MESSAGE_OF_CODE, Threshold

if TYPE_CHECKING:
    from atm.models.run import ThresholdResult

NO_DATA = "no data"
_SCALES = {Unit.MILLISECONDS: 1e-6, Unit.SHARE: 1.0, Unit.PER_SECOND: 1.0, Unit.OWN: 1.0}
"""Factor from the base unit of a metric to the unit of results."""


def holds(threshold: Threshold, actual: float) -> bool:
    """Return whether `actual` is within the limit, which is inclusive."""
    # 7 of 1,000 and 0.7 % differ in the last bit.
    if math.isclose(actual, threshold.limit, rel_tol=1e-9):
        return True
    return actual < threshold.limit if threshold.comparison.is_upper else actual > threshold.limit


class ThresholdJudge:
    """Follows one run second by second; the state of every threshold can be read at any time."""

    def __init__(
        self,
        thresholds: Sequence[Threshold],
        endpoints: Sequence[str],
        warm_up_ns: int = 0,
        *,
        scenarios: Sequence[ScenarioSteps] = (),
        checks: Sequence[CheckName] = (),
        own_metrics: Sequence[OwnMetric] = (),
    ) -> None:
        self.thresholds = tuple(thresholds)
        self._own = {metric.name: index for index, metric in enumerate(own_metrics)}
        self._endpoints = tuple(endpoints)
        self._scenarios = tuple(scenarios)
        self._checks = tuple(checks)
        self._judged = [Judged.by(threshold, scenarios, checks) for threshold in self.thresholds]
        self._warm_up_ns = warm_up_ns
        self._aborted: dict[int, tuple[float, float]] = {}
        """Thresholds that aborted the run: the value then, and when (seconds since the start)."""
        self._windows = {
            index: _window_judge(threshold, self._judged[index], self._own, threshold.window_seconds)
            for index, threshold in enumerate(self.thresholds)
            if threshold.window_seconds is not None
        }
        self._ok_windows = {
            index: _WindowJudge(
                replace(self.thresholds[index], metric=Metric.OK_LATENCY), self._judged[index], window.seconds
            )
            for index, window in self._windows.items()
            if _may_hold_by_failures(self.thresholds[index])
        }
        """The same over ok responses alone, for thresholds that quick failures may let pass."""

    def add(self, interval: Interval) -> None:
        """Process one second; intervals must come in order."""
        if interval.code.endpoints or interval.code.checks:
            self._announce(interval.code)
        if not self._windows or not self._is_complete(interval):
            return
        for window in (*self._windows.values(), *self._ok_windows.values()):
            window.add(interval)

    def _announce(self, code: CodeInterval) -> None:
        """Judge the names that scenarios in code have used first, too."""
        planned = len(self._endpoints)
        self._endpoints += tuple(endpoint.name for endpoint in code.endpoints if endpoint.index >= planned)
        self._scenarios = with_announced(self._scenarios, code)
        checks = [CheckName(check.name, check.endpoint) for check in code.checks if check.index >= len(self._checks)]
        self._checks = (*self._checks, *checks)
        self._judged = [Judged.by(threshold, self._scenarios, self._checks) for threshold in self.thresholds]
        for windows in (self._windows, self._ok_windows):
            for index, window in windows.items():
                window.judged = self._judged[index]

    def _is_complete(self, interval: Interval) -> bool:
        return (
            interval.phase not in ("warm_up", "drain")
            and interval.second * 1_000_000_000 >= self._warm_up_ns
            and interval.duration_ns >= 1_000_000_000
        )

    def to_abort(self, collector: Collector) -> Threshold | None:
        """Return the first threshold that must abort the run now; None if there is none.

        To be called after each second that both this and `collector` have processed. The result is remembered: that
        threshold has failed.
        """
        elapsed = (collector.end_ns - self._warm_up_ns) / 1e9
        for index, threshold in enumerate(self.thresholds):
            if threshold.abort and elapsed >= threshold.abort_after_seconds:
                actual = self._violation(index, threshold, collector)
                if actual is not None:
                    self._aborted.setdefault(index, (actual, collector.end_ns / 1e9))
                    return threshold
        return None

    def _violation(self, index: int, threshold: Threshold, collector: Collector) -> float | None:
        """Return the value with which an aborting threshold has failed, given enough samples; else None."""
        if index in self._windows:
            return self._windows[index].worst if self._windows[index].failed_windows else None
        measured = self._measured(index, threshold, collector, collector.window_ns)
        enough = not threshold.needs_samples or measured.samples >= threshold.min_samples
        violated = measured.actual is not None and not holds(threshold, measured.actual)
        return measured.actual if enough and violated else None

    def results(self, collector: Collector, window_ns: int | None = None) -> list[ThresholdResult]:
        """Return the results of all thresholds, in the order of the plan.

        `window_ns` is the length of the measured window without barriers; None while the run is in progress.
        """
        length = collector.window_ns if window_ns is None else window_ns
        return [self._result(index, threshold, collector, length) for index, threshold in enumerate(self.thresholds)]

    def _result(self, index: int, threshold: Threshold, collector: Collector, window_ns: int) -> ThresholdResult:
        if window := self._windows.get(index):
            actual, message = window.worst, window.message()
        else:
            measured = self._measured(index, threshold, collector, window_ns)
            actual = measured.actual if measured.samples else None
            violated = actual is not None and not holds(threshold, actual)
            message = self._where(index, threshold, collector) if violated else ""
        if actual is None:
            message = window.no_data() if window else NO_DATA
        elif not message and holds(threshold, actual):
            message = self._held_by_failures(index, threshold, collector)
        if index in self._aborted:
            at_abort, seconds = self._aborted[index]
            if actual is None or holds(threshold, actual):
                actual = at_abort
            message = f"ended the run at {figures.clock(seconds)}" + (f"; {message}" if message else "")
        return self._finished(threshold, actual, message)

    def _held_by_failures(self, index: int, threshold: Threshold, collector: Collector) -> str:
        """Return the value over ok responses alone, if a threshold passes only because failures were quick."""
        if not _may_hold_by_failures(threshold):
            return ""
        if window := self._ok_windows.get(index):
            actual = window.worst
        else:
            ok = replace(threshold, metric=Metric.OK_LATENCY)
            actual = measure(ok, self._amounts(index, ok.metric, collector, 0)).actual
        if actual is None or math.isinf(actual) or holds(threshold, actual):
            return ""
        return (
            f"passes only because requests failed quickly: over ok responses alone it is {figures.time(actual / 1e6)}"
        )

    def _measured(self, index: int, threshold: Threshold, collector: Collector, window_ns: int) -> Measured:
        if threshold.own is not None:
            return measure_own(threshold, collector.own.measured[self._own[threshold.own.name]], window_ns / 1e9)
        return measure(threshold, self._amounts(index, threshold.metric, collector, window_ns))

    def _amounts(self, index: int, metric: Metric, collector: Collector, window_ns: int) -> Amounts:
        return amounts_of(metric, self._judged[index].total(collector), window_ns / 1e9)

    def _finished(self, threshold: Threshold, actual: float | None, message: str) -> ThresholdResult:
        # Result models are slow to import and not needed before the first request.
        from atm.models.run import ThresholdResult

        if threshold.is_implied:
            is_of_code = threshold.metric is Metric.ITERATION_ERROR_RATE
            implied = IMPLIED_MESSAGE_OF_CODE if is_of_code else IMPLIED_MESSAGE
            message = f"{message}; {implied}" if message else implied
        unit = METRICS[threshold.metric].unit
        scale = _SCALES[unit]
        return ThresholdResult(
            expression=threshold.expression,
            endpoint=None if threshold.endpoint is None else self._endpoints[threshold.endpoint],
            scenario=None if threshold.scenario is None else self._scenarios[threshold.scenario].name,
            check=threshold.check,
            own_metric=threshold.own.name if threshold.own else None,
            own_unit=unit_of(threshold.own, threshold.statistic) if threshold.own else None,
            metric=threshold.metric,
            statistic=threshold.statistic,
            percentile=threshold.percent,
            comparison=threshold.comparison,
            window_seconds=threshold.window_seconds,
            actual=None if actual is None else actual * scale,
            limit=threshold.limit * scale,
            unit=unit,
            passed=actual is not None and holds(threshold, actual),
            margin=_margin(threshold, actual),
            message=message,
            is_implied=threshold.is_implied,
        )

    def _where(self, index: int, threshold: Threshold, collector: Collector) -> str:
        """Return the endpoint or scenario responsible for a failed threshold over several; empty if undetermined."""
        definition = METRICS[threshold.metric]
        if definition.source is Source.OWN:
            return ""
        parts = [
            (self._name(definition.source, member), amounts_of(threshold.metric, part, 0.0))
            for member, part in self._judged[index].totals(collector)
        ]
        if definition.source is Source.CHECKS:
            return _failed_evaluations(parts) if not threshold.comparison.is_upper else ""
        if len(parts) < 2 or not threshold.comparison.is_upper or definition.is_rate:
            return ""
        counts = [_above(threshold, part) if definition.is_time else part.counted for _, part in parts]
        together = sum(counts)
        if not together:
            return ""
        worst = max(range(len(counts)), key=counts.__getitem__)
        name, share = parts[worst][0], counts[worst] / together
        if not definition.is_time:
            return _share_on(counts[worst], together, name)
        return f"{name} has {'all' if share == 1 else figures.share(share)} of the times above it"

    def _name(self, source: Source, member: int) -> str:
        if source is Source.ITERATIONS:
            return self._scenarios[member].name
        return self._endpoints[self._checks[member].endpoint if source is Source.CHECKS else member]


def _failed_evaluations(parts: Sequence[tuple[str, Amounts]]) -> str:
    """Return how many evaluations of a check failed, and at which step."""
    failed = [part.of - part.counted for _, part in parts]
    text = f"{figures.count(sum(failed))} of {figures.count(sum(part.of for _, part in parts))} failed"
    if len(parts) < 2:
        return text
    worst = max(range(len(failed)), key=failed.__getitem__)
    return f"{text}, {_share_on(failed[worst], sum(failed), parts[worst][0])}"


def _share_on(count: int, together: int, name: str) -> str:
    of = "all" if count == together else f"{figures.count(count)} of"
    return f"{of} {figures.count(together)} on {name}"


def _may_hold_by_failures(threshold: Threshold) -> bool:
    return threshold.metric is Metric.LATENCY and threshold.comparison.is_upper


def _above(threshold: Threshold, amounts: Amounts) -> int:
    """Return the number of samples above the limit's bucket."""
    limit = index_of(min(max(int(threshold.limit), 0), HIGHEST_NS))
    return sum(count for index, count in amounts.times.counts.items() if index > limit) + amounts.beyond


def _margin(threshold: Threshold, actual: float | None) -> float | None:
    if actual is None or math.isinf(actual) or threshold.limit <= 0:
        return None
    to_spare = threshold.limit - actual if threshold.comparison.is_upper else actual - threshold.limit
    return to_spare / threshold.limit


class _WindowJudge:
    """Judges one threshold over every full window and keeps the worst."""

    def __init__(self, threshold: Threshold, judged: Judged, seconds: int) -> None:
        self._threshold = threshold
        self.judged = judged
        self.seconds = seconds
        self._window = RollingWindow(seconds)
        self.judged_windows = 0
        self.failed_windows = 0
        self.worst: float | None = None
        self._worst_from = 0
        self._full_windows = 0
        self._most_samples = 0

    def add(self, interval: Interval) -> None:
        threshold = self._threshold
        seconds = interval.duration_ns / 1e9
        times = Histogram()
        sums = (0, 0, 0, 0)
        for part in self.judged.parts(interval):
            amounts = amounts_of(threshold.metric, part, seconds)
            times.merge(amounts.times)
            counts = (amounts.beyond, amounts.counted, amounts.of, amounts.completed)
            sums = tuple(map(operator.add, sums, counts))
        self._window.add(interval.second, times, sums, seconds)
        if self._window.is_full:
            self._judge_window()

    def _judge_window(self) -> None:
        window = self._window
        beyond, counted, of, completed = window.counts
        amounts = Amounts(window.times, beyond, counted, of, completed, window.seconds)
        self._judge(measure(self._threshold, amounts), window.first_second)

    def _judge(self, measured: Measured, first_second: int) -> None:
        self._full_windows += 1
        self._most_samples = max(self._most_samples, measured.samples)
        too_few = self._threshold.needs_samples and measured.samples < self._threshold.min_samples
        if too_few or measured.actual is None:
            return
        self.judged_windows += 1
        self.failed_windows += not holds(self._threshold, measured.actual)
        upper = self._threshold.comparison.is_upper
        if self.worst is None or (measured.actual > self.worst if upper else measured.actual < self.worst):
            self.worst, self._worst_from = measured.actual, first_second

    def no_data(self) -> str:
        """Return why no window could be judged."""
        length = figures.planned(self.seconds)
        if not self._full_windows:
            return f"{NO_DATA}: the measured load was shorter than one window of {length}"
        source = METRICS[self._threshold.metric].source
        least, most = figures.count(self._threshold.min_samples), figures.count(self._most_samples)
        return f"{NO_DATA}: no window of {length} reached min_samples ({least} {source}), the fullest had {most}"

    def message(self) -> str:
        """Return when it was worst and how often it failed; empty while it passes."""
        if not self.failed_windows:
            return ""
        start, end = figures.clock(self._worst_from), figures.clock(self._worst_from + self.seconds)
        failed, judged = figures.count(self.failed_windows), figures.count(self.judged_windows)
        return f"worst from {start} to {end}, failed in {failed} of {judged} windows"


class _OwnWindowJudge(_WindowJudge):
    """The same for a threshold on a metric of the test."""

    def __init__(self, threshold: Threshold, judged: Judged, metric: int, seconds: int) -> None:
        super().__init__(threshold, judged, seconds)
        self._metric = metric
        self._values = OwnWindow(metric, seconds)

    def add(self, interval: Interval) -> None:
        part = OwnInterval(self._metric, warm_up=False)
        for own in interval.own:
            if own.metric == self._metric and not own.warm_up:
                part.merge(own)
        self._values.add(interval.second, part, interval.duration_ns / 1e9)
        if self._values.is_full:
            measured = measure_own(self._threshold, self._values.total(), self._values.seconds)
            self._judge(measured, self._values.first_second)


def _window_judge(threshold: Threshold, judged: Judged, own: Mapping[str, int], seconds: int) -> _WindowJudge:
    if threshold.own is None:
        return _WindowJudge(threshold, judged, seconds)
    return _OwnWindowJudge(threshold, judged, own[threshold.own.name], seconds)
