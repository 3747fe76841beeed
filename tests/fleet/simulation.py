"""A simulated transport: workers with clocks of their own behind links with delays, which may be lost."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

from atm.engine.base import Command, EngineReport
from atm.fleet import messages
from atm.fleet.actions import Action, Finished, Kill, Second, Send
from atm.fleet.messages import WorkerState
from atm.fleet.state import FleetRun
from atm.metrics.interval import EndpointInterval, Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import SECOND, Pacer
from atm.plan.plan_decoder import decode
from atm.plan.randomness import lane_seed


@dataclass
class SimulatedWorker:
    """Sends one request per millisecond for some seconds, by its own clock."""

    seconds: int
    skew_ns: int = 0
    lost_at_ns: int | None = None
    """From then on, in the controller's clock, it answers nothing."""
    answers_late: bool = False
    """Some of its answers to pulls are those that it gave before: a duplicate that overtook the new one."""
    zero_ns: int | None = None
    """In the controller's clock, which it does not know."""
    ends_ns: int | None = None
    commands: list[Command] = field(default_factory=list)
    acknowledged: int = 0
    secrets: dict[str, str] = field(default_factory=dict)
    last_pulled: messages.Pulled | None = None
    plans: dict[int, LoadPlan] = field(default_factory=dict)
    """By incarnation."""
    is_out_of_reach: bool = False
    """It cannot be killed, and sends until its lease ends."""
    lease_ns: int = 0
    """In the controller's clock."""

    def answer(self, message: messages.Message, now_ns: int, chance: random.Random) -> messages.Answer:
        match message:
            case messages.ReadClock():
                return messages.ClockReading(now_ns + self.skew_ns)
            case messages.SetSecrets(values):
                self.secrets = dict(values)
            case messages.SetSecret(slot, value):
                self.secrets[slot] = value
            case messages.Prepare(plan, incarnation):
                self.plans[incarnation] = decode(LoadPlan, json.loads(plan))
            case messages.Start(at_ns, incarnation) if incarnation == 0:
                self.zero_ns = at_ns - self.skew_ns
                self.ends_ns = self.zero_ns + self.seconds * SECOND
                if self.commands:
                    self.ends_ns = self.zero_ns
            case messages.SendCommand(command):
                self.commands.append(command)
                if self.ends_ns is not None:
                    self.ends_ns = min(self.ends_ns, max(now_ns, self.zero_ns or 0))
            case messages.Pull((acknowledged, *_)):
                stale, self.last_pulled = self.last_pulled, self.pulled(acknowledged, now_ns)
                return stale if stale and self.answers_late and chance.random() < 0.3 else self.last_pulled
        return messages.Done()

    def pulled(self, acknowledged: int, now_ns: int) -> messages.Pulled:
        self.acknowledged = max(self.acknowledged, acknowledged)
        if self.zero_ns is None or self.ends_ns is None:
            return messages.Pulled((messages.PulledLoad(0, WorkerState.READY, 1, ()),))
        has_ended = now_ns >= self.ends_ns
        length = self.ends_ns - self.zero_ns
        complete = (min(now_ns, self.ends_ns) - self.zero_ns) // SECOND
        total = -(-length // SECOND) if has_ended else max(complete, 0)
        seconds = tuple(self.second(number).to_bytes() for number in range(self.acknowledged, total))
        report = _report(length) if has_ended else None
        state = WorkerState.ENDED if has_ended else WorkerState.RUNNING
        return messages.Pulled((messages.PulledLoad(0, state, self.acknowledged + 1, seconds, report),))

    def second(self, second: int) -> Interval:
        assert self.ends_ns is not None
        assert self.zero_ns is not None
        length = min(self.ends_ns - self.zero_ns - second * SECOND, SECOND)
        started = -(-length // 1_000_000)
        return Interval(second, "load", length, endpoints=[EndpointInterval(0, started=started)])


def _report(length_ns: int) -> EngineReport:
    return EngineReport(datetime(2026, 1, 1, tzinfo=UTC), StopReason.DURATION, 0, length_ns, length_ns, ())


class PlannedWorker(SimulatedWorker):
    """Sends the arrivals of its plans, each within its second, and remembers their numbers."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(seconds=0, **fields)
        self.sent: list[int] = []
        self._sent_until: dict[int, int] = {}

    def answer(self, message: messages.Message, now_ns: int, chance: random.Random) -> messages.Answer:
        if not isinstance(message, messages.Pull):
            return super().answer(message, now_ns, chance)
        stale, self.last_pulled = self.last_pulled, self._pulled(message.acknowledged, now_ns)
        return stale if stale and self.answers_late and chance.random() < 0.3 else self.last_pulled

    def send_until(self, now_ns: int) -> None:
        """Send what is due, up to a time of the controller's clock."""
        for incarnation, plan in self.plans.items():
            since = self._sent_until.get(incarnation, 0)
            until = max(min(now_ns, self.lost_at_ns or now_ns) - (self.zero_ns or now_ns), since)
            self._sent_until[incarnation] = until
            self.sent += [number for number, moment in arrivals(plan) if since <= moment < until]

    def _pulled(self, acknowledged: tuple[int, ...], now_ns: int) -> messages.Pulled:
        self.send_until(now_ns)
        return messages.Pulled(
            tuple(
                self._pulled_load(incarnation, plan, dict(enumerate(acknowledged)).get(incarnation, 0), now_ns)
                for incarnation, plan in self.plans.items()
                if self.zero_ns is not None
            )
        )

    def _pulled_load(self, incarnation: int, plan: LoadPlan, acknowledged: int, now_ns: int) -> messages.PulledLoad:
        elapsed, length = now_ns - (self.zero_ns or 0), plan.planned_end_ns or 0
        first, has_ended = plan.share.from_ns // SECOND, elapsed >= length
        end = -(-length // SECOND) if has_ended else max(elapsed // SECOND, 0)
        seconds = []
        for second in range(first + acknowledged, end):
            started = sum(moment // SECOND == second for _, moment in arrivals(plan))
            interval = Interval(second, "load", endpoints=[EndpointInterval(0, started=started)])
            seconds.append(interval.to_bytes())
        state = WorkerState.ENDED if has_ended else WorkerState.RUNNING
        report = _report(length) if has_ended else None
        return messages.PulledLoad(incarnation, state, acknowledged + 1, tuple(seconds), report)


def arrivals(plan: LoadPlan) -> list[tuple[int, int]]:
    """The number and the intended start of each arrival of a plan's share, from its first time to the end."""
    lane = plan.lanes[0]
    found = []
    for number, moment in Pacer(lane.load, lane_seed(plan.seed, 0)).arrivals(plan.share, lane.total):
        if moment >= (plan.planned_end_ns or 0):
            break
        if moment >= plan.share.from_ns and plan.share.has(number - 1):
            found.append((number, moment))
    return found


class Simulation:
    """Carries out the actions of a `FleetRun` in simulated time."""

    def __init__(self, run: FleetRun, workers: list[SimulatedWorker], chance: random.Random) -> None:
        self.run = run
        self.workers = workers
        self.now_ns = 5_000_000_000_000
        self.seconds: list[Second] = []
        self.killed: set[int] = set()
        self.is_finished = False
        self.sent: list[tuple[int, messages.Message]] = []
        self._chance = chance
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._serial = count()
        self._busy: set[int] = set()

    def at(self, moment_ns: int, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment_ns, next(self._serial), act))

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            assert not self.is_finished, "an action after the end"
            match action:
                case Send():
                    self._send(action)
                case Second():
                    self.seconds.append(action)
                case Kill(worker):
                    self.killed.add(worker)
                    self._kill(worker)
                case Finished():
                    self.is_finished = True

    def to_the_end(self, most_seconds: int = 3600) -> None:
        deadline = self.now_ns + most_seconds * SECOND
        self.do(self.run.prepare(self.now_ns))
        while not self.is_finished:
            assert self.now_ns < deadline, "the run does not end"
            tick = max(self.run.next_tick_ns(self.now_ns), self.now_ns + 1)
            if self._events and self._events[0][0] <= tick:
                self.now_ns, _, act = heapq.heappop(self._events)
                act()
            else:
                self.now_ns = tick
                self.do(self.run.tick(self.now_ns))

    def _kill(self, worker: int) -> None:
        """Kill a worker, unless it is out of reach; it then sends until its lease ends."""
        simulated = self.workers[worker]
        if not simulated.is_out_of_reach:
            simulated.lost_at_ns = min(simulated.lost_at_ns or self.now_ns, self.now_ns)
        done = self.now_ns + self._delay()
        self.at(done, lambda: self.do(self.run.killed(worker, not simulated.is_out_of_reach, self.now_ns)))

    def _send(self, send: Send) -> None:
        worker, message, timeout_ns = send.worker, send.message, int(send.timeout_seconds * SECOND)
        assert worker not in self._busy, "two calls of one link overlap"
        self._busy.add(worker)
        self.sent.append((worker, message))
        simulated = self.workers[worker]
        arrives = self.now_ns + self._delay()
        returns = arrives + self._delay()

        def lose() -> None:
            self._busy.discard(worker)
            self.do(self.run.lost(worker, "did not answer", self.now_ns))

        def arrive() -> None:
            answer = simulated.answer(message, self.now_ns, self._chance)
            self.at(returns, lambda: back(answer))

        def back(answer: messages.Answer) -> None:
            self._busy.discard(worker)
            self.do(self.run.answered(worker, answer, self.now_ns))

        simulated.lease_ns = send.lease_ns - simulated.skew_ns if send.lease_ns else simulated.lease_ns
        if simulated.lost_at_ns is not None and returns >= simulated.lost_at_ns:
            self.at(self.now_ns + timeout_ns, lose)
        else:
            self.at(arrives, arrive)

    def _delay(self) -> int:
        return int(self._chance.expovariate(1 / 2e6)) + 50_000
