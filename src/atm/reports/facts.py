"""What every report of a run says in the same words: headline, load, verdicts, percentile curves."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit

from atm.dataclass import dataclass
from atm.metrics.histogram import Histogram
from atm.models import figures
from atm.models.failure_reasons import failure_reasons
from atm.models.load_description import described_loads, has_loads_of_scenarios
from atm.models.metric import Metric
from atm.models.outcome import Outcome, RunOutcome
from atm.models.run import Measurement, RunResult

PERCENTILES = (("p50", "p50"), ("p90", "p90"), ("p95", "p95"), ("p99", "p99"), ("p99.9", "p99_9"), ("max", "max"))
"""Title of a column, and the name of its figure."""
KINDS = (
    ("response", "latency"),
    ("ok", "ok_latency"),
    ("failed", "failed_latency"),
    ("service", "service"),
    ("first byte", "first_byte"),
    ("failed = ∞", "adjusted_latency"),
)
"""Kinds of times, and the prefix of their figures."""
FAILURE_COLOURS = ("s5", "s4", "s0", "p95", "p90", "s3", "p50", "e2", "e4")
FEWEST_SAMPLES = 20
"""Below this number there are no percentile curves."""


def headline(result: RunResult) -> str:
    """Return the outcome with its main reason."""
    outcome = result.verdict.outcome
    if outcome is not RunOutcome.FAILED:
        return str(outcome)
    failed = sum(not threshold.passed for threshold in result.thresholds)
    if failed:
        return f"failed, {failed} of {len(result.thresholds)} thresholds"
    return "failed, the target never answered"


def run_facts(result: RunResult) -> list[str]:
    """Return target, load, engine, length and start of the run."""
    run, metrics = result.run, result.metrics
    targets = sorted({urlsplit(entry.url).netloc.rpartition("@")[2] for entry in result.endpoint_metrics})
    facts = [", ".join(targets[:3]) + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")]
    load = "open and closed loads" if run.model == "mixed" else f"{run.model} model"
    if metrics.offered_rate is not None:
        load += f", {figures.rate(metrics.offered_rate)} /s offered"
    loads = described_loads(result.spec, run.model, None) if has_loads_of_scenarios(result.spec) else [load]
    facts += [*loads, f"{run.engine} engine", figures.duration(metrics.duration_seconds)]
    if metrics.warm_up_seconds:
        facts[-1] += f" after {figures.planned(round(metrics.warm_up_seconds, 1))} warm-up"
    if run.started_at:
        facts.append(run.started_at.strftime("%Y-%m-%d %H:%M:%S UTC"))
    facts.append(f"run {run.id[:8]}")
    return [fact for fact in facts if fact]


@dataclass(frozen=True, slots=True)
class Judgement:
    """One line of the verdicts."""

    kind: str
    """`pass`, `fail` or `warn`."""
    title: str
    text: str
    hint: str = ""


def outcome_judgements(result: RunResult) -> list[Judgement]:
    """Return why the run ended early or failed, unless a threshold says it, and the state of its hooks."""
    failed = sum(not threshold.passed for threshold in result.thresholds)
    lines = []
    if result.run.error:
        lines.append(Judgement("fail", "Error", result.run.error))
    elif result.verdict.outcome in (RunOutcome.STOPPED, RunOutcome.CANCELLED):
        text = "before its planned end; the figures cover the time until then"
        lines.append(Judgement("warn", str(result.verdict.outcome).capitalize(), text))
    elif result.verdict.outcome is RunOutcome.FAILED and not failed:
        lines.append(Judgement("fail", "Failed", "; ".join(failure_reasons(result))))
    for name, hook in (("Setup", result.setup), ("Teardown", result.teardown)):
        if hook is not None:
            kind = {"passed": "pass", "failed": "fail"}.get(hook.status, "warn")
            lines.append(Judgement(kind, name, hook.described, hook.hint))
    return lines


def thresholds_judgement(result: RunResult) -> Judgement:
    """Return how many thresholds hold."""
    failed = sum(not threshold.passed for threshold in result.thresholds)
    text = f"{failed} of {len(result.thresholds)} failed" if failed else f"{len(result.thresholds)} hold"
    return Judgement("fail" if failed else "pass", "Thresholds", text)


def measurement_judgement(result: RunResult) -> Judgement:
    """Return the measurement verdict."""
    kind, text = {
        Measurement.VALID: ("pass", "valid: the load generator was not the limit"),
        Measurement.SUSPECT: ("warn", "suspect: the load generator may have been the limit"),
        Measurement.INVALID: ("fail", 'invalid: do not quote these times; each ends in "?"'),
    }[result.verdict.measurement]
    return Judgement(kind, "Measurement", text)


def measurement_reasons(result: RunResult) -> list[Judgement]:
    """Return the reasons of the measurement verdict."""
    return [
        Judgement("fail" if reason.severity == Measurement.INVALID else "warn", "", reason.what, reason.hint)
        for reason in result.verdict.reasons
    ]


def generator_facts(result: RunResult) -> list[str]:
    """Return the figures that the measurement verdict is about."""
    metrics, generator = result.metrics, result.generator
    facts = []
    if metrics.offered_rate is not None:
        facts.append(f"sent {figures.rate(metrics.achieved_rate)} of {figures.rate(metrics.offered_rate)} /s")
    if generator.schedule_lag_p99_ms is not None:
        facts.append(f"lag p99 {figures.time(generator.schedule_lag_p99_ms)}")
    cpu = figures.percent(generator.cpu_share / max(generator.cores, 1))
    facts.append(f"CPU {cpu} of {figures.counted(generator.cores, 'core')}")
    if metrics.offered_rate is not None:
        facts.append(f"missed {figures.count(metrics.missed)}")
    return facts


def request_books(result: RunResult) -> str:
    """Return what became of the requests: `30 started = 28 ok + 2 failed + 0 unfinished`."""
    metrics, count = result.metrics, figures.count
    text = f"{count(metrics.total_requests)} started = {count(metrics.successful_requests)} ok + "
    text += f"{count(metrics.failed_requests)} failed + {count(metrics.unfinished)} unfinished"
    if metrics.generator_errors:
        text += f" + {count(metrics.generator_errors)} generator errors"
    if metrics.missed:
        text += f"; {count(metrics.missed)} more were due and never started"
    return text


def shown_kinds(result: RunResult) -> list[tuple[str, str]]:
    """Return the kinds of times that say something about this run."""
    metrics = result.metrics
    left_out = set()
    if not (metrics.failed_requests or metrics.unfinished or metrics.missed):
        left_out.add("adjusted_latency")
    if not metrics.failed_requests:
        left_out.add("ok_latency")
    if metrics.failed_latency_p50_ms is None:
        left_out.add("failed_latency")
    return [(name, prefix) for name, prefix in KINDS if prefix not in left_out]


def failed_share(result: RunResult) -> str:
    """Return the share of completed requests that failed."""
    completed = result.metrics.successful_requests + result.metrics.failed_requests
    return figures.share(result.metrics.failed_requests / completed) if completed else figures.NO_DATA


def doubted(result: RunResult, text: str) -> str:
    """Append a question mark to a figure if the measurement is invalid."""
    doubtful = result.verdict.measurement == Measurement.INVALID
    return f"{text}?" if doubtful and text != figures.NO_DATA else text


def time_limit(result: RunResult) -> float | None:
    """Return the lowest limit in ms of thresholds on the response time of all requests."""
    limits = [rule.limit for rule in result.thresholds if rule.is_time_limit and rule.metric is Metric.LATENCY]
    return min(limits, default=None)


def failure_kinds(result: RunResult) -> list[tuple[Outcome, str]]:
    """Return the kinds of failure, most frequent first, each with its colour."""
    totals: dict[Outcome, int] = {}
    for point in result.timeline:
        for outcome, count in point.errors.items():
            totals[outcome] = totals.get(outcome, 0) + count
    ordered = sorted(totals, key=lambda outcome: -totals[outcome])
    return list(zip(ordered, FAILURE_COLOURS * 2, strict=False))


Curve = tuple[str, str, Callable[[float], float | None]]
"""Name, colour, and the percentile function in ms."""


def decoded(result: RunResult, name: str) -> Histogram:
    """Return a histogram of the result; an empty one if it is missing."""
    encoded = result.histograms.get(name)
    return Histogram.decode(base64.b64decode(encoded)) if encoded else Histogram()


def percentile_curves(result: RunResult) -> list[Curve]:
    """Return the curves of response, service and first-byte time; empty for too few samples."""
    curves: list[Curve] = []
    for name, key, colour in (
        ("response", "response", "info"),
        ("service", "service", "e2"),
        ("first byte", "first_byte", "s2"),
    ):
        histogram = decoded(result, key)
        if histogram:
            curves.append((name, colour, _in_ms(histogram, 0)))
    metrics = result.metrics
    beyond = metrics.failed_requests + metrics.unfinished + metrics.missed
    ok = decoded(result, "response_ok")
    if ok and beyond:
        curves.append(("failed = ∞", "fail", _in_ms(ok, beyond)))
    return curves if decoded(result, "response").total >= FEWEST_SAMPLES else []


def _in_ms(histogram: Histogram, beyond: int) -> Callable[[float], float | None]:
    def percentile(percent: float) -> float | None:
        value = histogram.percentile(percent, beyond)
        return None if value is None else value / 1e6

    return percentile
