"""A rule on an aggregate: the parsed form of a threshold. The grammar's parser is `parse_threshold` below."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Threshold:
    """One rule, parsed. `limit` is an inclusive bound in the metric's base unit."""

    expression: str
    """As people read it, normalised: `checkout: ok p99 < 250 ms for 10 s`."""
    metric: str
    """`latency`, `ok_latency`, `adjusted_latency`, `service`, `first_byte` (ns), `error_rate` (0..1), `rps`,
    `throughput` (1/s)."""
    comparison: str
    """`<`, `<=`, `>` or `>=`; the bound itself always holds (inclusive)."""
    limit: float
    """ns for times, a share 0..1 for `error_rate`, 1/s for rates."""
    percent: float | None = None
    """0..100 for a percentile; None where `statistic` says what is judged, or for rates."""
    statistic: str = ""
    """`min`, `max` or `mean` for times that are no percentile; else empty."""
    endpoint: int | None = None
    """Index into the plan's endpoints; None for the whole run."""
    window_seconds: int | None = None
    """Judged on every full window of so many complete intervals; None for the whole run."""
    abort: bool = False
    abort_after_seconds: float = 10.0
    min_samples: int = 20
