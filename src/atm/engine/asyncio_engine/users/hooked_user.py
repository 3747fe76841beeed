"""A virtual user whose requests and iterations call the functions of a file of `hooks`.

Plans without hooks use `ScenarioUser` or `User`, so that they do not pay for this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from time import monotonic_ns

from atm.code.user import IterationFailedError
from atm.code.user import User as UserOfCode
from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.value import UNSET
from atm.engine.asyncio_engine.users.code_errors import described
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.hook_call import HookCalls, Then
from atm.engine.asyncio_engine.users.hook_functions import HookFunction, HookFunctions
from atm.engine.asyncio_engine.users.hook_user import HookDriver, UserVariables, new_user
from atm.engine.asyncio_engine.users.hooked_request import HeldResponse, HookedRequest
from atm.engine.asyncio_engine.users.prepared_program import PreparedProgram
from atm.engine.asyncio_engine.users.request_draft import Destination
from atm.engine.asyncio_engine.users.scenario_user import ScenarioContext, ScenarioUser
from atm.engine.asyncio_engine.users.session import Session
from atm.models.outcome import Outcome, StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.program import CallOp, OnFail, RequestOp


@dataclass(frozen=True, slots=True, kw_only=True)
class HookedContext(ScenarioContext):
    """Objects that all users of a lane share, in a run with hooks."""

    loop: asyncio.AbstractEventLoop
    plan: LoadPlan
    functions: HookFunctions
    slots: Sequence[Mapping[str, int]]
    """The slots of each flow by their names."""
    tables: Mapping[str, int]
    """The tables of test data by their names."""
    constants: Mapping[str, object]
    """The variables that every user can read."""
    destination: Destination
    stop_load: Callable[[StopReason], None]


class HookedUser(ScenarioUser):
    """Runs programs and endpoints with the hooks around their requests."""

    __slots__ = ("_api", "_calls", "_driver", "_error", "_hooked", "_is_leaving", "_is_new", "_took", "_variables")

    def __init__(self, context: HookedContext, connections: Connections, number: int) -> None:
        super().__init__(context, connections, number)
        self._hooked = context
        self.request: HookedRequest = HookedRequest(self, context, connections, context.scope)
        self.request.holds_responses = context.functions.after_response is not None
        self._calls = HookCalls(context.loop, context.ledger.health, self._roll)
        self._driver = HookDriver(context.loop, context.plan, context.tables, context.stop_load)
        self._variables = UserVariables(context.constants)
        self._api: UserOfCode | None = None
        self._is_new = True
        """`user_start` is to be called."""
        self._error: BaseException | None = None
        """What `after_response` has raised, once the response is counted."""
        self._took = 0
        """How long `after_response` took."""
        self._is_leaving = False

    @property
    def is_busy(self) -> bool:
        return super().is_busy or self._calls.is_waiting

    @property
    def _user(self) -> UserOfCode:
        assert self._api is not None
        return self._api

    def _roll(self) -> None:
        now = monotonic_ns()
        if now >= self._ledger.second_end:
            self._ledger.roll(now)

    # Iterations

    def _new_session(self, program: PreparedProgram) -> Session:
        session = super()._new_session(program)
        flow = self._hooked.plan.flows[self.iteration.flow]
        # The endpoints of a closed load share a user; their flows have no slots.
        if self._api is None or flow.slots or not program.keeps_session:
            self._variables = UserVariables(self._hooked.constants)
            self._api = new_user(self._driver, self._variables, self.number)
            self._is_new = True
        return session

    def _run(
        self, program: PreparedProgram, session: Session, at: int, now: int, *, is_beginning: bool = False
    ) -> None:
        if is_beginning:
            user = self._user
            user.number = session.user
            user.begin(session.iteration)
            self._driver.session = session
            self._variables.enter(session, self._hooked.slots[self.iteration.flow])
            start = self._hooked.functions.user_start
            if self._is_new and start is not None:
                took = self._called(
                    start,
                    (user,),
                    lambda took, error: self._started(program, session, at, took, error),
                )
                if took is None:
                    return
                at += took
                now = self._scenario.clock()
            self._is_new = False
        super()._run(program, session, at, now, is_beginning=is_beginning)

    def _started(
        self, program: PreparedProgram, session: Session, at: int, took: int, error: BaseException | None
    ) -> None:
        if error is not None:
            self._raised(error)
            return
        self._is_new = False
        super()._run(program, session, at + took, self._scenario.clock())

    def _call(self, program: PreparedProgram, session: Session, op: CallOp, at: int) -> int | None:
        hook = self._hooked.functions.calls[op.function]

        def then(took: int, error: BaseException | None) -> None:
            error = error or self._lacking(session, op)
            if error is not None:
                self._raised(error)
            else:
                super(HookedUser, self)._run(program, session, at + took, self._scenario.clock())

        took = self._called(hook, (self._user,), then)
        if took is not None and op.sets and (error := self._lacking(session, op)) is not None:
            self._calls.fail(then, took, error)
            return None
        return took

    def _lacking(self, session: Session, op: CallOp) -> Exception | None:
        """Return the error of a function that has not set what its step says."""
        lacking = [slot for slot in op.sets if session.slots[slot] is UNSET]
        if not lacking:
            return None
        names = self._hooked.slots[self.iteration.flow]
        name = next(name for name, slot in names.items() if slot == lacking[0])
        return RuntimeError(f'{op.function} has not set "{name}", which its step says it sets')

    def _called(self, hook: HookFunction, arguments: tuple[object, ...], then: Then) -> int | None:
        """Call a hook in the iteration; see `HookCalls.call`."""
        if self._ledger.own is not None:
            self._ledger.own.enter(self._context.sending, is_warm_up=self.iteration.is_warm_up)
        return self._calls.call(hook, arguments, self._books, then)

    # Requests

    def _send(self, program: PreparedProgram, session: Session, op: RequestOp, at: int, now: int) -> None:
        before = self._hooked.functions.before_request
        if before is None:
            super()._send(program, session, op, at, now)
            return
        step = program.steps[op.step]
        request = self.request.drafted(step, self._hooked.plan.endpoints[step.endpoint], session)

        def then(took: int, error: BaseException | None) -> None:
            if error is not None:
                self._raised(error)
            else:
                self._send_draft(program, session, op, at + took, then)

        took = self._called(before, (request, self._user), then)
        if took is not None:
            self._send_draft(program, session, op, at + took, then)

    def _send_draft(
        self,
        program: PreparedProgram,
        session: Session,
        op: RequestOp,
        at: int,
        then: Then,
    ) -> None:
        step, draft = program.steps[op.step], self.request.draft
        assert draft is not None
        try:
            draft.write(step.origin, step.secret_headers, step.has_secret_body, self._hooked.destination)
        except (ValueError, TypeError) as error:
            self._calls.fail(then, 0, error)
            return
        super()._send(program, session, op, at, self._scenario.clock())

    def has_response(self, held: HeldResponse) -> None:
        """Call `after_response`, then count the response."""
        hook = self._hooked.functions.after_response
        assert hook is not None
        took = self._called(hook, (held.seen, self._user), self._has_seen)
        if took is not None:
            self._has_seen(took, None)

    def _has_seen(self, took: int, error: BaseException | None) -> None:
        self._took, self._error = took, error
        self.request.settle()

    def next_step(self, finished: int) -> None:
        """Continue after a full response at `finished`, and what `after_response` took."""
        if not self._ends_here():
            super().next_step(finished + self._taken())

    def step_failed(self, outcome: Outcome, finished: int) -> None:
        """Do what the step's operation demands after a failed request."""
        if not self._ends_here():
            super().step_failed(outcome, finished + self._taken())

    def _taken(self) -> int:
        took, self._took = self._took, 0
        return took

    def _ends_here(self) -> bool:
        """Return whether the iteration has ended, by an error of `after_response` or the end of the run."""
        if self._is_leaving:
            return True
        error, self._error = self._error, None
        if error is None:
            return False
        self._took = 0
        self._raised(error)
        return True

    # The end

    def _raised(self, error: BaseException) -> None:
        """Fail the iteration because of an exception."""
        program, session, ledger = self._program, self.session, self._ledger
        assert program is not None
        assert session is not None
        assert ledger.code is not None
        self._roll()
        flow, code = self.iteration.flow, ledger.code
        path = self._hooked.functions.module.path
        message, traceback = described(error, path, lambda text: code.wants_traceback(flow, text))
        now = monotonic_ns()
        code.raised(flow, message, traceback, now - ledger.epoch, is_warm_up=self.iteration.is_warm_up)
        self._scenario.sending.last_finish = max(self._scenario.sending.last_finish, now)
        policy = "continue" if isinstance(error, IterationFailedError) else self._hooked.plan.flows[flow].on_exception
        self._fail(program, session, "end_iteration" if policy == "continue" else policy)

    def _fail(self, program: PreparedProgram, session: Session, policy: OnFail) -> None:
        if policy == "stop_user":
            self._api = None
        super()._fail(program, session, policy)

    def _release(self, session: Session, now: int) -> None:
        user = self._api
        if user is not None and user.stops:
            self._api = None
            self._sessions.clear()
            self._scenario.on_user_stopped(self, now)
            return
        if user is not None and user.pause_after > 0:
            self.not_before = max(self.not_before, now + int(user.pause_after * 1e9))
        super()._release(session, now)

    def leave_unfinished(self) -> None:
        """Leave the iteration unfinished because the run ends."""
        if not self._calls.is_waiting:
            super().leave_unfinished()
            return
        self._is_leaving = True
        self._calls.abandon()
        if self.request.held is not None:
            self.request.settle()
        self._left_unfinished()
