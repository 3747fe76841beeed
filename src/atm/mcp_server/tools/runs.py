"""Start a run, follow it, end it."""

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
from atm.mcp_server.tool import READS, OurTool, answer, tool
from atm.mcp_server.untrusted import cleaned, quoted
from atm.models import figures
from atm.models.control.runs import RunView
from atm.models.events import AnyRunEvent, FinishedEvent, IntervalEvent, ProgressEvent, StartedEvent
from atm.models.outcome import RunStatus

STARTS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True)
ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)
Running = Annotated[CallToolResult, RunAnswer]


class Course:
    """Where a run stands, from its events."""

    def __init__(self) -> None:
        self.started: StartedEvent | None = None
        self.second: IntervalEvent | None = None
        self.progress: ProgressEvent | None = None
        self.end: FinishedEvent | None = None

    def take(self, event: AnyRunEvent) -> bool:
        """Note an event; whether it is worth telling."""
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
        """Seconds that it will take, warm-up included; null when the number of requests decides."""
        if self.started is None or self.started.planned_seconds is None:
            return None
        return self.started.warm_up_seconds + self.started.planned_seconds

    def fraction(self) -> tuple[float, float | None]:
        """Progress and its total: seconds, or requests where their number decides."""
        if self.planned is not None:
            return self.elapsed, self.planned
        if self.started is not None and self.started.planned_requests is not None:
            done = self.second.so_far.started if self.second and not self.second.warm_up else 0
            return float(done), float(self.started.planned_requests)
        return self.elapsed, None

    def line(self) -> str:
        """One line, as the live view has it."""
        if self.end is not None:
            return f"ended: {self.end.status}"
        if self.second is None:
            ahead = self.progress.queue_position if self.progress else None
            if self.started is not None or (self.progress and self.progress.status is RunStatus.RUNNING):
                return "starting"
            return f"waiting: {ahead} runs come before it" if ahead else "waiting to start"
        so_far = self.second.so_far
        return (
            f"{figures.clock(self.elapsed)} {self.second.phase}  {figures.rate(self.second.requests_per_second)}/s  "
            f"p95 {figures.time(so_far.latency_p95_ms)}  failed {figures.count(so_far.failed)}"
        )


class RunTools:
    """The tools that start, follow and end runs."""

    def __init__(self, services: ToolServices) -> None:
        self._desk = services

    async def run_api_test(
        self,
        context: Context[Any, Any],
        url: a.Url = None,
        method: a.Method = None,
        headers: a.Headers = None,
        body: a.Body = None,
        requests_per_second: a.Rate = None,
        users: a.Users = None,
        concurrency: a.Concurrency = None,
        duration: a.Duration = None,
        total_requests: a.Total = None,
        warm_up: a.WarmUp = None,
        thresholds: a.Thresholds = None,
        max_latency_p50_ms: a.LimitMs = None,
        max_latency_p95_ms: a.LimitMs = None,
        max_latency_p99_ms: a.LimitMs = None,
        max_error_rate: a.MaxErrorRate = None,
        expected_status_codes: a.Statuses = None,
        timeout: a.Timeout = None,
        endpoints: a.Endpoints = None,
        variables: a.Variables = None,
        auth: a.Auth = None,
        name: a.Name = None,
        spec: a.Spec = None,
        test: Annotated[
            str | None, Field(min_length=1, max_length=256, description="Name of a kept test, instead of all that.")
        ] = None,
        tags: a.Tags = [],  # noqa: B006  (never changed; a schema's default)
        notes: a.Notes = "",
        wait_seconds: a.Wait = 0,
    ) -> Running:
        """Start a load test of an HTTP API. Give url (or endpoints, spec, or test: the name of a kept one) and how
        much load: requests_per_second or users, with duration or total_requests. Answers at once with a run_id for
        wait_for_test, or with wait_seconds also with the result. Targets must be on the allow list of this server."""
        fields = a.fields_of(locals())
        control = await self._desk.control()
        if test is not None:
            others = sorted(key for key, value in {**fields, "spec": spec}.items() if value is not None)
            if others:
                what = f"test names a kept test, and {', '.join(others)} another one"
                raise SpecError(Problem(what, "conflict", path="test", hint="give one or the other"))
            admitted = await self._kept(context, control, test)
            run_id = await self._start(admitted, lambda: control.run_test(test))
            view = await control.run(run_id)
            await control.annotate(run_id, tags=_tags([*view.tags, *tags]), notes=notes or view.notes)
        else:
            admitted = await self._desk.gate.admit(context, control, a.spec_of(spec, fields))
            run_id = await self._start(
                admitted, lambda: control.create_run(admitted.spec, tags=_tags(tags), notes=notes)
            )
        return await self._told(context, control, run_id, admitted, wait_seconds)

    async def rerun_test(
        self,
        context: Context[Any, Any],
        run_id: Annotated[
            str | None, Field(min_length=1, max_length=64, description="Id of a run, its beginning, or `last`.")
        ] = None,
        test_name: Annotated[
            str | None, Field(min_length=1, max_length=256, description="Name of a test instead: its newest run.")
        ] = None,
        notes: a.Notes = "",
        wait_seconds: a.Wait = 0,
    ) -> Running:
        """Run the spec of an earlier run once more, with its credentials: the way to get a second run to compare
        with. Name the run by run_id, or by test_name. Counts against the same limits as run_api_test."""
        control = await self._desk.control()
        before = await control.run(await self._desk.earlier_run(control, run_id, test_name))
        admitted = await self._desk.gate.admit(context, control, before.written_spec, may_bound=False)
        tags = _tags(before.tags)
        new_id = await self._start(admitted, lambda: control.rerun(before.id, tags=tags, notes=notes))
        return await self._told(context, control, new_id, admitted, wait_seconds)

    async def get_test_status(self, run_id: a.RunId) -> Annotated[CallToolResult, RunState]:
        """Where a run stands, in one word (queued, running, passed, failed, invalid, stopped, cancelled, error), why,
        and whether its measurement can be believed. Answers at once; wait_for_test waits for the end."""
        control = await self._desk.control()
        whole = await self._desk.run_id(control, run_id)
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
            float, Field(gt=0, le=600, description="Wait no longer than this; the run goes on, and you may wait again.")
        ] = 120,
    ) -> Annotated[CallToolResult, RunState]:
        """Wait until a run has ended, with progress notifications each second, and answer with its verdicts and
        figures. When the time is up first, the answer says so: call it again."""
        control = await self._desk.control()
        whole = await self._desk.run_id(control, run_id)
        course = await self._wait(context, control, whole, timeout_seconds)
        view = await control.run(whole)
        state = state_of(view)
        if view.status not in ENDED:
            state = state.model_copy(update=_so_far(course))
            waited = f"it has not ended within {figures.planned(timeout_seconds)}: {course.line()}"
            return answer(f"{_head(view)}\n{waited}\nnext: {state.next}", state)
        return answer(await _end_text(control, view, state), state)

    async def cancel_test(
        self,
        run_id: a.RunId,
        graceful: Annotated[
            bool, Field(description="true: requests in flight may finish; false: connections are closed at once.")
        ] = False,
    ) -> Annotated[CallToolResult, CancelAnswer]:
        """End a run before its plan does. What it measured until then is kept. Cancelling one that has ended changes
        nothing."""
        control = await self._desk.control()
        whole = await self._desk.run_id(control, run_id)
        done = await control.cancel(whole, graceful=graceful)
        self._desk.started.pop(whole, None)
        state = CancelAnswer(run_id=whole, status=done.status, message=done.message)
        return answer(f"{done.message}. Run {whole} is {done.status}", state)

    async def _kept(self, context: Context[Any, Any], control: ControlClient, test: str) -> Admitted:
        kept = await control.test(test)
        return await self._desk.gate.admit(context, control, kept.spec, may_bound=False)

    async def _start(self, admitted: Admitted, create: Any) -> str:
        try:
            accepted = await create()
        except (AtmError, asyncio.CancelledError):
            self._desk.gate.not_started(admitted)
            raise
        self._desk.gate.started(admitted, accepted.id)
        self._desk.started[accepted.id] = None
        return str(accepted.id)

    async def _told(
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
            much = f"{figures.rate(plan.peak)} requests/s" if plan.model == "open" else f"{plan.peak:g} users"
            hosts = ", ".join(quoted(host, 80) for host in plan.hosts)
            text = f"{_head(view)}\n{plan.model} model, up to {much} to {hosts}{_most(admitted)}\nnext: {state.next}"
        return answer("\n".join([text, *(f"note: {each}" for each in admitted.notes)]), state)

    async def _wait(self, context: Context[Any, Any], control: ControlClient, run_id: str, seconds: float) -> Course:
        """Follow a run until its end or until the time is up, telling how it goes."""
        course = Course()
        try:
            async with asyncio.timeout(seconds), aclosing(_closable(control, run_id)) as told:
                async for event in told:
                    if course.take(event):
                        done, total = course.fraction()
                        await context.report_progress(done, total, course.line())
        except TimeoutError:
            return course
        self._desk.started.pop(run_id, None)
        return course


async def _closable(control: ControlClient, run_id: str, after: int = 0) -> Any:
    async for event in control.watch(run_id, after):
        yield event


async def _glance(control: ControlClient, run_id: str) -> Course:
    """Where a run stands now: its stored events come at once, so a moment is enough."""
    course = Course()
    try:
        async with asyncio.timeout(2), aclosing(_closable(control, run_id)) as told:
            async for event in told:
                course.take(event)
                # What is stored comes first, then where the run stands now.
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
        parts.append(f"at most {figures.count(demand.requests)} requests")
    return f", {', '.join(parts)}" if parts else ""


def state_of(view: RunView) -> RunState:
    """Where a run stands, as data."""
    ended = view.status in ENDED
    if not ended:
        step = f'wait_for_test(run_id="{view.id}")'
    elif view.metrics is not None:
        step = f'get_test_results(run_id="{view.id}") or explain_result(run_id="{view.id}")'
    else:
        step = "mend the cause, then run it again"
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
        failure_reasons=[cleaned(each, 200) for each in view.failure_reasons[:10]],
        error=None if view.error_message is None else cleaned(view.error_message, 500),
        next=step,
    )


def _head(view: RunView) -> str:
    return f"Run {view.id}, {summaries.name(view.name)}: {summaries.outcome_word(view.outcome)}"


def _state_text(view: RunView, state: RunState) -> str:
    lines = [_head(view)]
    if view.measurement is not None:
        lines[0] += f"; measurement {view.measurement}"
    lines += [f"- {each}" for each in state.failure_reasons]
    if state.error:
        lines.append(f"error: {state.error}")
    return "\n".join([*lines, f"next: {state.next}"])


async def _end_text(control: ControlClient, view: RunView, state: RunState) -> str:
    if view.metrics is None:
        return _state_text(view, state)
    lines = summaries.result(await control.result(view.id))
    return "\n".join([*lines, f'next: explain_result(run_id="{view.id[:8]}")'])


def tools(services: ToolServices) -> list[OurTool]:
    """The tools of this module."""
    made = RunTools(services)
    example = 'url="http://127.0.0.1:8080/health", requests_per_second=20, duration="10s", thresholds=["p95 < 200ms"]'
    return [
        tool(made.run_api_test, title="Run a load test", annotations=STARTS, example=example),
        tool(made.get_test_status, title="Where a run stands", annotations=READS, example='run_id="last"'),
        tool(made.wait_for_test, title="Wait for a run to end", annotations=READS, example='run_id="last"'),
        tool(made.rerun_test, title="Run the same test again", annotations=STARTS, example='run_id="last"'),
        tool(made.cancel_test, title="End a run early", annotations=ENDS, example='run_id="last"'),
    ]
