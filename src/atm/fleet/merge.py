"""Merge the same second of several workers: the sum of their figures, exactly, as if one engine had sent it all."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, Self, TypeVar

from atm.metrics.code_interval import CodeInterval
from atm.metrics.histogram import Histogram
from atm.metrics.interval import EndpointInterval, FailureGroup, GeneratorInterval, Interval
from atm.metrics.own_interval import OwnInterval
from atm.metrics.scenario_interval import CheckInterval, DataInterval, IterationInterval
from atm.metrics.used_rows import UsedRows

_SUMS = (
    "stalls",
    "cpu_seconds",
    "memory_bytes",
    "users",
    "in_flight",
    "waiting",
    "open_connections",
    "dials",
    "connections_lost",
)
_WORST = ("stalled_ns", "longest_stall_ns", "busiest_thread_share", "steal_share")
"""Of these, the worker that is worst off decides: the sum over workers would be a share of nothing."""
_OF_PROCESS = ("cpu_seconds", "memory_bytes", "steal_share")
_TIMES = ("schedule_lag", "connect", "tls", "dns")


def merge(
    seconds: Sequence[Interval],
    used_rows: UsedRows | None = None,
    generators: Sequence[GeneratorInterval] | None = None,
) -> Interval:
    """Return one interval for the same second of several workers, of which there is at least one.

    `used_rows` has the rows of test data that the workers of the run used so far, and learns those of this second; None
    adds up the counts, which is right for workers that use no row of another. `generators` has one generator for each
    process, None if each second is of another one.
    Samples are not limited here; the collector keeps no more of them than of one engine.
    """
    first = seconds[0]
    if any(interval.second != first.second for interval in seconds):
        raise ValueError(f"seconds {[interval.second for interval in seconds]} are not the same")
    endpoints = _merged(
        (part for interval in seconds for part in interval.endpoints),
        lambda part: (part.endpoint, part.warm_up),
        lambda part: EndpointInterval(part.endpoint, part.warm_up),
    )
    iterations = _merged(
        (part for interval in seconds for part in interval.iterations),
        lambda part: (part.flow, part.warm_up),
        lambda part: IterationInterval(part.flow, part.warm_up),
    )
    checks = _merged(
        (part for interval in seconds for part in interval.checks),
        lambda part: (part.check, part.warm_up),
        lambda part: CheckInterval(part.check, part.warm_up),
    )
    own = _merged(
        (part for interval in seconds for part in interval.own),
        lambda part: (part.metric, part.warm_up),
        lambda part: OwnInterval(part.metric, part.warm_up),
    )
    return Interval(
        second=first.second,
        phase=_phase(seconds),
        duration_ns=max(interval.duration_ns for interval in seconds),
        offered=sum(interval.offered for interval in seconds),
        endpoints=endpoints,
        generator=generator_of([interval.generator for interval in seconds] if generators is None else generators),
        failures=_failures(seconds),
        samples=sorted(
            (sample for interval in seconds for sample in interval.samples),
            key=lambda sample: (sample.finish_ns, sample.request_number, sample.intended_ns),
        ),
        iterations=iterations,
        checks=checks,
        data=_data(seconds)
        if used_rows is None
        else used_rows.merged(part for interval in seconds for part in interval.data),
        sampled_iterations=sorted(
            (sample for interval in seconds for sample in interval.sampled_iterations),
            key=lambda sample: (sample.finish_ns, sample.flow, sample.number),
        ),
        code=_code(seconds),
        own=own,
    )


def _code(seconds: Sequence[Interval]) -> CodeInterval:
    """Return what the code of all workers reports; their announcements are different ones, in the run's numbers."""
    parts = [interval.code for interval in seconds if interval.code]
    return CodeInterval(
        tuple(sorted((endpoint for part in parts for endpoint in part.endpoints), key=lambda endpoint: endpoint.index)),
        tuple(sorted((check for part in parts for check in part.checks), key=lambda check: check.index)),
        tuple(exception for part in parts for exception in part.exceptions),
        tuple(call for part in parts for call in part.blocking),
    )


def of_one_process(seconds: Sequence[Interval]) -> Interval:
    """Return one interval for the same second of several loads in one process, which each report its CPU and memory."""
    if len(seconds) == 1:
        return seconds[0]
    merged = merge(seconds)
    for name in _OF_PROCESS:
        setattr(merged.generator, name, max(getattr(interval.generator, name) for interval in seconds))
    return merged


class _Mergeable(Protocol):
    def merge(self, other: Self) -> None: ...


_PartT = TypeVar("_PartT", bound=_Mergeable)


def _merged(
    parts: Iterable[_PartT], key: Callable[[_PartT], Hashable], empty: Callable[[_PartT], _PartT]
) -> list[_PartT]:
    """Add up the parts with the same key, in the order of their keys."""
    totals: dict[Hashable, _PartT] = {}
    for part in parts:
        total = totals.get(key(part))
        if total is None:
            total = totals[key(part)] = empty(part)
        total.merge(part)
    return sorted(totals.values(), key=key)  # type: ignore[arg-type]  # the keys are tuples of numbers


def _phase(seconds: Sequence[Interval]) -> str:
    """Return the phase of the workers that still send; among them that of the longest interval."""
    sending = [interval for interval in seconds if interval.phase != "drain"] or seconds
    return max(sending, key=lambda interval: interval.duration_ns).phase


def generator_of(parts: Sequence[GeneratorInterval]) -> GeneratorInterval:
    """Return the generators of several processes as one."""
    merged = GeneratorInterval(saturated=any(part.saturated for part in parts))
    for name in _SUMS:
        setattr(merged, name, sum(getattr(part, name) for part in parts))
    for name in _WORST:
        setattr(merged, name, max((getattr(part, name) for part in parts), default=0))
    for name in _TIMES:
        setattr(merged, name, Histogram.merged(*(getattr(part, name) for part in parts)))
    return merged


def _failures(seconds: Sequence[Interval]) -> list[FailureGroup]:
    groups: dict[Hashable, FailureGroup] = {}
    for interval in seconds:
        for group in interval.failures:
            key = (group.endpoint, group.warm_up, group.outcome, group.message)
            total = groups.get(key)
            groups[key] = group if total is None else _joined(total, group)
    return list(groups.values())


def _joined(first: FailureGroup, second: FailureGroup) -> FailureGroup:
    return FailureGroup(
        first.endpoint,
        first.warm_up,
        first.outcome,
        first.message,
        count=first.count + second.count,
        first_ns=min(first.first_ns, second.first_ns),
        last_ns=max(first.last_ns, second.last_ns),
    )


def _data(seconds: Sequence[Interval]) -> list[DataInterval]:
    tables: dict[int, DataInterval] = {}
    for interval in seconds:
        for part in interval.data:
            total = tables.setdefault(part.table, DataInterval(part.table))
            total.used += part.used
            total.repeated += part.repeated
    return [tables[table] for table in sorted(tables)]
