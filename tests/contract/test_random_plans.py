"""Whatever the plan and however it ends: the counts add up, and agree with the target's own record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from atm.engine.base import Control, Engine
from atm.models.outcome import Outcome, StopReason
from atm.plan.connections import Connections
from atm.plan.load_plan import Load, LoadPlan, Segment, Step
from atm.testing import TargetServer
from tests.contract.engine_runs import Ran, open_connections, run
from tests.contract.plans import NUMBERED, SECOND, http, plan, step
from tests.examples import examples
from tests.steadiness import allowed

STEPS: tuple[Step, ...] = tuple(
    step(path, headers=(NUMBERED,), timeout=timeout, method=method)
    for path, method, timeout in (
        ("/", "GET", 2),
        ("/delay/5", "GET", 2),
        ("/status?ok=201&other=503&share=0.5&seed=3", "GET", 2),
        ("/status/204", "DELETE", 2),
        ("/bytes/5000", "HEAD", 2),
        ("/chunked?chunks=3&every_ms=2", "GET", 2),
        ("/redirect/2", "GET", 2),
        ("/early-hints", "GET", 2),
        ("/until-close", "GET", 2),
        ("/keep-alive/2", "GET", 2),
        ("/keep-alive/2?silent=1", "GET", 2),
        ("/keep-alive/2?silent=1", "POST", 2),
        ("/close", "GET", 2),
        ("/reset?after_ms=3", "GET", 2),
        ("/half", "GET", 2),
        ("/garbage", "GET", 2),
        ("/never", "GET", 0.03),
        ("/slow?seconds=0.06", "GET", 0.03),
        ("/bimodal?fast_ms=1&slow_ms=40&share=0.3&seed=4", "GET", 0.02),
    )
)


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run is ended from outside: not at all, or by a command after some seconds."""

    name: str
    after: float = 0.0

    @property
    def acts(self) -> Mapping[float, Callable[[Control], None]]:
        commands: dict[str, Callable[[Control], None]] = {"stop": Control.stop, "cancel": Control.cancel}
        return {self.after: commands[self.name]} if self.name in commands else {}


seconds = st.integers(30, 120).map(lambda ms: ms / 1000)


@st.composite
def loads(draw: st.DrawFn) -> Load:
    model = draw(st.sampled_from(["closed", "open"]))
    level = st.integers(1, 12) if model == "closed" else st.integers(20, 600)
    warm_up = draw(st.sampled_from([0, 0, SECOND // 40]))
    if draw(st.booleans()):
        segments = [Segment(value := draw(level), value, None)]
    else:
        segments = [
            Segment(draw(level), draw(level), int(draw(seconds) * SECOND)) for _ in range(draw(st.integers(1, 3)))
        ]
    common: dict[str, Any] = {"warm_up_ns": warm_up, "warm_up_level": draw(level) if warm_up else 0}
    if model == "closed":
        max_rate = draw(st.sampled_from([None, None, 300.0, 40.0]))
        return Load("closed", tuple(segments), **common, max_rate=max_rate)
    return Load(
        "open",
        tuple(segments),
        **common,
        arrival=draw(st.sampled_from(["even", "poisson"])),
        on_saturation=draw(st.sampled_from(["queue", "drop"])),
        catch_up=draw(st.sampled_from(["full", "none"])),
        max_in_flight=draw(st.sampled_from([None, 1, 2, 8])),
    )


@dataclass(frozen=True, slots=True)
class Case:
    load: Load
    steps: tuple[Step, ...]
    selection: str
    total: int | None
    duration: float | None
    graceful: float
    redirects: int
    keep_alive: bool
    seed: int
    ending: Ending

    def plan(self, target: TargetServer) -> LoadPlan:
        return plan(
            http(target),
            *self.steps,
            load=self.load,
            selection=self.selection,
            weights=tuple(range(1, len(self.steps) + 1)),
            total=self.total,
            duration=self.duration,
            graceful=self.graceful,
            connections=Connections(redirects=self.redirects, keep_alive=self.keep_alive),
            seed=self.seed,
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    load = draw(loads())
    endless = load.segments[-1].duration_ns is None
    total = draw(st.none() | st.integers(1, 60))
    duration = draw(seconds if endless else st.none() | seconds)
    return Case(
        load=load,
        steps=tuple(draw(st.lists(st.sampled_from(STEPS), min_size=1, max_size=4))),
        selection=draw(st.sampled_from(["round_robin", "weighted", "sequential"])),
        total=total,
        duration=duration,
        graceful=draw(st.sampled_from([0.0, 0.03, 1.0])),
        redirects=draw(st.sampled_from([0, 1, 5])),
        keep_alive=draw(st.sampled_from([True, True, False])),
        seed=draw(st.integers(0, 2**64 - 1)),
        ending=draw(st.sampled_from([Ending("none"), Ending("none"), Ending("stop", 0.04), Ending("cancel", 0.05)])),
    )


@given(case=cases())
@settings(examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_the_counts_add_up_and_agree_with_the_target(engine: Engine, target: TargetServer, case: Case) -> None:
    target.settled_stats()
    target.reset()
    made = case.plan(target)
    ran = run(engine, made, at=case.ending.acts)
    note(f"{ran.report}")
    check_against_record(ran, target)
    check_against_plan(ran, made, case)


def check_against_record(ran: Ran, target: TargetServer) -> None:
    """`semantics`: what the target completed, what it received, and what was started."""
    stats = target.settled_stats()
    started, statuses = 0, Counter[int]()
    given_up = hops = redialled = 0
    for warm_up in (False, True):
        total = ran.total(warm_up=warm_up)
        started += total.started
        statuses.update(total.statuses)
        given_up += total.outcomes.get(Outcome.TIMEOUT, 0) + total.outcomes.get(Outcome.UNFINISHED, 0)
        hops += total.redirect_hops
        redialled += total.redialled
    statuses[302] += hops
    completed = Counter(stats.statuses)
    if given_up:
        # The target may have handed over a response to a request that had already ended.
        assert all(completed[status] >= count for status, count in statuses.items())
        assert completed.total() - statuses.total() <= given_up
    else:
        assert completed == +statuses
    assert statuses.total() <= stats.received <= started + hops + redialled
    numbers = Counter(row.client_number for row in target.record())
    assert all(number is not None and number >= 1 for number in numbers)
    assert numbers.total() - len(numbers) <= hops + redialled
    assert open_connections(target) == 0


def check_against_plan(ran: Ran, made: LoadPlan, case: Case) -> None:
    """Numbers, limits and times are those that the plan allows."""
    measured, warm = ran.total(), ran.total(warm_up=True)
    report = ran.report
    if made.lanes[0].load.model == "closed":
        assert measured.missed == warm.missed == 0
    if made.total is not None:
        assert measured.due <= made.total
    if report.stop_reason is StopReason.TOTAL:
        assert measured.due == made.total
    expected = {"none": {StopReason.TOTAL, StopReason.DURATION, StopReason.STAGES}}
    endings_of = {"stop": StopReason.STOPPED, "cancel": StopReason.CANCELLED}
    endings = expected["none"] | ({endings_of[case.ending.name]} if case.ending.name in endings_of else set())
    assert report.stop_reason in endings
    if case.ending.name == "none":
        assert report.stop_reason in expected["none"]
        limit = report.window_end_ns + max(made.graceful_stop_ns, 0) + allowed(50_000_000)
        assert report.last_finish_ns <= limit
    elif report.stop_reason is StopReason.CANCELLED:
        assert ran.seconds < allowed(0.5)
    if report.stop_reason in (StopReason.DURATION, StopReason.STAGES):
        durations = [segment.duration_ns for segment in made.lanes[0].load.segments]
        stages = sum(duration or 0 for duration in durations) if durations[-1] is not None else None
        planned = min(each for each in (stages, made.lanes[0].duration_ns) if each is not None)
        assert report.window_end_ns - report.barrier_ns == made.lanes[0].load.warm_up_ns + planned
    if made.lanes[0].load.warm_up_ns == 0:
        assert warm.due == 0
    span = sum(interval.duration_ns for interval in ran.intervals)
    assert span == pytest.approx(max(report.window_end_ns, report.last_finish_ns), abs=2)
