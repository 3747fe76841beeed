"""One run on several workers as a state machine: answers and times in, actions out. It has no network and no clock.

Every worker passes prepare, ready, started, ended, or is lost. When all are ready, the machine sets the time zero of
the run, which each worker gets in its own clock. From then on it pulls each worker's seconds; a second is complete, and
leaves the machine once, when every worker that still runs has reported it. Times are ns of the controller's monotonic
clock. A worker that is lost later is killed; `on_loss: reassign` deals the rest of its load to the others, from a time
at which it has certainly ended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atm.engine.base import Command
from atm.fleet.actions import Action, Finished, Kill, LoadKey, Second, Send
from atm.fleet.clocks import ClockEstimate
from atm.fleet.messages import (
    Answer,
    ClockReading,
    Done,
    Message,
    Prepare,
    Pull,
    Pulled,
    PulledLoad,
    ReadClock,
    Refused,
    SendCommand,
    SetSecret,
    SetSecrets,
    Start,
    WorkerState,
)
from atm.fleet.records import LoadRecord, OnLoss, Step, WorkerRecord
from atm.fleet.split import deal, split
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import SECOND

MILLISECOND = 1_000_000
PREPARE_SECONDS = 60.0
HEARTBEAT_SECONDS = 3.0
"""A worker that takes longer to answer is lost: three heartbeats of a second."""
LEASE_SECONDS = 2.0
"""How long after the time for its answer a worker may send without another message."""
DEAL_SECONDS = 10.0
"""For the answer of a running worker that prepares a part of a lost one's load."""
DEAL_NS = 2 * SECOND
"""From the certain end of a lost worker to the first arrival that others send for it; half of it on one machine."""
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


class FleetRun:
    """The state of a run, from `prepare` to `Finished`. Methods return actions, to be carried out in their order."""

    def __init__(
        self,
        plan: LoadPlan,
        strengths: Sequence[int],
        secrets: Mapping[str, str],
        *,
        shares_clock: Sequence[bool],
        on_loss: OnLoss = OnLoss.ABORT,
        least: int | None = None,
        pull_ns: int = SECOND,
        starts_at_ns: int | None = None,
    ) -> None:
        """`plan` is split by `strengths` (`split`). `least` workers are enough for the start, None means all.
        `pull_ns` is the time between pulls; `starts_at_ns` is the time zero, None for as soon as possible."""
        self.workers = [WorkerRecord(shares_clock=shares) for shares in shares_clock]
        self.time_zero_ns: int | None = None
        """The time zero of the run; None until the workers are ready."""
        self.refusal: Refused | None = None
        """Why the run never began; None if it did."""
        self.is_aborted = False
        """A worker was lost, and the run was stopped because of it."""
        self.sending_ends_ns: int | None = None
        """When the first command ended the sending, since the start of the run; None without a command."""
        self._plan = plan
        self._strengths = strengths
        self._secrets = dict(secrets)
        self._on_loss = on_loss
        self._least = len(self.workers) if least is None else least
        self._pull_ns = pull_ns
        self._planned_end_ns = plan.planned_end_ns
        self._starts_at_ns = starts_at_ns
        self._seconds: list[dict[LoadKey, bytes]] = []
        self._delivered = 0
        self._command: Command | None = None
        self._cancelled_ns: int | None = None
        self._next_clock_ns = 0
        self._to_kill: list[int] = []
        self._must_share_again = False
        self._is_finished = False

    def prepare(self, now_ns: int) -> list[Action]:
        """Begin: every worker gets its plan and the secrets, and its clock is read."""
        self._share()
        for record in self.workers:
            if not record.shares_clock:
                record.queue.extend([ReadClock()] * CLOCK_READINGS)
        return self._go_on(now_ns)

    def _share(self) -> None:
        """Give a share to each worker that is left."""
        self._must_share_again = False
        left = [worker for worker, record in enumerate(self.workers) if not record.is_over]
        plans = split(self._plan, [self._strengths[worker] for worker in left])
        for worker, plan in zip(left, plans, strict=True):
            record = self.workers[worker]
            record.step = Step.PREPARING
            record.loads = [LoadRecord(plan)]
            record.queue.extend((Prepare(plan.to_bytes()), SetSecrets(self._secrets)))

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
            case Start(_, incarnation), Done():
                if incarnation == 0:
                    record.step = Step.RUNNING
                    record.last_pull_ns = now_ns
            case SendCommand(Command.CANCEL), Done():
                record.has_confirmed_cancel = True
            case _, Done():
                pass
            case ((Prepare() | SetSecrets()), Refused()) if self._needs_all and self.time_zero_ns is None:
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

    def killed(self, worker: int, has_ended: bool, now_ns: int) -> list[Action]:
        """Take the outcome of a kill; False if the worker was out of reach, and may send until its lease ends."""
        record = self.workers[worker]
        if record.step is Step.LOST and self._on_loss is OnLoss.REASSIGN and self._command is None:
            # Nothing is out of reach on one machine, so the margin there is only for the others' preparation.
            ends_ns = now_ns if has_ended else max(now_ns, record.lease_ns + record.clock_error_ns)
            self._deal(record, ends_ns + (DEAL_NS // 2 if self._is_here else DEAL_NS))
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
        self._lose_uncancelled(now_ns)
        actions: list[Action] = [Kill(worker) for worker in self._to_kill]
        self._to_kill.clear()
        if self._must_share_again and not self.refusal:
            self._share()
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
                record.queue.append(Pull(tuple(load.received for load in record.loads)))
            if record.queue:
                record.outstanding = message = record.queue.popleft()
                record.sent_ns = now_ns
                if isinstance(message, Pull):
                    record.last_pull_ns = now_ns
                actions.append(self._send(worker, message, now_ns))
        return actions

    def _send(self, worker: int, message: Message, now_ns: int) -> Send:
        record, patience = self.workers[worker], HEARTBEAT_SECONDS
        if isinstance(message, Prepare):
            patience = PREPARE_SECONDS if record.step is Step.PREPARING else DEAL_SECONDS
        if self.time_zero_ns is None:
            return Send(worker, message, patience)
        record.lease_ns = now_ns + int((patience + LEASE_SECONDS) * SECOND)
        return Send(worker, message, patience, record.lease_ns + record.clock.offset_ns)

    def _lose_uncancelled(self, now_ns: int) -> None:
        """After a cancel, give up workers that do not confirm it or do not end."""
        if self._cancelled_ns is None:
            return
        waited = now_ns - self._cancelled_ns
        for worker, record in enumerate(self.workers):
            late = waited >= (CANCEL_ENDS_NS if record.has_confirmed_cancel else CANCEL_NS)
            if late and not record.is_over:
                self._lose(worker, "did not end after the cancel, and was killed", now_ns)

    def _start_if_ready(self, now_ns: int) -> None:
        for record in self.workers:
            if record.step is Step.PREPARING and not record.queue and record.outstanding is None and record.sent_ns:
                record.step = Step.READY
        ready = [record for record in self.workers if record.step is not Step.MISSING]
        is_waiting = any(record.step is not Step.READY for record in ready)
        if self.time_zero_ns is not None or self.refusal or is_waiting:
            return
        slowest = max((record.clock.round_trip_ns for record in ready), default=0)
        # Every worker must have its message and its engine's threads before that.
        soon_ns = now_ns + max(300 * MILLISECOND if self._is_here else 2 * SECOND, 10 * slowest)
        self.time_zero_ns = soon_ns if self._starts_at_ns is None else self._starts_at_ns
        self._next_clock_ns = self.time_zero_ns + CLOCK_EVERY_NS
        for record in ready:
            record.clock_error_ns = record.clock.error_ns
            record.queue.appendleft(Start(self.time_zero_ns + record.clock.offset_ns))

    @property
    def _is_here(self) -> bool:
        """All workers are on the controller's machine."""
        return all(record.shares_clock for record in self.workers)

    @property
    def _needs_all(self) -> bool:
        """The run does not start with fewer workers."""
        return self._least >= len(self.workers)

    def _read(self, record: WorkerRecord, reading_ns: int, now_ns: int) -> None:
        if record.step is Step.PREPARING:
            record.clock = record.clock.including(record.sent_ns, reading_ns, now_ns)
            return
        again = (record.again or ClockEstimate()).including(record.sent_ns, reading_ns, now_ns)
        record.again = again
        if not any(isinstance(message, ReadClock) for message in record.queue):
            record.clock_error_ns = max(record.clock_error_ns, again.differs_by(record.clock))
            record.again = None

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
        for part in pulled.loads:
            if part.incarnation < len(record.loads):
                self._take(worker, part)
            if part.failure:
                self._lose(worker, part.failure.what, now_ns)
        if record.step is not Step.LOST and all(load.has_ended for load in record.loads):
            record.step = Step.ENDED

    def _take(self, worker: int, part: PulledLoad) -> None:
        load = self.workers[worker].loads[part.incarnation]
        for number, second in enumerate(part.seconds, part.first):
            # One that came before, after a lost answer, is not counted twice.
            if number == load.received + 1:
                place = load.next_second
                load.received = number
                while len(self._seconds) <= place:
                    self._seconds.append({})
                self._seconds[place][worker, part.incarnation] = second
        if part.state is WorkerState.ENDED and part.first + len(part.seconds) == load.received + 1:
            load.has_ended = True
            load.report = part.report

    def _lose(self, worker: int, why: str, now_ns: int) -> None:
        record = self.workers[worker]
        if record.is_over:
            return
        record.why_lost = why
        record.lost_second = record.loads[0].next_second if record.loads else 0
        record.queue.clear()
        self._to_kill.append(worker)
        if self.time_zero_ns is None:
            self._miss(record)
            return
        record.step = Step.LOST
        if self._on_loss is OnLoss.ABORT and self._command is None:
            self.is_aborted = True
            self._give(Command.STOP, now_ns)

    def _miss(self, lost: WorkerRecord) -> None:
        """Continue without a worker that was not ready, if enough are left."""
        lost.step = Step.MISSING
        missing = [record.why_lost for record in self.workers if record.step is Step.MISSING]
        if len(self.workers) - len(missing) >= self._least:
            self._must_share_again = True
        else:
            self._refuse(Refused(f"not all workers were ready: {'; '.join(missing)}", "worker_not_ready"))

    def _deal(self, lost: WorkerRecord, from_ns: int) -> None:
        """Give the rest of a lost worker's load to the others; `from_ns` is a time of the controller's clock."""
        zero = self.time_zero_ns
        others = [record for record in self.workers if record.step is Step.RUNNING]
        if zero is None or not others:
            return
        since_zero = max(from_ns - zero, 0)
        if self._planned_end_ns is not None and since_zero >= self._planned_end_ns:
            return
        for load in lost.loads:
            if load.has_ended or load.dealt_from_ns is not None:
                continue
            pieces = deal(load.plan, len(others), since_zero)
            load.dealt_from_ns = pieces[0].share.from_ns
            for record, piece in zip(others, pieces, strict=False):
                incarnation = len(record.loads)
                record.loads.append(LoadRecord(piece))
                record.queue.append(Prepare(piece.to_bytes(), incarnation))
                record.queue.append(Start(zero + record.clock.offset_ns, incarnation))

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
        running = [
            load.next_second
            for record in self.workers
            if not record.is_over
            for load in record.loads
            if not load.has_ended
        ]
        complete = min(running, default=len(self._seconds))
        actions: list[Action] = []
        while self._delivered < complete:
            actions.append(Second(self._delivered, self._seconds[self._delivered]))
            self._seconds[self._delivered] = {}
            self._delivered += 1
        return actions
