"""Rows of the time series about the metrics that a test declares: all of them over one time span.

They share the table of the endpoints' rows, under a number that no endpoint has. A run without such metrics has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from atm.dataclass import dataclass
from atm.metrics.own_interval import OwnInterval
from atm.metrics.own_totals import PERCENTS
from atm.storage.result import dumps
from atm.storage.series.rows import IntervalRow

OWN = -4
"""The endpoint of these rows."""


@dataclass(frozen=True, slots=True)
class OwnPoint:
    """The values of one metric from `start`, separately for warm-up and measured load."""

    start: int
    part: OwnInterval
    """Without the histogram."""
    percentiles: Sequence[int | None]
    """Those of `PERCENTS`."""


def own_rows(resolution: int, start: int, parts: Iterable[OwnInterval]) -> list[IntervalRow]:
    """Return the row of all metrics in warm-up, and that in the measured load; none without values."""
    rows: list[IntervalRow] = []
    by_phase: dict[bool, list[OwnInterval]] = {}
    for part in parts:
        by_phase.setdefault(part.warm_up, []).append(part)
    for warm_up, members in by_phase.items():
        documents = [part.to_json() for part in members]
        histograms = {str(document["metric"]): document.pop("values") for document in documents if "values" in document}
        percentiles = {str(part.metric): part.percentiles(PERCENTS) for part in members if part.values}
        encoded = dumps(histograms).encode() if histograms else b""
        rows.append(IntervalRow(resolution, start, OWN, warm_up, dumps(documents), dumps(percentiles), encoded))
    return rows


def own_of(row: IntervalRow) -> list[OwnInterval]:
    """Return the content of such a row. Raises ValueError for another row."""
    try:
        histograms = json.loads(row.histograms) if row.histograms else {}
        return [
            OwnInterval.from_json({**document, **_values(histograms, document["metric"])})
            for document in json.loads(row.counts)
        ]
    except (TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"not a row of own metrics: {error!r}") from error


def _values(histograms: dict[str, str], metric: int) -> dict[str, str]:
    encoded = histograms.get(str(metric))
    return {} if encoded is None else {"values": encoded}


def own_points(rows: Iterable[IntervalRow]) -> list[OwnPoint]:
    """Return the points of such rows, without reading histograms. Raises ValueError."""
    points: list[OwnPoint] = []
    for row in rows:
        if row.endpoint != OWN:
            continue
        try:
            percentiles = json.loads(row.figures)
            parts = [OwnInterval.from_json(document) for document in json.loads(row.counts)]
            none = (None,) * len(PERCENTS)
            points += [OwnPoint(row.start, part, percentiles.get(str(part.metric), none)) for part in parts]
        except (TypeError, AttributeError) as error:
            raise ValueError(f"not a row of own metrics: {error!r}") from error
    return points


def merged_own(rows: Iterable[IntervalRow]) -> dict[tuple[int, bool], OwnInterval]:
    """Merge such rows, by metric and warm-up. Raises ValueError."""
    merged: dict[tuple[int, bool], OwnInterval] = {}
    add_own(merged, (part for row in rows if row.endpoint == OWN for part in own_of(row)))
    return merged


def add_own(merged: dict[tuple[int, bool], OwnInterval], parts: Iterable[OwnInterval]) -> None:
    """Add parts to those of the same metric and phase."""
    for part in parts:
        key = (part.metric, part.warm_up)
        merged.setdefault(key, OwnInterval(*key)).merge(part)
