"""A simulated transport: workers with clocks of their own behind links with delays, which may be lost."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

from atm.engine.base import Command, EngineReport
from atm.fleet import messages
from atm.fleet.messages import WorkerState
from atm.fleet.state import Action, Finished, FleetRun, Kill, Second, Send
from atm.metrics.interval import EndpointInterval, Interval
from atm.models.outcome import StopReason

SECOND = 1_000_000_000


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

    def answer(self, message: messages.Message, now_ns: int, chance: random.Random) -> messages.Answer:
        match message:
            case messages.ReadClock():
                return messages.ClockReading(now_ns + self.skew_ns)
            case messages.SetSecrets(values):
                self.secrets = dict(values)
            case messages.SetSecret(slot, value):
                self.secrets[slot] = value
            case messages.Start(at_ns):
                self.zero_ns = at_ns - self.skew_ns
                self.ends_ns = self.zero_ns + self.seconds * SECOND
                if self.commands:
                    self.ends_ns = self.zero_ns
            case messages.SendCommand(command):
                self.commands.append(command)
                if self.ends_ns is not None:
                    self.ends_ns = min(self.ends_ns, max(now_ns, self.zero_ns or 0))
            case messages.Pull(acknowledged):
                stale, self.last_pulled = self.last_pulled, self.pulled(acknowledged, now_ns)
                return stale if stale and self.answers_late and chance.random() < 0.3 else self.last_pulled
        return messages.Done()

    def pulled(self, acknowledged: int, now_ns: int) -> messages.Pulled:
        self.acknowledged = max(self.acknowledged, acknowledged)
        if self.zero_ns is None or self.ends_ns is None:
            return messages.Pulled(WorkerState.READY, 1, ())
        has_ended = now_ns >= self.ends_ns
        length = self.ends_ns - self.zero_ns
        complete = (min(now_ns, self.ends_ns) - self.zero_ns) // SECOND
        total = -(-length // SECOND) if has_ended else max(complete, 0)
        seconds = tuple(self.second(number).to_bytes() for number in range(self.acknowledged, total))
        report = _report(length) if has_ended else None
        return messages.Pulled(
            WorkerState.ENDED if has_ended else WorkerState.RUNNING, self.acknowledged + 1, seconds, report
        )

    def second(self, second: int) -> Interval:
        assert self.ends_ns is not None
        assert self.zero_ns is not None
        length = min(self.ends_ns - self.zero_ns - second * SECOND, SECOND)
        started = -(-length // 1_000_000)
        return Interval(second, "load", length, endpoints=[EndpointInterval(0, started=started)])


def _report(length_ns: int) -> EngineReport:
    return EngineReport(datetime(2026, 1, 1, tzinfo=UTC), StopReason.DURATION, 0, length_ns, length_ns, ())


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
                case Send(worker, message, timeout):
                    self._send(worker, message, int(timeout * SECOND))
                case Second():
                    self.seconds.append(action)
                case Kill(worker):
                    self.killed.add(worker)
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

    def _send(self, worker: int, message: messages.Message, timeout_ns: int) -> None:
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

        if simulated.lost_at_ns is not None and returns >= simulated.lost_at_ns:
            self.at(self.now_ns + timeout_ns, lose)
        else:
            self.at(arrives, arrive)

    def _delay(self) -> int:
        return int(self._chance.expovariate(1 / 2e6)) + 50_000
