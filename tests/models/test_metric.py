"""Every metric that thresholds know is known wherever it must be."""

from __future__ import annotations

import pytest

from atm.metrics.threshold_amounts import Part, amounts_of
from atm.models.metric import METRICS, Metric, Source
from atm.models.outcome import Outcome
from atm.models.run import ThresholdResult
from atm.models.schema import spec_json_schema
from atm.models.threshold import parse_threshold
from tests.metrics.seconds import check, endpoint, iterations
from tools.repository import ROOT

EXAMPLES = {metric: definition.example for metric, definition in METRICS.items()}


def test_the_table_has_every_metric() -> None:
    assert set(METRICS) == set(Metric)


@pytest.mark.parametrize("metric", Metric)
def test_a_metric_reads_as_it_is_written(metric: Metric) -> None:
    definition = METRICS[metric]
    assert parse_threshold(definition.example).metric is metric
    for word in definition.words:
        subject = f"{word} p95" if definition.is_time else f"{word} accepted" if definition.takes_name else word
        assert parse_threshold(f"{subject} < 1").metric is metric


@pytest.mark.parametrize("metric", [metric for metric in Metric if metric is not Metric.OWN])
def test_a_metric_is_computed_from_something(metric: Metric) -> None:
    definition = METRICS[metric]
    assert definition.is_time != bool(definition.counted)
    parts: dict[Source, Part] = {
        Source.REQUESTS: endpoint(0, [1.0, 2.0], failures={Outcome.TIMEOUT: 1, Outcome.UNEXPECTED_STATUS: 1}),
        Source.ITERATIONS: iterations(0, [1.0, 2.0], failed=1),
        Source.CHECKS: check(0, 2, 1),
    }
    amounts = amounts_of(metric, parts[definition.source], 1.0)
    assert amounts.times.total or amounts.counted


def test_the_reference_has_every_metric() -> None:
    page = (ROOT / "docs/reference/thresholds.md").read_text(encoding="utf-8")
    for metric, example in EXAMPLES.items():
        assert f"| `{metric}` | {METRICS[metric].about} | `{example}` |" in page


def test_the_schema_has_an_example_of_every_metric() -> None:
    """Editors offer them, and so does the dashboard: webapp/vite.config.ts takes them from the committed schema."""
    expression = spec_json_schema()["$defs"]["ThresholdExpression"]["properties"]["expression"]
    assert expression["examples"] == list(EXAMPLES.values())
    build = (ROOT / "webapp/vite.config.ts").read_text(encoding="utf-8")
    form = (ROOT / "webapp/src/lib/components/spec/RuleFields.svelte").read_text(encoding="utf-8")
    assert "ThresholdExpression.properties.expression.examples" in build
    assert "THRESHOLD_EXAMPLES" in form


def test_agents_read_of_every_metric() -> None:
    # Not at the top: the import takes half a second in each process that collects the tests.
    from atm.mcp_server.resources import figures_guide

    assert all(f"`{example}`" in figures_guide() for example in EXAMPLES.values())


@pytest.mark.parametrize("metric", [metric for metric in Metric if METRICS[metric].source is Source.REQUESTS])
def test_a_result_of_version_0_1_0_says_what_it_judged(metric: Metric) -> None:
    """It carried the text alone."""
    rule = parse_threshold(f"shop:8080: {EXAMPLES[metric]} for 10s", endpoints=["shop:8080"])
    old = {
        "expression": rule.expression,
        "endpoint": "shop:8080",
        "actual": 1.0,
        "limit": 2.0,
        "unit": METRICS[metric].unit.value,
        "passed": True,
        "margin": 0.5,
        "message": "",
    }
    read = ThresholdResult.model_validate(old)
    assert (read.metric, read.percentile, read.statistic) == (metric, rule.percent, rule.statistic)
    assert (read.comparison, read.window_seconds) == (rule.comparison, 10)
