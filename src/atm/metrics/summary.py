"""Turn a collector's totals into the result of the run: figures, verdict, exit code. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from atm.dataclass import dataclass
from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances, evidence_of, measured_offered
from atm.metrics.histogram import Histogram
from atm.metrics.interval import EndpointInterval
from atm.metrics.result_samples import exchange, sampled_iteration
from atm.metrics.sample import Sample
from atm.metrics.samples import Failures
from atm.metrics.scenarios import check_figures, scenario_metrics
from atm.metrics.spread import spread
from atm.metrics.timeline import milliseconds
from atm.metrics.verdict import judge
from atm.models.endpoint_metrics import Metrics, NamedEndpointMetrics
from atm.models.exit_code import ExitCode, first_of
from atm.models.outcome import FAILED, Outcome, RunStatus, StopReason, is_answered, passed_of, run_outcome
from atm.models.outline import EndpointDescription, others_of
from atm.models.run import FailureSummary, GeneratorSummary, Measurement, RunInfo, RunResult, ThresholdResult, Verdict
from atm.models.run_figures import HookFigures, ScenarioMetrics

_EXAMPLE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class RunTimes:
    """Times of a run as the engine reports them: ns since its start (the first intended start)."""

    window_start_ns: int
    """The first measured intended start (the end of warm-up)."""
    window_end_ns: int
    """The end of sending, including barrier time."""
    last_finish_ns: int
    """When the last request finished, or the time of the cancel."""
    barrier_ns: int = 0
    """Time spent at the barriers of sequential selection."""
    lane_windows_ns: tuple[int, ...] = ()
    """Of a run with several loads: the length of the window of each."""
    lane_of_flow: tuple[int, ...] = ()
    """By flow of the plan: the index of its load in `lane_windows_ns`."""
    lane_of_endpoint: tuple[int, ...] = ()

    def seconds_of_flow(self, flow: int) -> float:
        """Return the length of the window in which the iterations of a flow started."""
        return (self.lane_windows_ns[self.lane_of_flow[flow]] if self.lane_windows_ns else self.window_ns) / 1e9

    def seconds_of_endpoint(self, endpoint: int) -> float:
        """Return the length of the window in which the requests of an endpoint started."""
        return (self.lane_windows_ns[self.lane_of_endpoint[endpoint]] if self.lane_windows_ns else self.window_ns) / 1e9

    @property
    def window_ns(self) -> int:
        """Length of the window; 0 for a run that ended in its warm-up."""
        return max(self.window_end_ns - self.window_start_ns - self.barrier_ns, 0)


def summarize(
    collector: Collector,
    times: RunTimes,
    run: RunInfo,
    endpoints: Sequence[EndpointDescription],
    thresholds: Sequence[ThresholdResult],
    *,
    circumstances: Circumstances,
    environment: Mapping[str, Any],
    spec: Mapping[str, Any],
    setup: HookFigures | None = None,
    teardown: HookFigures | None = None,
    strict: bool = False,
    no_fail: bool = False,
) -> RunResult:
    """Return the result of a finished run. `spec` is the spec as it ran, secrets masked."""
    measurement, reasons = judge(evidence_of(collector, times.window_ns, circumstances))
    passed = passed_of(
        run.status,
        run.stop_reason,
        thresholds_hold=all(result.passed for result in thresholds),
        answered=is_answered(collector.total.outcomes, collector.total.completed),
        is_invalid=measurement is Measurement.INVALID,
    )
    code = exit_code(
        run,
        passed=passed,
        measurement=measurement,
        unreachable=collector.completed > 0 and collector.answered == 0,
        teardown_failed=teardown is not None and teardown.status == "failed",
        strict=strict,
        no_fail=no_fail,
    )
    total = collector.total
    return RunResult(
        run=run,
        verdict=Verdict(
            passed=passed,
            outcome=run_outcome(run.status, run.stop_reason, passed),
            measurement=measurement,
            reasons=reasons,
            exit_code=code,
        ),
        thresholds=list(thresholds),
        metrics=whole_metrics(collector, times, is_open=run.model == "open"),
        endpoint_metrics=endpoint_metrics(collector, times, endpoints, is_open=run.model == "open"),
        scenarios=_scenarios(collector, times),
        checks=check_figures(collector.scenarios, collector.endpoints),
        data=collector.data.figures(),
        exceptions=collector.code.exceptions(collector.scenarios.scenarios),
        blocking=collector.code.blocking(collector.scenarios.scenarios),
        own_metrics=list(collector.own.figures(times.window_ns / 1e9)),
        failures=_failures(collector),
        generator=generator_summary(collector, circumstances.cores),
        environment=dict(environment),
        spec=dict(spec),
        fleet=circumstances.fleet,
        setup=setup,
        teardown=teardown,
        timeline=collector.timeline.points(),
        samples=[exchange(sample, collector.endpoints) for sample in collector.samples.samples()],
        sampled_iterations=[
            sampled_iteration(sample, collector.endpoints, collector.scenarios)
            for sample in collector.sampled_iterations.samples()
        ],
        histograms={
            "response": _encoded(total.response()),
            "response_ok": _encoded(total.response_ok),
            "service": _encoded(total.service),
            "first_byte": _encoded(total.first_byte),
        },
    )


def exit_code(
    run: RunInfo,
    *,
    passed: bool | None,
    measurement: Measurement,
    unreachable: bool,
    teardown_failed: bool = False,
    strict: bool = False,
    no_fail: bool = False,
) -> ExitCode:
    """Return the exit code of a command that shows this run.

    `strict` treats a suspect measurement as invalid. `no_fail` makes judgements (3, 4, 99) exit with 0; an interrupted
    or broken run keeps its code. A failed `teardown` makes the code of a run that passed that of an error.
    """
    codes = [ExitCode.PASSED]
    if run.stop_reason in (StopReason.STOPPED, StopReason.CANCELLED) or run.status is RunStatus.CANCELLED:
        codes.append(ExitCode.INTERRUPTED)
    if run.status is RunStatus.FAILED:
        codes.append(ExitCode.UNEXPECTED_ERROR)
    if not no_fail:
        if unreachable:
            codes.append(ExitCode.UNREACHABLE)
        if measurement is Measurement.INVALID or (strict and measurement is Measurement.SUSPECT):
            codes.append(ExitCode.MEASUREMENT_INVALID)
        if passed is False:
            codes.append(ExitCode.THRESHOLDS_FAILED)
    code = first_of(codes)
    return ExitCode.UNEXPECTED_ERROR if code is ExitCode.PASSED and passed and teardown_failed else code


def generator_summary(collector: Collector, cores: int) -> GeneratorSummary:
    """Return the generator's resource usage; `cores` are those available to it."""
    generator = collector.generator
    lag50, lag99 = generator.schedule_lag.percentiles((50, 99))
    return GeneratorSummary(
        schedule_lag_p50_ms=milliseconds(lag50),
        schedule_lag_p99_ms=milliseconds(lag99),
        schedule_lag_max_ms=milliseconds(generator.schedule_lag.maximum),
        stalls=generator.stalls,
        stalled_seconds=generator.stalled_ns / 1e9,
        longest_stall_ms=generator.longest_stall_ns / 1e6,
        cpu_seconds=generator.cpu_seconds,
        cpu_share=generator.cpu_share,
        cores=cores,
        busiest_thread_share=generator.busiest_thread_share,
        steal_share=generator.steal_share,
        memory_peak_bytes=generator.memory_peak_bytes,
        connections_opened=generator.connect.total,
        connections_lost=generator.connections_lost,
        connect_mean_ms=milliseconds(generator.connect.mean),
        tls_mean_ms=milliseconds(generator.tls.mean),
        dns_mean_ms=milliseconds(generator.dns.mean),
        max_in_flight=generator.max_in_flight,
    )


def whole_metrics(collector: Collector, times: RunTimes, *, is_open: bool) -> Metrics:
    """Return the figures of the whole measured load."""
    seconds = times.window_ns / 1e9
    offered = measured_offered(collector) / seconds if is_open and seconds else None
    return Metrics(
        **{
            **_figures(collector.total, seconds, offered),
            "achieved_rate": collector.arrivals / seconds if seconds else 0.0,
        },
        duration_seconds=seconds,
        drain_seconds=max(times.last_finish_ns - times.window_end_ns, 0) / 1e9,
        barrier_seconds=times.barrier_ns / 1e9,
        warm_up_seconds=min(times.window_start_ns, max(times.window_end_ns, times.last_finish_ns)) / 1e9,
        warm_up_requests=collector.warm_up.started,
    )


def endpoint_metrics(
    collector: Collector, times: RunTimes, endpoints: Sequence[EndpointDescription], *, is_open: bool
) -> list[NamedEndpointMetrics]:
    """Return the figures of each endpoint, in the order of the plan, over the window of its load."""
    windows = [times.seconds_of_endpoint(index) for index in range(len(collector.measured))]
    unused = others_of(collector.scenarios.scenarios)
    return [
        NamedEndpointMetrics(
            **_figures(totals, seconds, totals.due / seconds if is_open and seconds else None),
            name=endpoint.name,
            method=endpoint.method,
            url=endpoint.url,
        )
        for endpoint, totals, seconds in zip(endpoints, collector.measured, windows, strict=True)
        if totals.due or totals.endpoint not in unused
    ]


def _scenarios(collector: Collector, times: RunTimes) -> list[ScenarioMetrics]:
    """Return the figures of each scenario, over the window of its load."""
    windows = [times.seconds_of_flow(flow) for flow in range(len(collector.scenarios.scenarios))]
    return scenario_metrics(collector.scenarios, collector.endpoints, collector.measured, windows)


def _figures(totals: EndpointInterval, seconds: float, offered_rate: float | None) -> dict[str, Any]:
    """Return the fields common to an endpoint and the whole run; `seconds` is the window."""
    ok, failed, completed = totals.ok, totals.failed, totals.completed
    left_out = totals.outcomes.get(Outcome.UNFINISHED, 0)
    inside = completed - totals.drained_ok - totals.drained_failed
    wait50, wait99 = totals.waits.percentiles((50, 99))
    return {
        "total_requests": totals.started,
        "successful_requests": ok,
        "failed_requests": failed,
        "generator_errors": totals.outcomes.get(Outcome.GENERATOR_ERROR, 0),
        "unfinished": left_out,
        "due": totals.due,
        "missed": totals.missed,
        "dropped": totals.dropped,
        "skipped": totals.skipped,
        "queued_at_end": totals.queued_at_end,
        "arrivals_waited": totals.waited,
        **_times("latency", totals.response()),
        **_times("service", totals.service),
        **_times("first_byte", totals.first_byte),
        **_times("ok_latency", totals.response_ok),
        **_times("failed_latency", totals.response_not_ok()),
        **_times("adjusted_latency", totals.response_ok, beyond=failed + left_out + totals.missed),
        "wait_p50_ms": milliseconds(wait50),
        "wait_p99_ms": milliseconds(wait99),
        "wait_max_ms": milliseconds(totals.waits.maximum),
        "requests_per_second": inside / seconds if seconds else 0.0,
        "throughput": (ok - totals.drained_ok) / seconds if seconds else 0.0,
        "offered_rate": offered_rate,
        "achieved_rate": totals.started / seconds if seconds else 0.0,
        "error_rate": failed / completed if completed else 0.0,
        "errors_by_type": {kind: count for kind, count in totals.outcomes.items() if kind in FAILED},
        "status_code_counts": dict(sorted(totals.statuses.items())),
        "total_bytes_received": totals.bytes_received,
        "total_bytes_sent": totals.bytes_sent,
        "redirect_hops": totals.redirect_hops,
        "redialled": totals.redialled,
        "clamped": totals.clamped,
    }


def _times(name: str, histogram: Histogram, beyond: int = 0) -> dict[str, float | None]:
    """Return the fields of a spread, prefixed with `name`; `beyond` adds samples at +∞."""
    return {f"{name}_{figure}": value for figure, value in asdict(spread(histogram, beyond)).items()}


def _failures(collector: Collector) -> list[FailureSummary]:
    samples: dict[tuple[int, Outcome, str], Sample] = {}
    for sample in collector.samples.samples():
        if not sample.warm_up:
            samples.setdefault((sample.endpoint, sample.outcome, sample.message), sample)
    return [
        _failure(
            group, collector.endpoints[group.endpoint], samples.get((group.endpoint, group.outcome, group.message))
        )
        for group in collector.failures.groups()
        if group.outcome in FAILED
    ]


def _failure(group: Failures, endpoint: str, sample: Sample | None) -> FailureSummary:
    body = sample.response.body if sample and sample.response else ""
    return FailureSummary(
        outcome=group.outcome,
        endpoint=endpoint,
        message=group.message,
        count=group.count,
        first_seconds=group.first_ns / 1e9,
        last_seconds=group.last_ns / 1e9,
        sample=sample.request_number if sample else None,
        example=" ".join(body[: 4 * _EXAMPLE_CHARACTERS].split())[:_EXAMPLE_CHARACTERS],
    )


def _encoded(histogram: Histogram) -> str:
    return base64.b64encode(histogram.encode()).decode()
