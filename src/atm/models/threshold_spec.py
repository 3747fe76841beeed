"""The pass criteria of a spec: `thresholds`, at the top, of an endpoint or of a scenario."""

from __future__ import annotations

from collections.abc import Sequence

from atm.models.field_types import Boolean, Duration, ListOf, Nested, Number, Text
from atm.models.fields import SpecModel, declared
from atm.models.load import RATE, WHOLE
from atm.models.metric import METRICS


class ThresholdExpression(SpecModel):
    """A threshold with its options."""

    expression: str = declared(
        Text(1), "See docs/reference/thresholds.md.", examples=[metric.example for metric in METRICS.values()]
    )
    abort: bool = declared(Boolean(), "Abort the run as soon as this threshold fails.", default=False)
    abort_after: float = declared(
        Duration(), "Earliest abort, counted from the start of the measured load.", default=10.0
    )
    min_samples: int = declared(WHOLE, "Minimum number of requests for a window or an abort to be judged.", default=20)


EXPRESSION = Nested(ThresholdExpression, lambda text: {"expression": text}, {"type": "string"})


class Thresholds(SpecModel):
    """Pass criteria of a run. The named limits are inclusive."""

    max_latency_p50_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_latency_p95_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_latency_p99_ms: float | None = declared(RATE, "Response time, in milliseconds.", default=None)
    max_error_rate: float | None = declared(
        Number(least=0, most=1), "Failed / completed requests, 0 to 1.", default=None
    )
    min_throughput_rps: float | None = declared(RATE, "Ok responses per second.", default=None)
    expressions: Sequence[ThresholdExpression] = declared(
        ListOf(EXPRESSION, single=True),
        "Further thresholds.",
        default=(),
        examples=[["p99 < 300ms", "error_rate < 1%"]],
    )


THRESHOLDS = Nested(
    Thresholds,
    lambda rules: {"expressions": rules},
    {"type": ["string", "array"], "items": {"$ref": "#/$defs/ThresholdRule"}},
)
