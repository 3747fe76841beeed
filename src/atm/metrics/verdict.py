"""The measurement verdict: was the load generator itself the limit?

One small function per row of the table in docs/concepts/can-i-trust-this-run.md: it examines the evidence and returns
None, or a reason with the measured value, the violated limit and a hint. The worst reason decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from atm.metrics.collector import BUSY_THREAD_SHARE
from atm.metrics.evidence import Evidence, lag_limits_ms
from atm.metrics.timeline import milliseconds
from atm.metrics.worker_rows import clock_error, worker_differs, worker_late, worker_lost, worker_unequal
from atm.models import figures
from atm.models.run import Measurement, MeasurementReason

RATE_SUSPECT = 0.999
RATE_INVALID = 0.98
STALL_SUSPECT_NS = 50_000_000
STALLED_INVALID_SHARE = 0.01
GENERATOR_ERRORS_INVALID_SHARE = 0.001
BUSY_INTERVALS_SHARE = 0.05
IDLE_THREAD_SHARE = 0.5
"""CPU share of the busiest thread below which the generator was not overloaded; less load would not help."""
STEAL_SHARE = 0.05
UNFINISHED_SHARE = 0.01
MISSED_SHARE = 0.01
WAITED_SHARE = 0.01
CODE_SHARE = 0.2


_DISTURBED = "This machine was paused or busy with other work: run again with nothing else on it (`atm doctor`)"


def judge(evidence: Evidence) -> tuple[Measurement, list[MeasurementReason]]:
    """Return the verdict and its reasons, invalid ones first, then in the order of the table."""
    reasons = [reason for row in ROWS if (reason := row(evidence))]
    reasons.sort(key=lambda reason: reason.severity is not Measurement.INVALID)
    return (reasons[0].severity if reasons else Measurement.VALID), reasons


def schedule_lag(evidence: Evidence) -> MeasurementReason | None:
    """Check for requests that started late although a user was free."""
    lag = evidence.lag_p99_ns
    if lag is None:
        return None
    lag /= 1e6
    suspect, invalid = lag_limits_ms(milliseconds(evidence.service_p50_ns))
    if lag <= suspect:
        return None
    severity, limit = (Measurement.INVALID, invalid) if lag > invalid else (Measurement.SUSPECT, suspect)
    return MeasurementReason(
        code="schedule_lag",
        severity=severity,
        what=f"requests started late: schedule lag p99 {figures.time(lag)}, limit {figures.time(limit)}",
        actual=lag,
        limit=limit,
        hint=f"This machine was late, not the server. {_relief(evidence)}",
    )


def rate_missed(evidence: Evidence) -> MeasurementReason | None:
    """Check for fewer requests than were due although users were free; only unsaturated seconds count.

    Of several open loads, the one that lost the largest share is judged.
    """
    lost = evidence.skipped + evidence.unaccounted
    offered = max(evidence.offered_while_free, lost)
    subject, noun = "", "requests"
    if evidence.lanes:
        lane = max(evidence.lanes, key=lambda lane: lane.skipped / lane.due if lane.due else 0.0)
        lost, offered = float(lane.skipped), float(lane.due)
        subject, noun = f'"{lane.name}" ', "iterations"
    if lost <= 0:
        return None
    sent = 1 - lost / offered
    # Ratios of whole numbers, such as 999 of 1,000, must not fall below an equal limit.
    if sent >= RATE_SUSPECT or math.isclose(sent, RATE_SUSPECT, rel_tol=1e-12):
        return None
    invalid = sent < RATE_INVALID and not math.isclose(sent, RATE_INVALID, rel_tol=1e-12)
    return MeasurementReason(
        code="rate_missed",
        severity=Measurement.INVALID if invalid else Measurement.SUSPECT,
        what=f"{subject}sent {figures.rate(offered - lost)} of {figures.rate(offered)} {noun} that were due while "
        f"users were free ({figures.share(sent)})",
        actual=sent,
        limit=RATE_INVALID if invalid else RATE_SUSPECT,
        hint=f"This machine was the limit, not the server. {_relief(evidence)}",
    )


def loop_stall(evidence: Evidence) -> MeasurementReason | None:
    """Check for late wake-ups of the generator's loop: the machine was paused or busy with other work."""
    share = evidence.stalled_ns / evidence.window_ns if evidence.window_ns > 0 else 0.0
    hint = _DISTURBED
    if share > STALLED_INVALID_SHARE:
        # In a window of a tenth of a second, a single hiccup of 2 ms exceeds 1 %: suspect, but not invalid.
        long_enough = evidence.stalled_ns > STALL_SUSPECT_NS
        return MeasurementReason(
            code="loop_stall",
            severity=Measurement.INVALID if long_enough else Measurement.SUSPECT,
            what=f"the generator stalled for {figures.time(evidence.stalled_ns / 1e6)} in total, "
            f"{figures.share(share)} of the time",
            actual=share,
            limit=STALLED_INVALID_SHARE,
            hint=hint,
        )
    if evidence.longest_stall_ns > STALL_SUSPECT_NS:
        return MeasurementReason(
            code="loop_stall",
            severity=Measurement.SUSPECT,
            what=f"the generator stalled once for {figures.time(evidence.longest_stall_ns / 1e6)}",
            actual=evidence.longest_stall_ns / 1e6,
            limit=STALL_SUSPECT_NS / 1e6,
            hint=hint,
        )
    return None


def generator_errors(evidence: Evidence) -> MeasurementReason | None:
    """Check for requests that failed on this machine: no ports, no file descriptors."""
    if not evidence.generator_errors:
        return None
    share = evidence.generator_errors / evidence.started if evidence.started else 1.0
    invalid = share > GENERATOR_ERRORS_INVALID_SHARE
    count = figures.count(evidence.generator_errors)
    cause = evidence.generator_error or "an error of this machine"
    return MeasurementReason(
        code="generator_errors",
        severity=Measurement.INVALID if invalid else Measurement.SUSPECT,
        what=f"{figures.share(share)} of requests were never sent: {count} × {cause}",
        actual=share if invalid else float(evidence.generator_errors),
        limit=GENERATOR_ERRORS_INVALID_SHARE if invalid else 0.0,
        hint=_machine_hint(cause),
    )


def generator_saturated(evidence: Evidence) -> MeasurementReason | None:
    """Check for too many seconds in which the busiest engine thread used up its core."""
    share = evidence.busy_intervals / evidence.intervals if evidence.intervals else 0.0
    if not evidence.busy_intervals or share < BUSY_INTERVALS_SHARE:
        return None
    sent = f"sent {_sent(evidence)} with " if evidence.offered else ""
    busy = figures.planned(evidence.busy_seconds)
    return MeasurementReason(
        code="generator_saturated",
        severity=Measurement.SUSPECT,
        what=f"{sent}CPU at {figures.percent(evidence.busiest_share)} of 1 core for {busy}: "
        "the generator may be the limit",
        actual=share,
        limit=BUSY_INTERVALS_SHARE,
        hint=f"This machine was the limit, not the server. {_relief(evidence)}",
    )


def steal(evidence: Evidence) -> MeasurementReason | None:
    """Check for CPU time stolen by the hypervisor."""
    if evidence.steal_share <= STEAL_SHARE:
        return None
    return MeasurementReason(
        code="steal",
        severity=Measurement.SUSPECT,
        what=f"the hypervisor took {figures.share(evidence.steal_share)} of this machine's CPU time",
        actual=evidence.steal_share,
        limit=STEAL_SHARE,
        hint="Run on a machine with dedicated cores; the times measured here include its pauses",
    )


def unfinished(evidence: Evidence) -> MeasurementReason | None:
    """Check for requests in flight when the run ended: probably the slow ones, and in no percentile."""
    share = evidence.unfinished / evidence.started if evidence.started else 0.0
    if share <= UNFINISHED_SHARE:
        return None
    return MeasurementReason(
        code="unfinished",
        severity=Measurement.SUSPECT,
        what=f"{figures.share(share)} of requests were still in flight when the run ended, and count only in the "
        "adjusted percentiles",
        actual=share,
        limit=UNFINISHED_SHARE,
        hint="The run was cancelled; a stop (Ctrl-C once) lets them finish"
        if evidence.circumstances.cancelled
        else "A longer `graceful_stop: 60s` in the spec lets them finish",
    )


def missed(evidence: Evidence) -> MeasurementReason | None:
    """Check for requests that were due and never sent."""
    share = evidence.missed / evidence.due if evidence.due else 0.0
    if share <= MISSED_SHARE:
        return None
    kinds = (
        (evidence.dropped, "found no free user"),
        (evidence.queued_at_end, "were still waiting for a user at the end"),
        (evidence.skipped, "were skipped after a stall of this machine"),
    )
    why = ", ".join(f"{figures.count(count)} {text}" for count, text in kinds if count)
    for_want_of_users = evidence.dropped + evidence.queued_at_end >= evidence.skipped
    return MeasurementReason(
        code="missed",
        severity=Measurement.SUSPECT,
        what=f"{figures.share(share)} of requests were never sent: {why}",
        actual=share,
        limit=MISSED_SHARE,
        hint=_more_users(evidence) if for_want_of_users else f"This machine was the limit. {_relief(evidence)}",
    )


def arrivals_waited(evidence: Evidence) -> MeasurementReason | None:
    """Check for arrivals that waited for a free user: the limit in flight was reached, not the target's."""
    share = evidence.waited / evidence.due if evidence.due else 0.0
    if share <= WAITED_SHARE:
        return None
    users = f"{figures.count(evidence.users)} are too few" if evidence.users > 1 else "too few users"
    window = figures.planned(evidence.window_ns / 1e9)
    seconds = evidence.saturated_seconds
    during = f", users ran out in {figures.planned(seconds)} of {window}" if seconds else ""
    return MeasurementReason(
        code="arrivals_waited",
        severity=Measurement.SUSPECT,
        what=f"sent {_sent(evidence)}, {figures.share(share)} of them waited{during}: {users}",
        actual=share,
        limit=WAITED_SHARE,
        hint=_more_users(evidence),
    )


def other_run(evidence: Evidence) -> MeasurementReason | None:
    """Check for another run on this host, which disturbs the figures of both."""
    if not evidence.circumstances.other_run:
        return None
    return MeasurementReason(
        code="other_run",
        severity=Measurement.SUSPECT,
        what=f"another run, {evidence.circumstances.other_run}, loaded this host at the same time",
        actual=1.0,
        limit=0.0,
        hint="Run them one after the other",
    )


def code(evidence: Evidence) -> MeasurementReason | None:
    """Check for code of scenarios that kept the load generator busy."""
    if evidence.code_share <= CODE_SHARE:
        return None
    return MeasurementReason(
        code="code",
        severity=Measurement.SUSPECT,
        what=f"code took {figures.share(evidence.code_share)} of the generator's time, most of it \""
        f'{evidence.code_scenario}"',
        actual=evidence.code_share,
        limit=CODE_SHARE,
        hint="Send less load from one process (`--processes N`), or do less between the requests",
    )


def blocking(evidence: Evidence) -> MeasurementReason | None:
    """Check for calls of code that blocked the loop, so that nothing else was sent or timed."""
    if not evidence.blocking:
        return None
    longest = evidence.blocking[0]
    count = sum(call.count for call in evidence.blocking)
    seconds = sum(call.seconds for call in evidence.blocking)
    calls = "a call of code" if count == 1 else f"{figures.count(count)} calls of code"
    return MeasurementReason(
        code="blocking",
        severity=Measurement.SUSPECT,
        what=f"{calls} blocked the generator for {figures.duration(seconds)}, in {longest.place}",
        actual=seconds,
        limit=0.0,
        hint="Use `await user.think(…)` or `asyncio.sleep`; `asyncio.to_thread` for calls that block",
    )


ROWS: tuple[Callable[[Evidence], MeasurementReason | None], ...] = (
    worker_lost,
    schedule_lag,
    rate_missed,
    loop_stall,
    blocking,
    code,
    generator_errors,
    generator_saturated,
    steal,
    unfinished,
    missed,
    arrivals_waited,
    worker_differs,
    worker_late,
    worker_unequal,
    clock_error,
    other_run,
)


def _sent(evidence: Evidence) -> str:
    """`431 of 500 /s (86.2 %)`."""
    offered = evidence.offered_rate
    if not offered:
        return f"{figures.rate(evidence.achieved_rate)} /s"
    ratio = min(evidence.achieved_rate / offered, 1.0)
    return f"{figures.rate(evidence.achieved_rate)} of {figures.rate(offered)} /s ({figures.share(ratio)})"


def _relief(evidence: Evidence) -> str:
    """Return how to relieve a generator that is the limit; one that was mostly idle was disturbed instead."""
    if evidence.busiest_share < IDLE_THREAD_SHARE:
        return _DISTURBED
    ways = ["native engine (`atm doctor`)"] if evidence.circumstances.engine == "asyncio" else []
    ways.append("more cores")
    if generators := _generators_needed(evidence):
        ways.append(f"{generators} such {'workers' if evidence.circumstances.fleet else 'machines'} (`--on`)")
    if evidence.offered:
        ways.append(f"at most {figures.rate(_at_most(evidence.achieved_rate * BUSY_THREAD_SHARE))} /s")
    else:
        ways.append("fewer users")
    text = ", ".join(ways[:-1]) + f"{',' if len(ways) > 2 else ''} or {ways[-1]}"
    return text[0].upper() + text[1:]


def _generators_needed(evidence: Evidence) -> int:
    """Return how many generators like this one, or like these workers, the offered rate needs; 0 without one."""
    capacity = evidence.achieved_rate * BUSY_THREAD_SHARE
    if not evidence.offered or capacity <= 0:
        return 0
    fleet = evidence.circumstances.fleet
    return math.ceil(
        (len(fleet.workers) if fleet else 1) * max(evidence.offered_rate, evidence.achieved_rate) / capacity
    )


def _at_most(rate: float) -> float:
    """Round `rate` down to two significant digits."""
    if rate <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return math.floor(rate / step) * step


def _more_users(evidence: Evidence) -> str:
    """Return the users that the offered rate needs at the measured service time (Little's law), at least doubled."""
    until = f"until then the times are valid for {figures.rate(evidence.achieved_rate)} /s only"
    if evidence.has_prepared_users:
        return f"Raise `prepared_users`, or `prepare_rate` and `prepare_time` if users were still preparing; {until}"
    needed = evidence.offered_rate * (evidence.service_mean_ns or 0.0) / 1e9 * 1.25
    users = max(needed, 2 * evidence.users, 1)
    step = 10 ** math.floor(math.log10(users))
    users = next(factor * step for factor in (1, 2, 5, 10) if factor * step >= users)
    return f"`--users {users:.0f}`; {until}"


def _machine_hint(cause: str) -> str:
    if "descriptor" in cause:
        return "`ulimit -n 65536`, then again; `atm doctor` shows the limit"
    if "port" in cause:
        return "Reuse connections, or open fewer per second; `atm doctor` shows the number of ports"
    return "`atm doctor` shows this machine's limits"
