"""One run on several workers as a state machine: answers and times in, actions out. It has no network and no clock.

Every worker passes prepare, ready, started, ended, or is lost. When all are ready, the machine sets the time zero of
the run, which each worker gets in its own clock. From then on it pulls each worker's seconds; a second is complete, and
leaves the machine once, when every worker that still runs has reported it. Times are ns of the controller's monotonic
clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from atm.engine.base import Command, EngineReport
from atm.fleet.clocks import ClockEstimate
from atm.fleet.messages import (
    Answer,
    ClockReading,
    Done,
    Message,
    Prepare,
    Pull,
    Pulled,
    ReadClock,
    Refused,
    SendCommand,
    SetSecret,
    SetSecrets,
    Start,
    WorkerState,
)

MILLISECOND = 1_000_000
SECOND = 1_000_000_000
PREPARE_SECONDS = 60.0
HEARTBEAT_SECONDS = 3.0
"""A worker that takes longer to answer is lost: three heartbeats of a second."""
CANCEL_NS = SECOND
"""After a cancel, a worker that has not confirmed it by then is killed."""
CANCEL_ENDS_NS = 5 * SECOND
"""After a cancel, a worker that has not ended by then is killed."""
CLOCK_READINGS = 20
CLOCK_EVERY_NS = 10 * SECOND
CLOCK_READINGS_AGAIN = 5
_IDLE_PULL_NS = SECOND
_LAST_PULL_NS = SECOND // 20
"""Between pulls once the run is ending."""


class OnLoss(StrEnum):
    """What the run does when a worker is lost."""

    ABORT = "abort"
    CONTINUE = "continue"


class Step(StrEnum):
    """How far a worker is."""

    PREPARING = "preparing"
    READY = "ready"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; its answer goes to `answered`, or its failure to `lost`. One at a time for each worker."""

    worker: int
    message: Message
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Kill:
    """End the worker's process."""

    worker: int


@dataclass(frozen=True, slots=True)
class Second:
    """A complete second: what each worker that ran reported for it, by worker."""

    second: int
    parts: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over; nothing follows."""


Action: TypeAlias = Send | Kill | Second | Finished


@dataclass(slots=True)
class WorkerRecord:
    """What is known of one worker."""

    step: Step = Step.PREPARING
    shares_clock: bool = True
    """It has the controller's clock: it is on the same machine."""
    clock: ClockEstimate = field(default_factory=ClockEstimate)
    """At the start of the run."""
    clock_error_ns: int = 0
    """How far its clock may be off at any time of the run."""
    received: int = 0
    """Number of the last second received, 1 for the first second of the run."""
    report: EngineReport | None = None
    why_lost: str = ""
    lost_second: int = 0
    """The first second of the run that it did not report."""
    _again: ClockEstimate | None = None
    queue: deque[Message] = field(default_factory=deque)
    outstanding: Message | None = None
    sent_ns: int = 0
    last_pull_ns: int = 0
    has_confirmed_cancel: bool = False

    @property
    def is_over(self) -> bool:
        return self.step in (Step.ENDED, Step.LOST)


class FleetRun:
    """The state of a run, from `prepare` to `Finished`. Methods return actions, to be carried out in their order."""

    def __init__(
        self,
        plans: Sequence[bytes],
        secrets: Mapping[str, str],
        *,
        shares_clock: Sequence[bool],
        on_loss: OnLoss = OnLoss.ABORT,
        pull_ns: int = SECOND,
        planned_end_ns: int | None = None,
        starts_at_ns: int | None = None,
    ) -> None:
        """`plans` are those of the workers; `pull_ns` is the time between pulls; `planned_end_ns` is counted from the
        start of the run, None if no time ends it; `starts_at_ns` is the time zero, None for as soon as possible."""
        self.workers = [WorkerRecord(shares_clock=shares) for shares in shares_clock]
        self.time_zero_ns: int | None = None
        """The time zero of the run; None until all workers are ready."""
        self.refusal: Refused | None = None
        """Why the run never began; None if it did."""
        self.is_aborted = False
        """A worker was lost, and the run was stopped because of it."""
        self.sending_ends_ns: int | None = None
        """When the first command ended the sending, since the start of the run; None without a command."""
        self._plans = plans
        self._secrets = dict(secrets)
        self._on_loss = on_loss
        self._pull_ns = pull_ns
        self._planned_end_ns = planned_end_ns
        self._starts_at_ns = starts_at_ns
        self._seconds: list[dict[int, bytes]] = []
        self._delivered = 0
        self._command: Command | None = None
        self._cancelled_ns: int | None = None
        self._next_clock_ns = 0
        self._is_finished = False

    def prepare(self, now_ns: int) -> list[Action]:
        """Begin: every worker gets its plan and the secrets, and its clock is read."""
        for worker, record in enumerate(self.workers):
            record.queue.extend((Prepare(self._plans[worker]), SetSecrets(self._secrets)))
            if not record.shares_clock:
                record.queue.extend([ReadClock()] * CLOCK_READINGS)
        return self._go_on(now_ns)

    def answered(self, worker: int, answer: Answer, now_ns: int) -> list[Action]:
        """Take the answer to the message that was sent to a worker last. One of a lost worker changes nothing."""
        record = self.workers[worker]
        message, record.outstanding = record.outstanding, None
        if message is None or record.step is Step.LOST:
            return []
        match message, answer:
            case Pull(), Pulled():
                self._pulled(worker, answer, now_ns)
            case ReadClock(), ClockReading(reading):
                self._read(record, reading, now_ns)
            case Start(), Done():
                record.step = Step.RUNNING
                record.last_pull_ns = now_ns
            case SendCommand(Command.CANCEL), Done():
                record.has_confirmed_cancel = True
            case _, Done():
                pass
            case ((Prepare() | SetSecrets()), Refused()):
                self._refuse(answer)
            case _, Refused(what):
                self._lose(worker, what, now_ns)
            case _:
                self._lose(worker, f"answered {type(answer).__name__} to {type(message).__name__}", now_ns)
        return self._go_on(now_ns)

    def lost(self, worker: int, why: str, now_ns: int) -> list[Action]:
        """Take the loss of a worker."""
        self.workers[worker].outstanding = None
        self._lose(worker, why, now_ns)
        return self._go_on(now_ns)

    def command(self, command: Command, now_ns: int) -> list[Action]:
        """Stop or cancel every worker."""
        if self._command in (command, Command.CANCEL):
            return []
        self._give(command, now_ns)
        return self._go_on(now_ns)

    def set_secret(self, slot: str, value: str, now_ns: int) -> list[Action]:
        """Send a renewed value to every worker."""
        self._secrets[slot] = value
        for record in self.workers:
            if not record.is_over:
                record.queue.append(SetSecret(slot, value))
        return self._go_on(now_ns)

    def tick(self, now_ns: int) -> list[Action]:
        """Do what is due by now; call it at `next_tick_ns`."""
        return self._go_on(now_ns)

    def next_tick_ns(self, now_ns: int) -> int:
        """Return when `tick` has something to do, if nothing else happens before."""
        due = [self._pull_due(record) for record in self.workers if not record.is_over and record.outstanding is None]
        if self._cancelled_ns is not None:
            due += [
                end for end in (self._cancelled_ns + CANCEL_NS, self._cancelled_ns + CANCEL_ENDS_NS) if end > now_ns
            ]
        return min(due, default=now_ns + SECOND)

    def _go_on(self, now_ns: int) -> list[Action]:
        """Return everything that is to be done now."""
        if self._is_finished:
            return []
        actions: list[Action] = [*self._kills(now_ns)]
        self._start_if_ready(now_ns)
        self._read_clocks_again(now_ns)
        actions += self._complete_seconds()
        if self.refusal or all(record.is_over for record in self.workers):
            self._is_finished = True
            return [*actions, Finished()]
        for worker, record in enumerate(self.workers):
            if record.is_over or record.outstanding is not None:
                continue
            if not record.queue and self._pull_due(record) <= now_ns:
                record.queue.append(Pull(record.received))
            if record.queue:
                record.outstanding = message = record.queue.popleft()
                record.sent_ns = now_ns
                if isinstance(message, Pull):
                    record.last_pull_ns = now_ns
                patience = PREPARE_SECONDS if isinstance(message, Prepare) else HEARTBEAT_SECONDS
                actions.append(Send(worker, message, patience))
        return actions

    def _kills(self, now_ns: int) -> list[Action]:
        kills: list[Action] = []
        if self._cancelled_ns is None:
            return kills
        waited = now_ns - self._cancelled_ns
        for worker, record in enumerate(self.workers):
            late = waited >= (CANCEL_ENDS_NS if record.has_confirmed_cancel else CANCEL_NS)
            if late and not record.is_over:
                self._lose(worker, "did not end after the cancel, and was killed", now_ns)
                kills.append(Kill(worker))
        return kills

    def _start_if_ready(self, now_ns: int) -> None:
        for record in self.workers:
            if record.step is Step.PREPARING and not record.queue and record.outstanding is None and record.sent_ns:
                record.step = Step.READY
        if self.time_zero_ns is not None or any(record.step is not Step.READY for record in self.workers):
            return
        slowest = max(record.clock.round_trip_ns for record in self.workers)
        is_here = all(record.shares_clock for record in self.workers)
        # Every worker must have its message and its engine's threads before that.
        soon_ns = now_ns + max(300 * MILLISECOND if is_here else 2 * SECOND, 10 * slowest)
        self.time_zero_ns = soon_ns if self._starts_at_ns is None else self._starts_at_ns
        self._next_clock_ns = self.time_zero_ns + CLOCK_EVERY_NS
        for record in self.workers:
            record.clock_error_ns = record.clock.error_ns
            record.queue.appendleft(Start(self.time_zero_ns + record.clock.offset_ns))

    def _read(self, record: WorkerRecord, reading_ns: int, now_ns: int) -> None:
        if record.step is Step.PREPARING:
            record.clock = record.clock.including(record.sent_ns, reading_ns, now_ns)
            return
        again = (record._again or ClockEstimate()).including(record.sent_ns, reading_ns, now_ns)
        record._again = again
        if not any(isinstance(message, ReadClock) for message in record.queue):
            record.clock_error_ns = max(record.clock_error_ns, again.differs_by(record.clock))
            record._again = None

    def _read_clocks_again(self, now_ns: int) -> None:
        if self.time_zero_ns is None or now_ns < self._next_clock_ns:
            return
        self._next_clock_ns = now_ns + CLOCK_EVERY_NS
        for record in self.workers:
            if record.step is Step.RUNNING and not record.shares_clock:
                record.queue.extend([ReadClock()] * CLOCK_READINGS_AGAIN)

    def _pull_due(self, record: WorkerRecord) -> int:
        zero = self.time_zero_ns
        if record.step is not Step.RUNNING or zero is None:
            return record.sent_ns + _IDLE_PULL_NS
        is_ending = self._command is not None or any(other.step is Step.ENDED for other in self.workers)
        if self._planned_end_ns is not None and record.last_pull_ns >= zero + self._planned_end_ns:
            is_ending = True
        if is_ending:
            return record.last_pull_ns + _LAST_PULL_NS
        # Soon after the end of each second, so that it is shown while it is new.
        pulls = (record.last_pull_ns - zero - _LAST_PULL_NS) // self._pull_ns + 1
        return max(zero + pulls * self._pull_ns + _LAST_PULL_NS, record.last_pull_ns + _LAST_PULL_NS)

    def _pulled(self, worker: int, pulled: Pulled, now_ns: int) -> None:
        record = self.workers[worker]
        for number, second in enumerate(pulled.seconds, pulled.first):
            # One that came before, after a lost answer, is not counted twice.
            if number == record.received + 1:
                record.received = number
                while len(self._seconds) < number:
                    self._seconds.append({})
                self._seconds[number - 1][worker] = second
        if pulled.failure:
            self._lose(worker, pulled.failure.what, now_ns)
        elif pulled.state is WorkerState.ENDED and pulled.first + len(pulled.seconds) == record.received + 1:
            record.step = Step.ENDED
            record.report = pulled.report

    def _lose(self, worker: int, why: str, now_ns: int) -> None:
        record = self.workers[worker]
        if record.is_over:
            return
        was_ready = self.time_zero_ns is not None
        record.step = Step.LOST
        record.why_lost = why
        record.lost_second = record.received
        record.queue.clear()
        if not was_ready:
            self._refuse(Refused(f"not all workers were ready: {why}", "worker_not_ready"))
        elif self._on_loss is OnLoss.ABORT and self._command is None:
            self.is_aborted = True
            self._give(Command.STOP, now_ns)

    def _refuse(self, refusal: Refused) -> None:
        self.refusal = self.refusal or refusal

    def _give(self, command: Command, now_ns: int) -> None:
        self._command = command
        if self.time_zero_ns is not None and self.sending_ends_ns is None:
            self.sending_ends_ns = max(now_ns - self.time_zero_ns, 0)
        if command is Command.CANCEL:
            self._cancelled_ns = now_ns
        for record in self.workers:
            if not record.is_over:
                record.queue.append(SendCommand(command))

    def _complete_seconds(self) -> list[Action]:
        """Return the seconds that every worker has reported which still runs."""
        if any(record.step in (Step.PREPARING, Step.READY) for record in self.workers):
            return []
        running = [record.received for record in self.workers if not record.is_over]
        complete = min(running, default=len(self._seconds))
        actions: list[Action] = []
        while self._delivered < complete:
            actions.append(Second(self._delivered, self._seconds[self._delivered]))
            self._seconds[self._delivered] = {}
            self._delivered += 1
        return actions
