"""Tools that start, follow and cancel runs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Annotated, Any

from mcp.server.mcpserver import Context
from mcp_types import CallToolResult, ToolAnnotations
from pydantic import Field

from atm.client import ControlClient
from atm.errors import AtmError, Problem, SpecError
from atm.mcp_server import arguments as a
from atm.mcp_server import summaries
from atm.mcp_server.answers import CancelAnswer, RunAnswer, RunState
from atm.mcp_server.gate import ENDED, TAG, Admitted
from atm.mcp_server.services import ToolServices
from atm.mcp_server.tool import READS, StrictTool, answer, tool
from atm.mcp_server.untrusted_text import cleaned, quoted
from atm.models import figures
from atm.models.control.runs import RunView
from atm.models.events import AnyRunEvent, FinishedEvent, IntervalEvent, ProgressEvent, StartedEvent
from atm.models.outcome import RunStatus

STARTS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
Running = Annotated[CallToolResult, RunAnswer]


class Course:
    """State of a run, collected from its events."""

    def __init__(self) -> None:
        self.started: StartedEvent | None = None
        self.second: IntervalEvent | None = None
        self.progress: ProgressEvent | None = None
        self.end: FinishedEvent | None = None

    def take(self, event: AnyRunEvent) -> bool:
        """Record an event; return whether it is worth a progress notification."""
        if isinstance(event, StartedEvent):
            self.started = event
        elif isinstance(event, IntervalEvent):
            self.second = event
        elif isinstance(event, ProgressEvent):
            before = self.progress
            self.progress = event
            return before is None or before.queue_position != event.queue_position
        elif isinstance(event, FinishedEvent):
            self.end = event
        return isinstance(event, StartedEvent | IntervalEvent | FinishedEvent)

    @property
    def elapsed(self) -> float:
        """Seconds since the start of the load."""
        return self.second.second + self.second.duration_seconds if self.second else 0.0

    @property
    def planned(self) -> float | None:
        """Planned seconds including warm-up; None if the number of requests ends the run."""
        if self.started is None or self.started.planned_seconds is None:
            return None
        return self.started.warm_up_seconds + self.started.planned_seconds

    def fraction(self) -> tuple[float, float | None]:
        """Return progress and total, in seconds, or in requests if their number ends the run."""
        if self.planned is not None:
            return self.elapsed, self.planned
        if self.started is not None and self.started.planned_requests is not None:
            done = self.second.so_far.started if self.second and not self.second.warm_up else 0
            return float(done), float(self.started.planned_requests)
        return self.elapsed, None

    def line(self) -> str:
        """Return one line of progress, as in the live view."""
        if self.end is not None:
            return f"ended: {self.end.outcome}"
        if self.second is None:
            ahead = self.progress.queue_position if self.progress else None
            if self.started is not None or (self.progress and self.progress.status is RunStatus.RUNNING):
                return "starting"
            return f"queued: {figures.counted(ahead, 'run')} ahead" if ahead else "queued: about to start"
        so_far = self.second.so_far
        return (
            f"{figures.clock(self.elapsed)} {self.second.phase}  {figures.rate(self.second.requests_per_second)}/s  "
            f"p95 {figures.time(so_far.latency_p95_ms)}  failed {figures.count(so_far.failed)}{self._workers()}"
        )

    @property
    def lost(self) -> list[str]:
        """The workers that were lost, and why."""
        workers = self.second.workers if self.second else ()
        return [f"{cleaned(w.name, 60)}: {cleaned(w.message, 200)}" for w in workers if w.state == "lost"]

    def _workers(self) -> str:
        workers = self.second.workers if self.second else ()
        if not workers:
            return ""
        sending = sum(worker.state == "running" for worker in workers)
        lost = f", {len(self.lost)} lost" if self.lost else ""
        return f"  workers {sending} of {len(workers)} sending{lost}"


class RunTools:
    """The tools that start, follow and cancel runs."""

    def __init__(self, services: ToolServices) -> None:
        self._services = services

    async def run_api_test(
        self,
        context: Context[Any, Any],
        described: a.TestArguments,
        test: Annotated[
            str | None, Field(min_length=1, max_length=256, description="Name of a stored test, instead of all others.")
        ] = None,
        tags: a.Tags = [],  # noqa: B006  (never changed; a schema's default)
        notes: a.Notes = "",
        wait_seconds: a.Wait = 0,
    ) -> Running:
        """Start a load test of an HTTP API. Give url (or endpoints, spec, or test: the name of a stored one) and the
        load: requests_per_second or users, with duration or total_requests. Returns at once with a run_id for
        wait_for_test, or with wait_seconds also the result. Targets must be on the allow list of this server."""
        control = await self._services.control()
        if test is not None:
            others = sorted(described.given())
            if others:
                what = f"test and {', '.join(others)} were both given"
                raise SpecError(Problem(what, "conflict", path="test", hint="give one or the other"))
            admitted = await self._admit_stored(context, control, test)
            run_id = await self._start(admitted, lambda: control.run_test(test))
            view = await control.run(run_id)
            await control.annotate(run_id, tags=_tags([*view.tags, *tags]), notes=notes or view.notes)
        else:
            admitted = await self._services.gate.admit(context, control, described.document())
            run_id = await self._start(
                admitted, lambda: control.create_run(admitted.spec, tags=_tags(tags), notes=notes)
            )
        return await self._answer(context, control, run_id, admitted, wait_seconds)

    async def rerun_test(
        self,
        context: Context[Any, Any],
        run_id: Annotated[
            str | None, Field(min_length=1, max_length=64, description="Run id, a prefix of it, or `last`.")
        ] = None,
        test_name: Annotated[
            str | None, Field(min_length=1, max_length=256, description="Test name instead: its newest run.")
        ] = None,
        notes: a.Notes = "",
        wait_seconds: a.Wait = 0,
    ) -> Running:
        """Run the spec of an earlier run again, with its credentials, for example to compare two runs. Give run_id or
        test_name. Counts against the same limits as run_api_test."""
        control = await self._services.control()
        before = await control.run(await self._services.earlier_run(control, run_id, test_name))
        # Its files are those of the stored test of its name.
        test = before.name if before.files else None
        admitted = await self._services.gate.admit(context, control, before.written_spec, may_bound=False, test=test)
        tags = _tags(before.tags)
        new_id = await self._start(admitted, lambda: control.rerun(before.id, tags=tags, notes=notes))
        return await self._answer(context, control, new_id, admitted, wait_seconds)

    async def get_test_status(self, run_id: a.RunId) -> Annotated[CallToolResult, RunState]:
        """Get the outcome of a run (queued, running, passed, failed, invalid, stopped, cancelled, error), why, and
        whether its measurement is reliable. Returns at once; wait_for_test waits for the end."""
        control = await self._services.control()
        whole = await self._services.run_id(control, run_id)
        view = await control.run(whole)
        state = state_of(view)
        if view.status is RunStatus.RUNNING:
            course = await _glance(control, whole)
            state = state.model_copy(update=_so_far(course))
            return answer(f"{_head(view)}\n{course.line()}\nnext: {state.next}", state)
        return answer(_state_text(view, state), state)

    async def wait_for_test(
        self,
        context: Context[Any, Any],
        run_id: a.RunId,
        timeout_seconds: Annotated[
            float, Field(gt=0, le=600, description="Longest wait; the run continues, and you may wait again.")
        ] = 120,
    ) -> Annotated[CallToolResult, RunState]:
        """Wait until a run has ended, with progress notifications each second, and return its verdicts and figures. If
        the time is up first, the result says so: call it again."""
        control = await self._services.control()
        whole = await self._services.run_id(control, run_id)
        course = await self._wait(context, control, whole, timeout_seconds)
        view = await control.run(whole)
        state = state_of(view)
        if view.status not in ENDED:
            state = state.model_copy(update=_so_far(course))
            waited = f"not ended within {figures.planned(timeout_seconds)}: {course.line()}"
            return answer(f"{_head(view)}\n{waited}\nnext: {state.next}", state)
        return answer(await _end_text(control, view, state), state)

    async def cancel_test(
        self,
        run_id: a.RunId,
        graceful: Annotated[
            bool, Field(description="true: requests in flight may finish; false: connections are closed at once.")
        ] = False,
    ) -> Annotated[CallToolResult, CancelAnswer]:
        """Cancel a run, or stop it with graceful. Its measurements are stored. Has no effect on a run that has
        ended."""
        control = await self._services.control()
        whole = await self._services.run_id(control, run_id)
        done = await control.cancel(whole, graceful=graceful)
        self._services.started.pop(whole, None)
        state = CancelAnswer(run_id=whole, status=done.status, message=done.message)
        return answer(f"run {whole}: {done.message}", state)

    async def _admit_stored(self, context: Context[Any, Any], control: ControlClient, test: str) -> Admitted:
        stored = await control.test(test)
        return await self._services.gate.admit(context, control, stored.spec, may_bound=False, test=stored.id)

    async def _start(self, admitted: Admitted, create: Any) -> str:
        try:
            accepted = await create()
        except (AtmError, asyncio.CancelledError):
            self._services.gate.not_started(admitted)
            raise
        self._services.gate.started(admitted, accepted.id)
        self._services.started[accepted.id] = None
        return str(accepted.id)

    async def _answer(
        self, context: Context[Any, Any], control: ControlClient, run_id: str, admitted: Admitted, wait_seconds: float
    ) -> CallToolResult:
        if wait_seconds:
            await self._wait(context, control, run_id, wait_seconds)
        view = await control.run(run_id)
        demand = admitted.demand
        state = RunAnswer(
            **{**state_of(view).model_dump(), "notes": list(admitted.notes)},
            requests_limit=demand.requests,
            seconds_limit=demand.seconds,
        )
        if view.status in ENDED:
            text = await _end_text(control, view, state)
        else:
            plan = admitted.plan
            peak = f"{figures.rate(plan.peak)} requests/s" if plan.model == "open" else f"{plan.peak:g} users"
            hosts = ", ".join(quoted(host, 80) for host in plan.hosts)
            text = f"{_head(view)}\n{plan.model} model, up to {peak} to {hosts}{_most(admitted)}\nnext: {state.next}"
        return answer("\n".join([text, *(f"note: {note}" for note in admitted.notes)]), state)

    async def _wait(self, context: Context[Any, Any], control: ControlClient, run_id: str, seconds: float) -> Course:
        """Follow a run until it ends or the time is up, with progress notifications."""
        course = Course()
        try:
            async with asyncio.timeout(seconds), aclosing(_closable(control, run_id)) as events:
                async for event in events:
                    if course.take(event):
                        done, total = course.fraction()
                        await context.report_progress(done, total, course.line())
        except TimeoutError:
            return course
        self._services.started.pop(run_id, None)
        return course


async def _closable(control: ControlClient, run_id: str, after: int = 0) -> Any:
    async for event in control.watch(run_id, after):
        yield event


async def _glance(control: ControlClient, run_id: str) -> Course:
    """Return the current state of a run; its stored events arrive at once, so a short time limit suffices."""
    course = Course()
    try:
        async with asyncio.timeout(2), aclosing(_closable(control, run_id)) as events:
            async for event in events:
                course.take(event)
                # Stored events come first, then the current progress.
                if isinstance(event, ProgressEvent | FinishedEvent):
                    break
    except TimeoutError:
        return course
    return course


def _so_far(course: Course) -> dict[str, Any]:
    update: dict[str, Any] = {"elapsed_seconds": course.elapsed, "planned_seconds": course.planned}
    if course.second is not None:
        so_far = course.second.so_far
        update |= {"requests_completed": so_far.completed, "measurement": so_far.measurement}
        update["workers_lost"] = course.lost[:10]
    if course.progress is not None:
        update["queue_position"] = course.progress.queue_position
    return update


def _tags(given: list[str]) -> list[str]:
    return list(dict.fromkeys([*given, TAG]))


def _most(admitted: Admitted) -> str:
    demand = admitted.demand
    parts = []
    if demand.seconds is not None:
        parts.append(f"for at most {figures.planned(demand.seconds)}")
    if demand.requests is not None:
        parts.append(f"at most {figures.counted(demand.requests, 'request')}")
    return f", {', '.join(parts)}" if parts else ""


def state_of(view: RunView) -> RunState:
    """Return the state of a run as data."""
    ended = view.status in ENDED
    if not ended:
        step = f'wait_for_test(run_id="{view.id}")'
    elif view.metrics is not None:
        step = f'get_test_results(run_id="{view.id}") or explain_result(run_id="{view.id}")'
    else:
        step = "fix the cause, then run it again"
    return RunState(
        run_id=view.id,
        name=cleaned(view.name, 256),
        status=view.status,
        ended=ended,
        outcome=view.outcome,
        passed=view.passed,
        measurement=view.measurement,
        stop_reason=view.stop_reason,
        requests_completed=view.requests_completed,
        failure_reasons=[cleaned(reason, 200) for reason in view.failure_reasons[:10]],
        error=None if view.error_message is None else cleaned(view.error_message, 500),
        next=step,
    )


def _head(view: RunView) -> str:
    return f"Run {view.id}, {summaries.name(view.name)}: {summaries.outcome_word(view.outcome)}"


def _state_text(view: RunView, state: RunState) -> str:
    lines = [_head(view)]
    if view.measurement is not None:
        lines[0] += f"; measurement {view.measurement}"
    lines += [f"- {reason}" for reason in state.failure_reasons]
    if state.error:
        lines.append(f"error: {state.error}")
    return "\n".join([*lines, f"next: {state.next}"])


async def _end_text(control: ControlClient, view: RunView, state: RunState) -> str:
    if view.metrics is None:
        return _state_text(view, state)
    lines = summaries.result(await control.result(view.id))
    return "\n".join([*lines, f'next: explain_result(run_id="{view.id[:8]}")'])


def tools(services: ToolServices) -> list[StrictTool]:
    """Return the tools of this module."""
    group = RunTools(services)
    example = 'url="http://127.0.0.1:8080/health", requests_per_second=20, duration="10s", thresholds=["p95 < 200ms"]'
    return [
        tool(group.run_api_test, title="Run a load test", annotations=STARTS, example=example),
        tool(group.get_test_status, title="State of a run", annotations=READS, example='run_id="last"'),
        tool(group.wait_for_test, title="Wait for a run to end", annotations=READS, example='run_id="last"'),
        tool(group.rerun_test, title="Run the same test again", annotations=STARTS, example='run_id="last"'),
        tool(group.cancel_test, title="Cancel a run", annotations=ENDS, example='run_id="last"'),
    ]
