"""The metrics that tests declare, for `/metrics`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily

from atm.metrics.own_interval import OwnInterval
from atm.metrics.own_totals import scaled
from atm.models.own_metric import SCALE, OwnKind, OwnMetric
from atm.storage.records import RunSummary

_LABELS = ("run", "test", "metric", "unit")
_QUANTILES = (50, 90, 95, 99)


class OwnFamilies:
    """One family for each kind, and one for the percentiles of trends."""

    def __init__(self) -> None:
        self._totals = CounterMetricFamily("atm_own_counter", "What counters of tests have added up.", labels=_LABELS)
        self._values = SummaryMetricFamily("atm_own_trend", "Values of trends of tests.", labels=_LABELS)
        self._quantiles = GaugeMetricFamily(
            "atm_own_trend_quantile", "Percentiles of trends of tests.", labels=[*_LABELS, "quantile"]
        )
        self._gauges = GaugeMetricFamily("atm_own_gauge", "Last values of gauges of tests.", labels=_LABELS)

    @property
    def families(self) -> Sequence[Metric]:
        """All of them."""
        return (self._totals, self._values, self._quantiles, self._gauges)

    def add(
        self, run: RunSummary, metrics: Sequence[OwnMetric], measured: Mapping[tuple[int, bool], OwnInterval]
    ) -> None:
        """Add the measured values of a run."""
        for index, metric in enumerate(metrics):
            part = measured.get((index, False)) or OwnInterval(index, warm_up=False)
            name = run.name.encode("utf-8", "replace").decode()
            values = [run.id, name, metric.name, metric.unit]
            if metric.kind is OwnKind.COUNTER:
                self._totals.add_metric(values, part.total / SCALE)
            elif metric.kind is OwnKind.TREND:
                self._values.add_metric(values, part.count, part.total / SCALE)
                for percent, value in zip(_QUANTILES, part.percentiles(_QUANTILES), strict=True):
                    if value is not None:
                        self._quantiles.add_metric([*values, str(percent / 100)], value / SCALE)
            elif (last := scaled(part.last)) is not None:
                self._gauges.add_metric(values, last)
