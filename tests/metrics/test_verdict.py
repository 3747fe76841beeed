"""Every row of the measurement verdict's table: once provoked, once quiet, and at its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from atm.metrics.collector import Collector
from atm.metrics.evidence import Circumstances, Evidence, evidence_of
from atm.metrics.verdict import (
    ROWS,
    arrivals_waited,
    generator_errors,
    generator_saturated,
    judge,
    loop_stall,
    missed,
    other_run,
    rate_missed,
    schedule_lag,
    steal,
    unfinished,
)
from atm.metrics.worker_rows import clock_error, worker_differs, worker_late, worker_lost, worker_unequal
from atm.models.fleet_figures import FleetFigures, WorkerFigures
from atm.models.outcome import Outcome
from atm.models.outline import OpenLane
from atm.models.run import Measurement, MeasurementReason
from atm.models.run_figures import BlockingFigures
from tests.metrics.seconds import MS, SECOND, endpoint, failure_group, second

VALID, SUSPECT, INVALID = Measurement.VALID, Measurement.SUSPECT, Measurement.INVALID

QUIET = Evidence(
    circumstances=Circumstances(engine="asyncio", cores=2),
    window_ns=10 * SECOND,
    started=5000,
    offered=5000.0,
    offered_while_free=5000.0,
    lag_p99_ns=0.2 * MS,
    service_p50_ns=12.0 * MS,
    service_mean_ns=15.0 * MS,
    intervals=10,
    busiest_share=0.5,
    users=64,
)


def severity_of(reason: MeasurementReason | None) -> Measurement:
    return reason.severity if reason else VALID


def with_circumstances(**changes: Any) -> Evidence:
    return replace(QUIET, circumstances=replace(QUIET.circumstances, **changes))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_every_row_is_quiet_when_the_generator_was_not_the_limit(row: Any) -> None:
    assert row(QUIET) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_every_row_is_quiet_when_nothing_was_sent(row: Any) -> None:
    assert row(Evidence(circumstances=Circumstances(), window_ns=0)) is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
def test_every_row_is_quiet_in_a_plain_closed_run(row: Any) -> None:
    closed = replace(QUIET, offered=0.0, offered_while_free=0.0, lag_p99_ns=None)
    assert row(closed) is None


PROVOKED: list[tuple[str, dict[str, Any], Measurement]] = [
    ("schedule_lag", {"lag_p99_ns": 1.3 * MS}, SUSPECT),
    ("schedule_lag", {"lag_p99_ns": 13.0 * MS}, INVALID),
    ("rate_missed", {"skipped": 50}, SUSPECT),
    ("rate_missed", {"skipped": 500}, INVALID),
    ("loop_stall", {"longest_stall_ns": 84 * MS, "stalled_ns": 84 * MS}, SUSPECT),
    ("loop_stall", {"longest_stall_ns": 84 * MS, "stalled_ns": 200 * MS}, INVALID),
    ("loop_stall", {"longest_stall_ns": 11 * MS, "stalled_ns": 11 * MS, "window_ns": 40 * MS}, SUSPECT),
    ("blocking", {"blocking": (BlockingFigures(scenario="s", place="s (shop.py:4)", count=1, seconds=0.2),)}, SUSPECT),
    ("code", {"code_share": 0.21, "code_scenario": "s"}, SUSPECT),
    ("generator_errors", {"generator_errors": 1}, SUSPECT),
    ("generator_errors", {"generator_errors": 905}, INVALID),
    ("generator_saturated", {"busy_intervals": 4, "busiest_share": 0.99}, SUSPECT),
    ("steal", {"steal_share": 0.071}, SUSPECT),
    ("unfinished", {"unfinished": 160}, SUSPECT),
    ("missed", {"missed": 160, "dropped": 160}, SUSPECT),
    ("arrivals_waited", {"waited": 600}, SUSPECT),
]


@pytest.mark.parametrize(("code", "changes", "severity"), PROVOKED)
def test_every_row_can_be_provoked(code: str, changes: dict[str, Any], severity: Measurement) -> None:
    verdict, reasons = judge(replace(QUIET, **changes))
    assert severity is verdict
    (reason,) = [reason for reason in reasons if reason.code == code]
    assert reason.severity is severity
    assert reason.hint
    if severity is INVALID or code != "generator_saturated":
        assert reason.actual != reason.limit


def test_a_lost_worker_makes_the_measurement_invalid() -> None:
    reason = worker_lost(with_circumstances(worker_lost="thread 2 panicked"))
    assert reason is not None
    assert reason.severity is INVALID
    assert reason.what == "a part of the load generator died: thread 2 panicked"


def of_fleet(*workers: WorkerFigures, on_loss: Any = "abort", **changes: Any) -> Evidence:
    return with_circumstances(fleet=FleetFigures(on_loss=on_loss, workers=workers), **changes)


def worker(name: str = "worker 1", **changes: Any) -> WorkerFigures:
    fields: dict[str, Any] = {
        "host": "a",
        "state": "ended",
        "share": 0.5,
        "requests": 2500,
        "requests_per_second": 250.0,
        "schedule_lag_p99_ms": 0.2,
        "cpu_share": 0.5,
        "busiest_thread_share": 0.5,
        "measurement": VALID,
        "message": "",
        "clock_error_ms": 0.1,
    }
    return WorkerFigures(name=name, **{**fields, **changes})


def test_a_lost_worker_whose_load_others_sent_makes_it_suspect_and_one_whose_load_is_missing_invalid() -> None:
    replaced = worker(state="lost", replaced_from_seconds=7.0)
    reason = worker_lost(of_fleet(worker(), replaced, on_loss="reassign", worker_lost="worker 2 was killed"))
    assert reason is not None
    assert reason.severity is SUSPECT
    both = of_fleet(replaced, worker(state="lost"), on_loss="reassign", worker_lost="worker 1 was killed; worker 2")
    assert severity_of(worker_lost(both)) is INVALID


def test_a_worker_whose_own_measurement_is_invalid_makes_that_of_all_suspect_and_is_named() -> None:
    late = worker("worker 2", measurement=INVALID, message="requests started late")
    reason = worker_differs(of_fleet(worker(), late))
    assert reason is not None
    assert reason.severity is SUSPECT
    assert "worker 2 (50.0 % of the load) is invalid: requests started late" in reason.what
    assert worker_differs(of_fleet(worker(), worker("worker 2", measurement=SUSPECT))) is None
    # A lost one has a row of its own, and one that did not start sent nothing.
    assert worker_differs(of_fleet(worker(), replace(late, state="lost"))) is None
    assert severity_of(worker_lost(of_fleet(worker(), worker(state="missing", share=0.0)))) is VALID


def test_a_worker_that_is_later_than_the_others_makes_it_suspect() -> None:
    def severity(lag_ms: float, *others_ms: float, **changes: Any) -> Measurement:
        others = (worker(f"worker {number}", schedule_lag_p99_ms=lag) for number, lag in enumerate(others_ms, 2))
        return severity_of(worker_late(of_fleet(worker(schedule_lag_p99_ms=lag_ms, **changes), *others)))

    assert severity(1.0, 0.2, 0.2) is VALID
    assert severity(1.1, 0.2, 0.2) is SUSPECT
    assert severity(1.1, 0.2, 0.2, service_p50_ms=20.0) is VALID
    # All are late: that is a row of its own.
    assert severity(1.1, 0.6, 0.6) is VALID
    # So are an invalid one and a lost one.
    assert severity(30.0, 0.2, 0.2, measurement=INVALID) is VALID
    assert severity(30.0, 0.2, 0.2, state="lost") is VALID
    reason = worker_late(of_fleet(worker(), worker("worker 2", schedule_lag_p99_ms=4.0)))
    assert reason is not None
    assert reason.what == "worker 2 (50.0 % of the load) started late: schedule lag p99 4.00 ms, of the others 200 µs"


def test_a_worker_that_sends_another_part_than_its_own_or_costs_more_makes_it_suspect() -> None:
    def severity(**changes: Any) -> Measurement:
        return severity_of(worker_unequal(of_fleet(worker(), worker("worker 2"), worker("worker 3", **changes))))

    assert severity() is VALID
    assert severity(requests_per_second=200.0) is VALID
    assert severity(requests_per_second=150.0) is SUSPECT
    assert severity(requests_per_second=350.0) is SUSPECT
    assert severity(requests_per_second=125.0, share=0.25) is VALID
    assert severity(cpu_share=1.01) is SUSPECT
    assert severity(cpu_share=1.0) is VALID
    few = [worker(name, requests=300, requests_per_second=rate) for name, rate in (("a", 10.0), ("b", 30.0))]
    assert severity_of(worker_unequal(of_fleet(*few))) is VALID
    # Others may send the load of a lost one.
    gone = of_fleet(worker(), worker("worker 2", requests_per_second=500.0), worker("worker 3", state="lost"))
    assert severity_of(worker_unequal(gone)) is VALID


def test_a_clock_that_may_be_off_by_more_than_5_ms_makes_it_suspect() -> None:
    assert clock_error(of_fleet(worker(), worker("worker 2", clock_error_ms=5.0))) is None
    reason = clock_error(of_fleet(worker(), worker("worker 2", clock_error_ms=5.1)))
    assert reason is not None
    assert reason.severity is SUSPECT
    assert "the clock of worker 2 may be off by 5.1" in reason.what


def test_where_workers_are_the_limit_the_hint_says_how_many_such_workers_the_load_needs() -> None:
    busy: dict[str, Any] = {
        "busiest_share": 0.95,
        "intervals": 10,
        "busy_intervals": 5,
        "busy_seconds": 5.0,
        "offered": 12_000.0,
    }
    alone, two = replace(QUIET, **busy), replace(of_fleet(worker(), worker("worker 2")), **busy)
    one, several = generator_saturated(alone), generator_saturated(two)
    assert one is not None
    assert several is not None
    # 1,200 /s are due and 500 /s were sent: 85 % of that is what they can send with room to spare.
    assert "3 " in one.hint
    assert "6 " in several.hint


def test_another_run_on_this_host_makes_it_suspect() -> None:
    reason = other_run(with_circumstances(other_run="7f3a2c"))
    assert reason is not None
    assert reason.severity is SUSPECT
    assert "7f3a2c" in reason.what


def test_schedule_lag_is_measured_against_the_service_time() -> None:
    def severity(lag_ms: float, service_ms: float | None) -> Measurement:
        service = None if service_ms is None else service_ms * MS
        return severity_of(schedule_lag(replace(QUIET, lag_p99_ns=lag_ms * MS, service_p50_ns=service)))

    assert severity(1.0, 5.0) is VALID
    assert severity(1.01, 5.0) is SUSPECT
    assert severity(2.0, 20.0) is VALID
    assert severity(2.1, 20.0) is SUSPECT
    assert severity(10.0, 5.0) is SUSPECT
    assert severity(10.1, 5.0) is INVALID
    assert severity(20.0, 20.0) is SUSPECT
    assert severity(20.1, 20.0) is INVALID
    assert severity(1.1, None) is SUSPECT


def test_the_rate_may_fall_short_by_a_thousandth() -> None:
    def severity(skipped: int, offered: float) -> Measurement:
        return severity_of(rate_missed(replace(QUIET, skipped=skipped, offered_while_free=offered)))

    assert severity(1, 1000.0) is VALID
    assert severity(2, 1000.0) is SUSPECT
    assert severity(20, 1000.0) is SUSPECT
    assert severity(21, 1000.0) is INVALID
    assert severity(5, 0.0) is INVALID


def test_a_stall_of_50_ms_or_of_1_percent_together_is_still_quiet() -> None:
    def severity(longest_ms: int, together_ms: int) -> Measurement:
        evidence = replace(QUIET, longest_stall_ns=longest_ms * MS, stalled_ns=together_ms * MS)
        return severity_of(loop_stall(evidence))

    assert severity(50, 100) is VALID
    assert severity(51, 100) is SUSPECT
    assert severity(20, 101) is INVALID


def test_one_generator_error_is_suspect_and_more_than_a_thousandth_invalid() -> None:
    def severity(errors: int, started: int) -> Measurement:
        return severity_of(generator_errors(replace(QUIET, generator_errors=errors, started=started)))

    assert severity(0, 1000) is VALID
    assert severity(1, 1000) is SUSPECT
    assert severity(2, 1000) is INVALID


def test_a_busy_thread_speaks_up_from_a_twentieth_of_the_intervals() -> None:
    def severity(busy: int, intervals: int) -> Measurement:
        return severity_of(generator_saturated(replace(QUIET, busy_intervals=busy, intervals=intervals)))

    assert severity(4, 100) is VALID
    assert severity(5, 100) is SUSPECT
    assert severity(1, 1) is SUSPECT


@pytest.mark.parametrize(
    ("row", "name", "quiet", "suspect"),
    [
        (steal, "steal_share", 0.05, 0.0501),
        (unfinished, "unfinished", 50, 51),
        (arrivals_waited, "waited", 50, 51),
    ],
)
def test_a_share_at_its_limit_is_quiet(row: Any, name: str, quiet: float, suspect: float) -> None:
    at_limit: dict[str, Any] = {name: quiet}
    beyond: dict[str, Any] = {name: suspect}
    assert severity_of(row(replace(QUIET, **at_limit))) is VALID
    assert severity_of(row(replace(QUIET, **beyond))) is SUSPECT


def test_missed_arrivals_are_a_share_of_what_was_due() -> None:
    assert missed(replace(QUIET, started=4950, missed=50, dropped=50)) is None
    assert severity_of(missed(replace(QUIET, started=4949, missed=51, dropped=51))) is SUSPECT


def test_the_worst_reason_decides_and_comes_first() -> None:
    evidence = replace(QUIET, steal_share=0.2, generator_errors=900)
    verdict, reasons = judge(evidence)
    assert verdict is INVALID
    assert [reason.code for reason in reasons] == ["generator_errors", "steal"]
    assert judge(QUIET) == (VALID, [])


def test_too_few_users_are_named_with_a_number_to_type() -> None:
    evidence = replace(
        QUIET, started=4310, offered=5000.0, waited=2000, saturated_seconds=7.0, service_mean_ns=200 * MS
    )
    reason = arrivals_waited(evidence)
    assert reason is not None
    assert reason.what == (
        "sent 431 of 500 /s (86.2 %), 46.4 % of them waited, users ran out in 7 s of 10 s: 64 are too few"
    )
    assert reason.hint == "`--users 200`; until then the times are valid for 431 /s only"


def test_too_few_prepared_users_are_named_by_their_fields() -> None:
    evidence = replace(QUIET, started=4310, offered=5000.0, waited=2000, has_prepared_users=True)
    reason = arrivals_waited(evidence)
    assert reason is not None
    assert reason.hint == (
        "Raise `prepared_users`, or `prepare_rate` and `prepare_time` if users were still preparing; until then "
        "the times are valid for 431 /s only"
    )


def test_a_saturated_machine_is_named_with_what_it_could_do() -> None:
    evidence = replace(
        QUIET,
        window_ns=60 * SECOND,
        started=8120 * 60,
        offered=600_000.0,
        intervals=60,
        busy_intervals=41,
        busy_seconds=41.0,
        busiest_share=0.99,
    )
    reason = generator_saturated(evidence)
    assert reason is not None
    assert reason.what == (
        "sent 8,120 of 10,000 /s (81.2 %) with CPU at 99 % of 1 core for 41 s: the generator may be the limit"
    )
    assert reason.hint == (
        "This machine was the limit, not the server. Native engine (`atm doctor`), more cores, 2 such machines "
        "(`--on`), or at most 6,900 /s"
    )
    native = replace(evidence, circumstances=Circumstances(engine="native"), offered=0.0)
    closed = generator_saturated(native)
    assert closed is not None
    assert closed.hint == "This machine was the limit, not the server. More cores or fewer users"


@pytest.mark.parametrize(
    ("message", "hint"),
    [("no free local port", "ports"), ("no free file descriptor", "`ulimit -n 65536`"), ("", "`atm doctor`")],
)
def test_generator_errors_name_what_ran_out(message: str, hint: str) -> None:
    reason = generator_errors(replace(QUIET, generator_errors=905, generator_error=message))
    assert reason is not None
    assert reason.what.startswith("18.1 % of requests were never sent: 905 × ")
    assert message in reason.what
    assert hint in reason.hint


def collected(*intervals: Any, warm_up_ns: int = 0) -> Collector:
    collector = Collector(["GET /users"], warm_up_ns=warm_up_ns)
    for interval in intervals:
        collector.add(interval)
    return collector


def test_seconds_without_a_free_user_are_not_held_against_the_rate() -> None:
    collector = collected(
        second(0, endpoint(started=500), offered=500.0),
        second(1, endpoint(started=300, dropped=200), offered=500.0, saturated=True),
        second(2, endpoint(started=320, queued_at_end=180), offered=500.0, saturated=True),
    )
    evidence = evidence_of(collector, 3 * SECOND, Circumstances())
    assert rate_missed(evidence) is None
    assert evidence.offered_while_free == 500.0
    assert evidence.saturated_seconds == 2.0
    assert missed(evidence) is not None


def test_arrivals_that_the_engine_lost_sight_of_are_held_against_the_rate() -> None:
    lost = collected(second(0, endpoint(started=400), offered=500.0), second(1, endpoint(started=500), offered=500.0))
    reason = rate_missed(evidence_of(lost, 2 * SECOND, Circumstances()))
    assert reason is not None
    assert reason.severity is INVALID
    assert "(90.10 %)" in reason.what or "(90.1 %)" in reason.what


def test_a_late_start_in_the_next_second_is_no_missed_rate() -> None:
    late = collected(
        second(0, endpoint(started=480), offered=500.0),
        second(1, endpoint(started=520), offered=500.0),
        second(2, endpoint(started=0), offered=0.4, phase="drain", duration_ns=100 * MS),
    )
    assert rate_missed(evidence_of(late, 2 * SECOND, Circumstances())) is None


def test_the_chance_of_drawn_arrivals_is_no_missed_rate() -> None:
    drawn = collected(second(0, endpoint(started=460), offered=500.0))
    assert rate_missed(evidence_of(drawn, SECOND, Circumstances(poisson=True))) is None
    assert rate_missed(evidence_of(drawn, SECOND, Circumstances())) is not None


def test_warm_up_is_held_against_nothing() -> None:
    trouble = endpoint(
        0,
        [10.0] * 50,
        warm_up=True,
        failures={Outcome.GENERATOR_ERROR: 10},
        waited=40,
        dropped=40,
    )
    bad = second(
        0,
        trouble,
        phase="warm_up",
        offered=100.0,
        stalls=1,
        stalled_ns=900 * MS,
        longest_stall_ns=900 * MS,
        busiest_thread_share=1.0,
        steal_share=0.9,
        failures=[failure_group(Outcome.GENERATOR_ERROR, "no free local port", 10, warm_up=True)],
    )
    bad.generator.schedule_lag.record(SECOND, 50)
    collector = collected(bad, second(1, endpoint(0, [10.0] * 100), offered=100.0), warm_up_ns=SECOND)
    evidence = evidence_of(collector, SECOND, Circumstances())
    assert judge(evidence) == (VALID, [])
    assert evidence.offered == 100.0


def test_evidence_of_a_stretch_of_trouble_is_complete() -> None:
    part = endpoint(0, [10.0] * 50, failures={Outcome.GENERATOR_ERROR: 3, Outcome.UNFINISHED: 2}, waited=4)
    trouble = second(
        0,
        part,
        offered=55.0,
        busiest_thread_share=0.86,
        steal_share=0.5,
        stalled_ns=20 * MS,
        longest_stall_ns=20 * MS,
        users=8,
        failures=[failure_group(Outcome.GENERATOR_ERROR, "no free local port", 3)],
    )
    trouble.generator.schedule_lag.record(3 * MS, 55)
    half = second(1, endpoint(0, [10.0] * 25), duration_ns=SECOND // 2, offered=25.0, busiest_thread_share=0.85)
    evidence = evidence_of(collected(trouble, half), 1_500 * MS, Circumstances())
    assert (evidence.generator_errors, evidence.generator_error) == (3, "no free local port")
    assert (evidence.unfinished, evidence.waited, evidence.users) == (2, 4, 8)
    assert (evidence.intervals, evidence.busy_intervals, evidence.busiest_share) == (2, 1, 0.86)
    assert evidence.steal_share == pytest.approx(0.5 / 1.5)
    assert evidence.lag_p99_ns == pytest.approx(3 * MS, rel=1e-3)
    assert evidence.service_p50_ns == pytest.approx(10 * MS, rel=1e-3)
    assert (evidence.achieved_rate, evidence.offered_rate) == pytest.approx((80 / 1.5, 80 / 1.5))


def test_the_last_instant_of_a_run_is_too_short_to_be_busy() -> None:
    sliver = second(1, duration_ns=MS, busiest_thread_share=0.99)
    evidence = evidence_of(collected(second(0, endpoint(0, [10.0])), sliver), SECOND, Circumstances())
    assert evidence.intervals == 1
    assert generator_saturated(evidence) is None


def test_what_a_cancel_cut_off_is_not_blamed_on_the_graceful_stop() -> None:
    evidence = Evidence(Circumstances(cancelled=True), window_ns=10**9, started=10, unfinished=5)
    reason = unfinished(evidence)
    assert reason is not None
    assert reason.hint == "The run was cancelled; a stop (Ctrl-C once) lets them finish"


@pytest.mark.parametrize(("busiest", "hint"), [(0.04, "This machine was paused or busy"), (0.9, "more cores")])
def test_a_generator_that_was_idle_is_not_told_to_send_less(busiest: float, hint: str) -> None:
    late = schedule_lag(replace(QUIET, lag_p99_ns=60e6, busiest_share=busiest))
    assert late is not None
    assert hint in late.hint


def test_each_open_load_is_judged_by_its_own_arrivals() -> None:
    collector = Collector(["browse", "order", "report"])
    busy, few = endpoint(0, [10.0] * 900), endpoint(2, [10.0] * 9)
    few.skipped = 1
    closed = endpoint(1, [10.0] * 500)
    collector.add(second(0, busy, closed, few, offered=910.0))
    lanes = (OpenLane("browse", (0,), (0,)), OpenLane("report", (2,), (2,)))
    evidence = evidence_of(collector, SECOND, Circumstances(open_lanes=lanes))
    # The requests of the closed load are in neither figure.
    assert (evidence.offered, evidence.achieved_rate, evidence.unaccounted) == (910.0, 909.0, 0.0)
    reason = rate_missed(evidence)
    assert reason is not None
    assert reason.severity is INVALID
    assert reason.what == '"report" sent 9 of 10 iterations that were due while users were free (90.0 %)'
    only_browse = evidence_of(collector, SECOND, Circumstances(open_lanes=lanes[:1]))
    assert rate_missed(only_browse) is None
