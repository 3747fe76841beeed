"""A virtual user of a scenario in code: each iteration is a task over the user's coroutine, which sends by `send`.

The coroutine is driven through `IterationCode`, which measures the time that the code takes, apart from the engine's.
The outcomes of responses that the code has seen are counted when it waits again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from time import monotonic_ns
from typing import Any

from atm.code.module import CodeModule
from atm.code.response import Response
from atm.code.user import Call, IterationFailedError
from atm.code.user import User as CodeOfUser
from atm.dataclass import dataclass
from atm.engine.asyncio_engine.scenario.cookies import Jar
from atm.engine.asyncio_engine.scenario.scope import Context
from atm.engine.asyncio_engine.users.call_renderer import CallRenderer
from atm.engine.asyncio_engine.users.code_errors import described
from atm.engine.asyncio_engine.users.code_request import CodeRequest
from atm.engine.asyncio_engine.users.connections import Connections
from atm.engine.asyncio_engine.users.data_rows import DataRows
from atm.engine.asyncio_engine.users.session import Session
from atm.engine.asyncio_engine.users.timed_code import CodeRunner, IterationCode
from atm.engine.asyncio_engine.users.trace import Trace
from atm.engine.asyncio_engine.users.traces import Traces
from atm.engine.asyncio_engine.users.user import User, UserContext
from atm.models.outcome import StopReason
from atm.plan.load_plan import Code, Flow, LoadPlan
from atm.plan.pacer import NEVER
from atm.plan.randomness import draw_at

_RANDOM_PLACE = 1 << 20
"""Beyond the places of random values in a plan."""


@dataclass(frozen=True, slots=True)
class CodeContext(UserContext):
    """Objects that all users of a scenario in code share."""

    runner: CodeRunner
    plan: LoadPlan
    flow: Flow
    code: Code
    variables: Mapping[str, Any]
    """What the spec and `setup` give to every user."""
    module: CodeModule
    renderer: CallRenderer
    scope: Context
    data: DataRows
    tables: dict[str, int]
    traces: Traces
    new_connections: Callable[[], Connections]
    """For a request beside another one of the same user."""
    on_user_stopped: Callable[[User, int], None]
    stop_run: Callable[[StopReason], None]


class CodePause:
    """A think time. `deadline` is NEVER when it has ended."""

    __slots__ = ("_future", "_user", "armed_at", "deadline")

    def __init__(self, user: CodeUser, future: asyncio.Future[None], deadline: int) -> None:
        self._user = user
        self._future = future
        self.deadline = deadline
        self.armed_at = deadline

    def time_out(self, _now: int) -> None:
        """End the wait."""
        self.deadline = NEVER
        if not self._future.done():
            self._future.set_result(None)


class CodeUser(User):
    """Runs the iterations of a function, each as a task of the loop."""

    def __init__(self, context: CodeContext, connections: Connections, number: int) -> None:
        """`number` is 0 in an open load, where it is that of the iteration."""
        super().__init__(context, connections)
        self._code = context
        self._number = number
        self._renderer = context.renderer
        self._runner = context.runner
        self._function = context.module.function(context.code.function)
        self.request = self._first_request = CodeRequest(self, context, connections)
        self._requests = [self._first_request]
        self._seen: CodeRequest | None = None
        """The request whose response the code gets in its next step."""
        self._task: asyncio.Task[None] | None = None
        self._api: CodeOfUser | None = None
        self.jar: Jar | None = None
        self.trace: Trace | None = None
        self.scope = context.scope
        self._session = Session(0, 0, context.data, None)
        self._used: list[int] = []
        self._sent = 0
        self.calls = 0
        """Requests that the code has made; those that were sent have been awaited."""
        self.ended_at = 0
        """When the last step of the code ended."""
        self._think_ns = 0
        self._is_leaving = False
        self._is_after_last = False
        """The code runs at the end of the run, in no iteration."""
        self._function_at_end = context.module.leaving(context.code.function)
        self._running_code: IterationCode | None = None

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    def begin(self, number: int, flow: int, intended: int, now: int, is_warm_up: bool) -> None:
        """Start iteration `number` at `now`."""
        ledger, code = self._ledger, self._code
        if now >= ledger.second_end:
            ledger.roll(now)
        self._code_books = books = ledger.books(flow, is_warm_up=is_warm_up)
        books.started += 1
        iteration = self.iteration
        iteration.number, iteration.flow, iteration.intended = number, flow, intended
        iteration.is_warm_up, iteration.position = is_warm_up, 0
        pace = code.flow.pace_ns
        self.not_before = intended + pace if pace else 0
        user_number = self._number or number
        if self._api is None or not code.flow.keeps_session:
            self._api = CodeOfUser(self, user_number)
            self._api.variables.update(code.variables)
            self.jar = Jar() if code.flow.uses_cookies else None
        self._api.begin(number)
        self._session.begin(number, user_number)
        self._count_rows(number)
        self._used = []
        self._sent = self.calls = self._think_ns = 0
        self._session.trace = self.trace = code.traces.begin(flow, is_warm_up=is_warm_up)
        self._run(self._function(self._api))

    def leave(self, now: int) -> bool:
        """Start what the user does at the end of the run."""
        if self._function_at_end is None or self._api is None:
            return False
        self._is_after_last = True
        self.iteration.intended = now
        self._sent = self.calls = self._think_ns = 0
        self._run(self._function_at_end(self._api))
        return True

    def _run(self, coroutine: Coroutine[Any, Any, object]) -> None:
        self._ledger.health.thinking += 1
        if self._ledger.own is not None:
            is_warm_up = self.iteration.is_warm_up and not self._is_after_last
            self._ledger.own.enter(self._context.sending, is_warm_up=is_warm_up)
        self._running_code = IterationCode(self._runner, self, coroutine)
        self._task = self._running_code.task
        self._task.add_done_callback(partial(self._ended, self._running_code))

    # `Driver` of the code

    def send(self, call: Call) -> asyncio.Future[Response] | None:
        """Send a request of the code; see `Driver`."""
        now = monotonic_ns()
        if self._task is None or self._is_leaving:
            raise RuntimeError("the iteration of this user has ended: a request must be awaited within it")
        seen = self._seen
        if seen is not None:
            # The code has seen it: this is its next await.
            self._seen = None
            seen.settle_unless_held(now)
        runner, ledger = self._runner, self._ledger
        rendered = self._renderer.rendered(call, self.jar)
        if now >= ledger.second_end:
            ledger.roll(now)
        request = self._first_request
        if not request.is_free:
            request = self._other_request()
        sent = self._sent
        self._sent = sent + 1
        endpoint = rendered[0].endpoint
        if endpoint not in self._used:
            self._used.append(endpoint)
        running, runner.running = runner.running, None
        code = self._running_code
        ledger.health.thinking -= 1
        intended = now if sent or self._think_ns else min(self.iteration.intended, now)
        future: asyncio.Future[Response] | None = None
        if running is code and code is not None:
            code.awaited = request
            request.send(call, rendered, sent, code, intended, now)
        else:
            future = runner.loop.create_future()
            request.send(call, rendered, sent, future, intended, now)
        runner.running = running
        runner.own_ns += monotonic_ns() - now
        return future

    def count(self, response: Response) -> None:
        """Count the outcome of a response that was held back."""
        for request in self._requests:
            if request.has(response):
                request.settle(monotonic_ns())
                return

    def pause(self, seconds: float) -> asyncio.Future[None]:
        """Return a future that is done after a think time."""
        now = monotonic_ns()
        future: asyncio.Future[None] = self._runner.loop.create_future()
        length = max(0, int(seconds * 1e9))
        self._think_ns += length
        pause = CodePause(self, future, now + length)
        self._code.deadlines.arm(pause, now + length)
        return future

    def random(self) -> Random:
        """Return random numbers for the iteration."""
        return Random(draw_at(self._code.plan.seed, self.iteration.number, _RANDOM_PLACE, 0))

    def row(self, data: str) -> dict[str, Any]:
        """Return a row of test data by its columns."""
        table = self._code.tables.get(data)
        if table is None:
            names = ", ".join(self._code.tables) or "none"
            raise LookupError(f'the spec has no test data "{data}"; it has: {names}')
        columns = self._code.plan.data[table].columns
        return {name: self._session.cell(table, column, _RANDOM_PLACE) for column, name in enumerate(columns)}

    def cookies(self) -> Jar | None:
        """Return the cookies of the user."""
        return self.jar

    def stop_run(self) -> None:
        """Let no other iteration begin; what was to be done is done."""
        self._code.stop_run(StopReason.TOTAL)

    @property
    def base_url(self) -> str:
        """The address that URLs of the code continue."""
        return self._renderer.base_url

    # Called by requests

    def has_response(self, request: CodeRequest, response: Response) -> None:
        """Count the outcome of a request as soon as the code has seen its response."""
        self._ledger.health.thinking += 1
        waiting = request.waiting
        if isinstance(waiting, IterationCode) and waiting.awaited is request:
            waiting.awaited = None
            self._seen = request
            self._runner.resume(waiting, response)
            return
        # After the step of the task that waits for it.
        loop = self._runner.loop
        loop.call_soon(loop.call_soon, lambda: request.settle_unless_held(monotonic_ns()))
        if isinstance(waiting, asyncio.Future) and not waiting.done():
            waiting.set_result(response)

    def add_code_time(self, began: int, own_ns: int) -> None:
        """Record a step of a task that the code has started."""
        self._code_books.code_ns += monotonic_ns() - began - own_ns

    def step_ended(self, began: int, own_ns: int) -> None:
        """Record a step of the iteration's own coroutine."""
        self.ended_at = now = monotonic_ns()
        self._code_books.code_ns += now - began - own_ns
        seen = self._seen
        if seen is not None:
            self._seen = None
            seen.settle_unless_held(now)

    # The end of an iteration

    def leave_unfinished(self) -> None:
        """Leave the iteration unfinished because the run ends."""
        self._is_leaving = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        self._abandon_requests()
        self._ledger.health.thinking -= 1
        self._books.unfinished += not self._is_after_last

    def close(self) -> None:
        """Close every connection of a user without a request."""
        for request in self._requests:
            request.close()

    def _ended(self, code: IterationCode, task: asyncio.Task[None]) -> None:
        code.release()
        if self._is_leaving or task is not self._task:
            if not task.cancelled():
                task.exception()
            return
        self._task = self._running_code = None
        ledger, now = self._ledger, self.ended_at
        error: BaseException | None = (
            asyncio.CancelledError("the code cancelled its own task") if task.cancelled() else task.exception()
        )
        self._abandon_requests()
        ledger.health.thinking -= 1
        if error is None and self.calls > self._sent:
            error = RuntimeError(f"{self.calls - self._sent} requests were not awaited: `await user.get(…)`")
        if monotonic_ns() >= ledger.second_end:
            ledger.roll(monotonic_ns())
        iteration, sending = self.iteration, self._context.sending
        sending.last_finish = max(sending.last_finish, now)
        assert ledger.code is not None
        if error is not None:
            self._raised(error, now)
        if self._is_after_last:
            self._context.on_end(self, now)
            return
        ledger.code.ended(iteration.flow, self._used, is_warm_up=iteration.is_warm_up)
        if self.trace is not None:
            self._session.think_ns = self._think_ns
            self._code.traces.end(iteration, self._session, now, is_completed=error is None)
            self.trace = None
        self._leave(error, now)

    def _leave(self, error: BaseException | None, now: int) -> None:
        """Count the iteration, and hand the user back."""
        books = self._books
        if error is None:
            time = max(now - self.iteration.intended, 0)
            books.complete(time, max(time - self._think_ns, 0))
            books.drained += now > self._context.sending.end
            self._release(now)
            return
        books.failed += 1
        policy = "continue" if isinstance(error, IterationFailedError) else self._code.code.on_exception
        if policy == "stop_run":
            self._code.stop_run(StopReason.STOPPED)
        if policy == "stop_user":
            self._stop(now)
        else:
            self._release(now)

    def _release(self, now: int) -> None:
        """Hand the user back for its next iteration, unless its code has ended it."""
        api = self._api
        assert api is not None
        if api.stops:
            self._stop(now)
            return
        if api.pause_after > 0:
            self.not_before = max(self.not_before, now + int(api.pause_after * 1e9))
        self._context.on_end(self, now)

    def _stop(self, now: int) -> None:
        self._api = None
        self._code.on_user_stopped(self, now)

    def _raised(self, error: BaseException, now: int) -> None:
        code, flow = self._ledger.code, self.iteration.flow
        assert code is not None
        message, traceback = described(error, self._code.module.path, lambda text: code.wants_traceback(flow, text))
        code.raised(flow, message, traceback, now - self._ledger.epoch, is_warm_up=self.iteration.is_warm_up)

    def _abandon_requests(self) -> None:
        self._seen = None
        for request in self._requests:
            if request.is_in_flight:
                self._ledger.health.thinking += 1
            request.abandon()

    def _other_request(self) -> CodeRequest:
        """Return a free request for one beside others."""
        for request in self._requests:
            if request.is_free:
                return request
        request = CodeRequest(self, self._context, self._code.new_connections())
        self._requests.append(request)
        return request

    def _count_rows(self, number: int) -> None:
        tables = self._code.code.tables
        if tables:
            for table, row in self._code.data.rows_begun(tables, self._number, number):
                self._ledger.data.count(table, row)
