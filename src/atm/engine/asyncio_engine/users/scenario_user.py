"""A virtual user that runs the programs of scenarios (`atm.plan.program`).

Plans without programs use `User` itself, so that they do not pay for this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic_ns

from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.data_rows import DataRows
from atm.engine.asyncio_engine.users.prepared_program import PreparedProgram
from atm.engine.asyncio_engine.users.scenario_request import ScenarioRequest
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.traces import Traces
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.models.outcome import FULL_RESPONSES, Outcome
from atm.plan.pacer import NEVER
from atm.plan.program import CallOp, ChooseOp, JumpOp, LoopOp, OnFail, RequestOp, ThinkOp, UnlessOp
from atm.plan.randomness import draw_at, think_ns, weighted_index

_OPERATIONS_AT_ONCE = 1_000
"""Most operations without a wait in one turn of the loop: a long loop of conditions would stall the generator."""


@dataclass(frozen=True, slots=True)
class ScenarioContext(UserContext):
    """Objects that all users of a lane share, in a run with scenarios."""

    programs: Sequence[PreparedProgram | None]
    """By flow; None for a flow that `User` can run."""
    scope: Context
    """What conditions and templates read."""
    data: DataRows
    traces: Traces
    on_user_stopped: Callable[[User, int], None]
    """Called when an iteration has ended, with the time; its user starts no other."""
    on_not_prepared: Callable[[User, int], None]
    """Called when a user has failed before its first iteration, with the time."""
    stop_run: Callable[[], None]
    """Start no iteration any more."""
    on_session_end: Callable[[Session], None] | None = None
    """Called with the variables of an iteration that has ended, or is left unfinished."""
    clock: Callable[[], int] = monotonic_ns


class Pause:
    """The wait of a user between two operations. `deadline` is NEVER while there is none."""

    __slots__ = ("_context", "_due", "_user", "armed_at", "deadline")

    def __init__(self, user: ScenarioUser, context: ScenarioContext) -> None:
        self._user = user
        self._context = context
        self._due = 0
        self.deadline = NEVER
        self.armed_at = NEVER

    def begin(self, due: int, now: int) -> None:
        """Resume the user at `due`, or in the loop's next turn if that is over."""
        self._due = due
        self._context.ledger.health.thinking += 1
        self.deadline = until = max(due, now)
        if until < self.armed_at:
            self._context.deadlines.arm(self, until)

    def time_out(self, now: int) -> None:
        """End the wait."""
        self.end()
        self._user.resume(self._due, now)

    def end(self) -> None:
        """End the wait without resuming the user."""
        self.deadline = NEVER
        self._context.ledger.health.thinking -= 1


class ScenarioUser(User):
    """Runs the operations of a program, each after the previous one has ended."""

    __slots__ = (
        "_is_prepared",
        "_is_preparing",
        "_op",
        "_pause",
        "_program",
        "_scenario",
        "_sessions",
        "number",
        "session",
    )

    def __init__(self, context: ScenarioContext, connections: Connections, number: int) -> None:
        """`number` is that of the user, 1-based."""
        super().__init__(context, connections)
        self.session: Session | None = None
        """The state of the current iteration; None in one without a program."""
        self.request: ScenarioRequest = ScenarioRequest(self, context, connections, context.scope)
        self._scenario = context
        self.number = number
        self._program: PreparedProgram | None = None
        self._sessions: dict[int, Session] = {}
        """By flow, those that the user keeps."""
        self._op = RequestOp(0)
        self._pause = Pause(self, context)
        self._is_prepared = False
        self._is_preparing = False

    @property
    def is_busy(self) -> bool:
        return self.request.deadline < NEVER or self._pause.deadline < NEVER

    @property
    def is_prepared(self) -> bool:
        return self._is_prepared

    def begin(self, number: int, flow: int, intended: int, now: int, is_warm_up: bool) -> None:
        """Start iteration `number` at `now`."""
        program = self._program = self._scenario.programs[flow]
        if program is None:
            self.not_before = 0
            self.session = None
            super().begin(number, flow, intended, now, is_warm_up)
            return
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        if ledger.counts_iterations:
            ledger.books(flow, is_warm_up=is_warm_up).started += 1
        self._enter(number, flow, intended, is_warm_up)
        self.not_before = intended + program.pace_ns if program.pace_ns else 0
        session = self._session_of(flow, program)
        session.begin(number, self.number or number)
        session.position = program.start
        session.visited = program.steps_before
        if program.tables:
            for table, row in self._scenario.data.rows_begun(program.tables, self.number, number):
                ledger.data.count(table, row)
        session.trace = self._scenario.traces.begin(flow, is_warm_up=is_warm_up)
        self.session = session
        self._run(program, session, intended, now, is_beginning=True)

    def prepare(self, flow: int, now: int, is_warm_up: bool) -> None:
        """Start what a user of a flow does before its first iteration, with new variables and cookies."""
        program = self._program = self._scenario.programs[flow]
        assert program is not None
        self._enter(self.number, flow, now, is_warm_up)
        self._is_preparing = True
        self._is_prepared = False
        self.session = session = self._sessions[flow] = self._new_session(program)
        session.begin(self.number, self.number)
        session.visited = program.all_visited & ~program.steps_before
        for table, row in self._scenario.data.rows_of_user(program.tables, self.number):
            self._ledger.data.count(table, row)
        self._run(program, session, now, now, is_beginning=True)

    def next_step(self, finished: int) -> None:
        """Continue after a full response at `finished`."""
        if self._program is None or self.session is None:
            super().next_step(finished)
        else:
            self._run(self._program, self.session, finished, self._scenario.clock())

    def step_failed(self, outcome: Outcome, finished: int) -> None:
        """Do what the step's operation demands after a failed request."""
        program, session = self._program, self.session
        if program is None or session is None:
            super().step_failed(outcome, finished)
            return
        if outcome is Outcome.GENERATOR_ERROR:
            session.is_failing_to_send = True
        is_failed_response = outcome in FULL_RESPONSES and not self.request.lacks_value
        policy = self._op.on_fail if is_failed_response else self._op.on_error
        if policy == "continue":
            self._run(program, session, finished, self._scenario.clock())
        else:
            self._fail(program, session, policy)

    def resume(self, due: int, now: int) -> None:
        """Continue after a wait that was to end at `due`."""
        assert self._program is not None
        assert self.session is not None
        self._run(self._program, self.session, due, now)

    def leave_unfinished(self) -> None:
        """Leave the iteration unfinished because the run ends."""
        if self.request.deadline < NEVER:
            self.request.leave_unfinished()
        else:
            self._pause.end()
        self._left_unfinished()

    def _left_unfinished(self) -> None:
        if self.session is not None and self._scenario.on_session_end is not None:
            self._scenario.on_session_end(self.session)
        if self._ledger.counts_iterations and not self._is_preparing:
            self._books.unfinished += 1

    def _enter(self, number: int, flow: int, intended: int, is_warm_up: bool) -> None:
        iteration = self.iteration
        iteration.number = number
        iteration.flow = flow
        iteration.intended = intended
        iteration.is_warm_up = is_warm_up
        iteration.position = 0

    def _session_of(self, flow: int, program: PreparedProgram) -> Session:
        if not program.keeps_session:
            return self._new_session(program)
        session = self._sessions.get(flow)
        if session is None:
            session = self._sessions[flow] = self._new_session(program)
        return session

    def _new_session(self, program: PreparedProgram) -> Session:
        jar = Jar() if program.uses_cookies else None
        return Session(program.slots, program.counters, self._scenario.data, jar)

    def _run(
        self, program: PreparedProgram, session: Session, at: int, now: int, *, is_beginning: bool = False
    ) -> None:
        """Run operations until one waits. The operation before ended at `at`."""
        ops = program.ops
        position = session.position
        turns = 0
        while position < len(ops):
            op = ops[position]
            position += 1
            if isinstance(op, RequestOp):
                session.position = position
                self._send(program, session, op, at, now)
                return
            turns += 1
            if isinstance(op, ThinkOp):
                drawn = self._think_time(session, op)
                session.think_ns += drawn
                at += drawn
                if at > now or turns >= _OPERATIONS_AT_ONCE:
                    session.position = position
                    self._pause.begin(at, now)
                    return
            elif isinstance(op, JumpOp):
                position = op.to
            elif isinstance(op, LoopOp):
                position = self._next_of_loop(session, op, position)
            elif isinstance(op, ChooseOp):
                bits = draw_at(self._scenario.scope.seed, session.iteration, op.place, session.round)
                position = op.to[weighted_index(bits, op.weights)]
            elif isinstance(op, UnlessOp):
                if not program.conditions[position - 1](session):
                    position = op.to
            else:
                session.position = position
                took = self._call(program, session, op, at)
                if took is None:
                    return
                at += took
                now = self._scenario.clock()
            if turns >= _OPERATIONS_AT_ONCE:
                session.position = position
                self._pause.begin(at, now)
                return
        if is_beginning:
            # Without a request and a wait: an iteration must not end within `begin`.
            session.position = position
            self._pause.begin(at, now)
        else:
            self._complete(program, session, at)

    def _call(self, program: PreparedProgram, session: Session, op: CallOp, at: int) -> int | None:
        """Call a function at `at`; return how long it took, or None if the operations continue later."""
        raise AssertionError(f"only a user with hooks calls {op.function}: {program}, {session}, {at}")

    def _think_time(self, session: Session, op: ThinkOp) -> int:
        seed, iteration, round_ = self._scenario.scope.seed, session.iteration, session.round
        bits = draw_at(seed, iteration, op.place, round_)
        more_bits = draw_at(seed, iteration, op.place + 1, round_) if op.distribution == "normal" else 0
        return think_ns(op.distribution, op.first_ns, op.second_ns, bits, more_bits)

    def _next_of_loop(self, session: Session, op: LoopOp, position: int) -> int:
        counters = session.counters
        counters[op.counter] += 1
        if counters[op.counter] < op.times:
            session.round += 1
            return op.to
        counters[op.counter] = 0
        return position

    def _send(self, program: PreparedProgram, session: Session, op: RequestOp, at: int, now: int) -> None:
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        iteration = self.iteration
        if session.requests or session.think_ns:
            # The schedule has recorded how late the iteration itself began.
            ledger.health.started_late(max(now - at, 0))
        iteration.position = session.requests
        session.requests += 1
        session.visited |= 1 << op.step
        self._op = op
        step = program.steps[op.step]
        session.rendered = None
        figures = (ledger.warm_up if iteration.is_warm_up else ledger.measured)[step.endpoint]
        self.request.begin(step, figures, session, at, now)

    def _complete(self, program: PreparedProgram, session: Session, at: int) -> None:
        """Complete the iteration, whose last operation ended at `at`."""
        now = self._enter_end(program, session, at, is_completed=True)
        if self._is_preparing:
            self._is_preparing = False
            self._is_prepared = True
            self._context.on_end(self, now)
            return
        if self._ledger.counts_iterations:
            time = max(at - self.iteration.intended, 0)
            self._books.complete(time, max(time - session.think_ns, 0))
            if at > self._scenario.sending.end:
                self._books.drained += 1
        self._release(session, now)

    def _fail(self, program: PreparedProgram, session: Session, policy: OnFail) -> None:
        """Fail the iteration, and stop what `policy` says."""
        now = self._enter_end(program, session, self._scenario.sending.last_finish, is_completed=False)
        was_preparing, self._is_preparing = self._is_preparing, False
        if not was_preparing:
            self._books.failed += 1
        if policy == "stop_run":
            self._scenario.stop_run()
        if policy == "stop_user":
            self._sessions.clear()
            self._scenario.on_user_stopped(self, now)
        elif was_preparing:
            self._scenario.on_not_prepared(self, now)
        else:
            self._release(session, now)

    def _enter_end(self, program: PreparedProgram, session: Session, at: int, *, is_completed: bool) -> int:
        """Count what the iteration did not reach, and sample it if it is wanted; return the time."""
        now = self._scenario.clock()
        ledger = self._ledger
        if now >= ledger.second_end:
            ledger.roll(now)
        sending = self._scenario.sending
        sending.last_finish = max(sending.last_finish, at)
        if session.trace is not None:
            self._scenario.traces.end(self.iteration, session, at, is_completed=is_completed)
        if self._scenario.on_session_end is not None:
            self._scenario.on_session_end(session)
        if session.visited != program.all_visited:
            figures = ledger.warm_up if self.iteration.is_warm_up else ledger.measured
            for index, endpoint in enumerate(program.endpoints):
                if not session.visited >> index & 1:
                    figures[endpoint].count_not_reached()
        return now

    def _release(self, session: Session, now: int) -> None:
        if session.is_failing_to_send:
            self._context.on_generator_error(self, now)
        else:
            self._context.on_end(self, now)
