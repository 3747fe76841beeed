"""The `Engine` implementation: runs the load's event loop in a separate thread, isolated from the caller's work."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from atm.engine.asyncio_engine.run import Run
from atm.engine.base import Capability, Command, Control, EngineReport
from atm.engine.secrets import require_secrets, require_sendable
from atm.engine.thread_bridge import ThreadBridge
from atm.errors import EngineError, Problem
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.version import VERSION

if TYPE_CHECKING:
    from atm.engine.asyncio_engine.code_watch import CodeWatch, Place
    from atm.engine.asyncio_engine.users.session import Session

CAPABILITIES = frozenset(
    {
        Capability.TLS,
        Capability.CLIENT_CERTIFICATE,
        Capability.PROXY,
        Capability.REDIRECTS,
        Capability.BODY_CHECKS,
        Capability.RE_RESOLUTION,
        Capability.TARGET_RULES,
        Capability.SCENARIOS,
        Capability.BEFORE_USER,
        Capability.CODE,
    }
)

SWITCH_INTERVAL = 0.0002
"""Seconds after which another thread (the live view) must yield the interpreter; Python's default is 5 ms."""

# Reference counting frees a run's objects; the collector is only needed for rare cycles (an exception and its frame).
# Scanning ten thousand objects takes under a millisecond, and objects from before the run are frozen, never scanned.
_YOUNG_OBJECTS = 10_000

_lock = threading.Lock()
_runs = 0
_before: tuple[float, tuple[int, int, int]] = (0.0, (0, 0, 0))


class AsyncioEngine:
    """Send a plan's load from one Python thread; see `Engine` for the contract."""

    name = "asyncio"
    version = VERSION
    capabilities = CAPABILITIES

    def __init__(
        self,
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
        *,
        on_session_end: Callable[[Session], None] | None = None,
    ) -> None:
        """`new_loop` creates the loop that sends the load; by default uvloop's, or the standard one without uvloop.

        `on_session_end` gets the variables at the end of each iteration of a scenario, on the thread of that loop.
        """
        self._new_loop = new_loop or fastest_loop
        self._on_session_end = on_session_end

    async def run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
        control: Control,
        starts_at_ns: int | None = None,
    ) -> EngineReport:
        thread = _LoadThread(plan, dict(secrets), control, self._new_loop, self._on_session_end, starts_at_ns)
        thread.handover = ThreadBridge(on_interval, thread.cancel)
        thread.start()
        return await thread.handover.report()


class _LoadThread(threading.Thread):
    """The load's thread, and the control's listener: commands are passed on to its loop."""

    def __init__(
        self,
        plan: LoadPlan,
        secrets: dict[str, str],
        control: Control,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
        on_session_end: Callable[[Session], None] | None,
        starts_at_ns: int | None,
    ) -> None:
        super().__init__(name="atm-load", daemon=True)
        self._plan = plan
        self._secrets = secrets
        self._control = control
        self._new_loop = new_loop
        self._on_session_end = on_session_end
        self._starts_at_ns = starts_at_ns
        self.handover: ThreadBridge[Interval]
        """Set before the thread starts."""
        self._door = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run: Run | None = None
        self._watch: CodeWatch | None = None
        """None for a plan without code."""
        self._is_given_up = False

    # Called from any thread

    def command(self, command: Command) -> None:
        if command is Command.CANCEL:
            self.cancel()
        else:
            self._pass_on(lambda run: run.stop(self._control.stop_reason or StopReason.STOPPED))
            self._give_up_later()

    def cancel(self) -> None:
        self._pass_on(Run.cancel)
        self._give_up_later()

    def _give_up_later(self) -> None:
        """End the run in any case if its code still blocks the loop after some time."""
        if self._watch is not None:
            from atm.engine.asyncio_engine.code_watch import GIVE_UP_SECONDS

            self._give_up_after(GIVE_UP_SECONDS)

    def _give_up_after(self, seconds: float) -> None:
        timer = threading.Timer(seconds, self._give_up, (seconds,))
        timer.daemon = True
        timer.start()

    def _give_up(self, waited: float) -> None:
        """End the run if the loop has not turned while this has waited (s); wait again if it has."""
        with self._door:
            run, watch = self._run, self._watch
        if run is None or watch is None or self._is_given_up:
            return
        if monotonic_ns() - run.turned_at < waited * 1e9:
            self._give_up_after(waited)
            return
        place = watch.place()
        what = f"the run was ended while code blocked it: {place.text if place else 'unknown place'}"
        hint = "Use `await user.think(…)` or `await asyncio.sleep(…)`, and asyncio.to_thread for calls that block"
        self._is_given_up = True
        try:
            run.give_up()
        finally:
            self.handover.fail(EngineError(Problem(what, "code_blocked", hint=hint)))
            watch.interrupt()

    def set_secret(self, slot: str, value: str) -> None:
        require_sendable(slot, value)
        self._pass_on(lambda run: run.set_secret(slot, value))

    def _pass_on(self, action: Callable[[Run], None]) -> None:
        with self._door:
            run, loop = self._run, self._loop
            if run is not None and loop is not None:
                loop.call_soon_threadsafe(action, run)

    # Called on the load's thread

    def run(self) -> None:
        loop = self._new_loop()
        try:
            with tuned_interpreter():
                report = loop.run_until_complete(self._main(loop))
        except EngineError as error:
            self._fail(error)
        except BaseException as error:  # noqa: BLE001  # no frame above a thread: the caller raises it
            self._fail(_died(error))
        else:
            self.handover.succeed(report)
        finally:
            loop.close()

    def _fail(self, error: EngineError) -> None:
        """Report an error, unless the run was given up: its caller no longer waits."""
        if not self._is_given_up:
            self.handover.fail(error)

    async def _main(self, loop: asyncio.AbstractEventLoop) -> EngineReport:
        require_secrets(self._plan, self._secrets)
        _require_shareable(self._plan)
        run = Run(loop, self._plan, self._secrets, self.handover.deliver, self._on_session_end, self._starts_at_ns)
        loop.set_exception_handler(lambda _loop, context: run.crash(_error_in(context)))
        watch = self._new_watch(loop, run)
        with self._door:
            self._run, self._loop, self._watch = run, loop, watch
        try:
            # Queued commands are delivered in the loop's first turn, when the run must already be in progress.
            running = loop.create_task(run.until_done())
            await asyncio.sleep(0)
            self._control.listen(self)
            return await running
        finally:
            if watch is not None:
                watch.end()
            with self._door:
                self._run = self._loop = None
            await _wait_for_closed_sockets()

    def _new_watch(self, loop: asyncio.AbstractEventLoop, run: Run) -> CodeWatch | None:
        """Start to watch the code of the plan; None if it has none."""
        files = [flow.code.file for flow in self._plan.flows if flow.code]
        if self._plan.hooks is not None:
            files.append(self._plan.hooks.file)
        if not files:
            return None
        from atm.engine.asyncio_engine.code_watch import CodeWatch

        watch = CodeWatch(threading.get_ident(), [Path(file) for file in files], lambda: run.turned_at)

        def report(place: Place, length: int) -> None:
            with suppress(RuntimeError):  # the run has ended, and its loop is closed
                loop.call_soon_threadsafe(run.blocked, place.function, place.text, length)

        watch.report = report
        watch.start()
        return watch


def _require_shareable(plan: LoadPlan) -> None:
    """Raise EngineError for a plan with barriers of which this is only a share, or that cannot be continued."""
    for index, lane in enumerate(plan.lanes):
        if plan.share.from_ns and (lane.load.model == "closed" or lane.prepared is not None):
            raise EngineError(Problem(f"lanes[{index}]: only open loads can be continued", "plan_refused"))
        if plan.share.of > 1 and lane.selection == "sequential" and len(lane.flows) > 1:
            raise EngineError(Problem(f"lanes[{index}]: sequential selection cannot be shared", "plan_refused"))


async def _wait_for_closed_sockets() -> None:
    """Give cancelled dials and aborted connections time to close their sockets."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=1.0)
    for _ in range(3):
        await asyncio.sleep(0)


def fastest_loop() -> asyncio.AbstractEventLoop:
    """Return a new uvloop loop if uvloop is installed, else one of the standard library."""
    try:
        import uvloop
    except ImportError:
        return asyncio.SelectorEventLoop()
    return uvloop.new_event_loop()


def _error_in(context: dict[str, Any]) -> BaseException:
    error = context.get("exception")
    return error if isinstance(error, BaseException) else RuntimeError(str(context.get("message")))


def _died(error: BaseException) -> EngineError:
    failure = EngineError(Problem(f"the asyncio engine died: {type(error).__name__}: {error}", "engine_died"))
    failure.__cause__ = error
    return failure


@contextmanager
def tuned_interpreter() -> Iterator[None]:
    """Tune the interpreter during a run; the settings are process-wide, so concurrent runs share them."""
    global _runs, _before  # noqa: PLW0603  # the interpreter's settings are global themselves
    with _lock:
        _runs += 1
        if _runs == 1:
            _before = (sys.getswitchinterval(), gc.get_threshold())
            sys.setswitchinterval(SWITCH_INTERVAL)
            gc.freeze()
            gc.set_threshold(_YOUNG_OBJECTS, 50, 1_000)
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                sys.setswitchinterval(_before[0])
                gc.set_threshold(*_before[1])
                gc.unfreeze()
