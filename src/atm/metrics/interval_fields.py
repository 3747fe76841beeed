"""Counts and histograms in the JSON of an interval: without zeros, histograms as base64."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from atm.metrics.histogram import Histogram


def counts_of(part: object, names: Sequence[str]) -> dict[str, int]:
    """Return the counts of a part that are not zero."""
    return {name: count for name in names if (count := getattr(part, name))}


def histograms_of(part: object, names: Sequence[str]) -> dict[str, str]:
    """Return the histograms of a part that are not empty, encoded."""
    return {name: encoded(histogram) for name in names if (histogram := getattr(part, name))}


def encoded(histogram: Histogram) -> str:
    """Return HdrHistogram's V2 encoding as base64."""
    return base64.b64encode(histogram.encode()).decode()


def decoded(text: str) -> Histogram:
    """Read the output of `encoded`. Raises ValueError on anything else."""
    return Histogram.decode(base64.b64decode(text))
