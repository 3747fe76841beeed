"""Execute one plan up to its verdict: credentials, name resolution, engine, collector, aborting thresholds, result.

An `Execution` is one run in this process. The CLI, the library and the runner process all use it; they add where the
intervals are sent and who may stop the run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from atm.clock import Clock, SystemClock
from atm.engine.base import Control, Engine, EngineReport, Opening
from atm.engine.choose import choose_engine
from atm.engine.plan_collector import collector_of
from atm.engine.resolve import Resolved, resolve_origins
from atm.errors import AtmError, CredentialError, EngineError, Problem, UnreachableError
from atm.metrics.interval import Interval
from atm.metrics.thresholds import ThresholdJudge
from atm.models.outcome import RunStatus, StopReason
from atm.models.outline import EndpointDescription
from atm.plan.compile import CompiledTest
from atm.plan.hooks import CompiledHook
from atm.plan.load_plan import LoadPlan
from atm.plan.outline import lanes_of, open_lanes_of, scenarios_of
from atm.plan.secret_mask import SecretMask, secrets_of

if TYPE_CHECKING:
    from atm.engine.auth import CredentialKeeper
    from atm.engine.hooks import Hooks
    from atm.models.run import RunInfo, RunResult

IntervalCallback = Callable[[Interval], None]
_ASKED_SECONDS = 0.05
"""How often to check, before the load starts, whether the run was stopped."""


def new_run_id() -> str:
    """Return a random UUID (RFC 9562); people may use any unique prefix."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Execution:
    """One run of a compiled test; can be used once."""

    def __init__(
        self,
        test: CompiledTest,
        *,
        run_id: str = "",
        control: Control | None = None,
        engine: Engine | None = None,
        engine_reason: str = "set by the caller",
        clock: Clock | None = None,
        other_run: str = "",
    ) -> None:
        """Choose the engine. Raises CapabilityError when none can run the plan.

        `engine_reason` is why `engine` was chosen. `other_run` names another run on this host, which makes the
        measurement suspect.
        """
        plan = test.plan
        self.test = test
        self.run_id = run_id or new_run_id()
        self.control = control or Control()
        self._clock = clock or SystemClock()
        self._other_run = other_run
        self.created_at = self._clock.now()
        self.engine, self.engine_reason = (engine, engine_reason) if engine else choose_engine(plan)
        self.collector = collector_of(plan)
        """The figures so far; its snapshots feed live views."""
        self.thresholds = ThresholdJudge(
            plan.thresholds,
            plan.endpoints,
            plan.warm_up_ns,
            scenarios=scenarios_of(plan),
            checks=plan.checks,
            own_metrics=plan.own_metrics,
        )
        """The state of the thresholds so far."""
        self._hooks: Hooks | None = None
        self._mask = SecretMask()
        """Every secret of the run fetched so far."""

    async def run(
        self,
        on_interval: IntervalCallback | None = None,
        *,
        on_start: Callable[[], None] | None = None,
        on_hook: Callable[[CompiledHook], None] | None = None,
        strict: bool = False,
        no_fail: bool = False,
    ) -> RunResult:
        """Send the load and judge it; `on_interval` gets each second after the collector.

        `on_start` is called when credentials and addresses are ready and the run begins, `on_hook` when `setup` or
        `teardown` begins.

        Raises CredentialError when a token cannot be fetched before the start, UnreachableError when no target has an
        address, and what the engine raises when it is opened; nothing was sent then. A failed `setup` ends the run
        before any load; `teardown` follows in any case. A run that breaks in the middle returns a result with the
        status `failed` and everything measured so far.
        `strict` sets exit code 4 for a suspect measurement; with `no_fail`, failed judgements exit with 0.
        """
        try:
            return await self._run(on_interval, on_start, on_hook, strict=strict, no_fail=no_fail)
        finally:
            if isinstance(self.engine, Opening):
                await self.engine.close()

    async def _run(
        self,
        on_interval: IntervalCallback | None,
        on_start: Callable[[], None] | None,
        on_hook: Callable[[CompiledHook], None] | None,
        *,
        strict: bool,
        no_fail: bool,
    ) -> RunResult:
        secrets = dict(self.test.secrets)
        self._mask = SecretMask([*secrets.values(), *secrets_of(self.test.credentials)])
        keeper = None
        if self.test.credentials:
            from atm.engine.auth import CredentialKeeper

            keeper = CredentialKeeper(self.test.credentials, self.test.plan.connections, secrets, self._clock)
        try:
            resolved = await self._unless_ended(_prepared(self.test.plan, keeper, secrets, self.engine))
        except AtmError as error:
            raise self._mask.error(error) from error.__cause__
        for value in secrets.values():
            self._mask.learn(value)
        if resolved is None:
            return self._result(None, None, strict=strict, no_fail=no_fail)

        def take(interval: Interval) -> None:
            interval = self._without_secrets(interval)
            self._take(interval)
            if on_interval:
                on_interval(interval)

        def renew(slot: str, value: str) -> None:
            self._mask.learn(value)
            secrets[slot] = value
            self.control.set_secret(slot, value)

        if on_start:
            on_start()
        renewal = asyncio.create_task(keeper.keep(renew)) if keeper else None
        failure: AtmError | None = None
        report: EngineReport | None = None
        hooks = self._new_hooks(secrets, on_hook)
        try:
            plan = await hooks.set_up(resolved.plan) if hooks else resolved.plan
            if plan is not None:
                load = self.engine.run(plan, secrets, resolved.with_dns_times(take), self.control)
                report, failure = await self._observed(asyncio.create_task(load), renewal)
        except EngineError as error:
            failure = error
        finally:
            try:
                if hooks:
                    await hooks.tear_down()
            finally:
                if renewal:
                    renewal.cancel()
        return self._result(report, failure, strict=strict, no_fail=no_fail)

    def _new_hooks(self, secrets: dict[str, str], on_hook: Callable[[CompiledHook], None] | None) -> Hooks | None:
        """Return the hooks of the test; None without any, which then imports nothing for them."""
        code = self.test.plan.hooks
        has_functions = code is not None and (code.has("setup") or code.has("teardown"))
        if self.test.setup is None and self.test.teardown is None and not has_functions:
            return None
        from atm.engine.hooks import Hooks

        self._hooks = Hooks(self.test, secrets, self._mask, self.control, on_hook, self.collector.code)
        return self._hooks

    async def _observed(
        self, load: asyncio.Task[EngineReport], renewal: asyncio.Task[None] | None
    ) -> tuple[EngineReport | None, AtmError | None]:
        """Wait for the load. If the caller is cancelled, the load must not continue unobserved."""
        try:
            return await _first_failure(load, renewal, self.control)
        except asyncio.CancelledError:
            self.control.cancel()
            with suppress(AtmError):
                await load
            raise

    async def _unless_ended(self, preparing: Coroutine[Any, Any, Resolved]) -> Resolved | None:
        """Await `preparing`; return None if the run is ended first, as token servers and resolvers may be slow."""
        task = asyncio.create_task(preparing)
        try:
            while not task.done() and self.control.stop_reason is None:
                await asyncio.wait({task}, timeout=_ASKED_SECONDS)
            return task.result() if task.done() else None
        finally:
            task.cancel()

    def _without_secrets(self, interval: Interval) -> Interval:
        """Mask the secrets in every failure message; samples come from the engines already masked."""
        failures = [replace(group, message=self._mask.text(group.message)) for group in interval.failures]
        return replace(interval, failures=failures) if failures != interval.failures else interval

    def _take(self, interval: Interval) -> None:
        self.collector.add(interval)
        self.thresholds.add(interval)
        if self.control.stop_reason is None and self.thresholds.to_abort(self.collector):
            self.control.stop(StopReason.THRESHOLD)

    def _result(
        self, report: EngineReport | None, failure: AtmError | None, *, strict: bool, no_fail: bool
    ) -> RunResult:
        # Result models are slow to import and not needed before the first request.
        from atm.engine.environment import describe_environment, usable_cores
        from atm.metrics.evidence import Circumstances
        from atm.metrics.summary import RunTimes, summarize

        plan = self.test.plan
        worker_lost = report.worker_lost if report else ""
        if report:
            times = RunTimes(
                report.window_start_ns,
                report.window_end_ns,
                report.last_finish_ns,
                report.barrier_ns,
                tuple(lane.window_ns for lane in report.lanes),
                *self._lanes(plan),
            )
        else:
            end_ns = self.collector.end_ns
            times = RunTimes(min(plan.warm_up_ns, end_ns), end_ns, end_ns)
        return summarize(
            self.collector,
            times,
            self._run_info(report, failure),
            self.described(),
            self.thresholds.results(self.collector, times.window_ns),
            circumstances=Circumstances(
                engine=self.engine.name,
                cores=usable_cores(),
                poisson=plan.is_poisson,
                open_lanes=open_lanes_of(plan),
                worker_lost=worker_lost,
                fleet=report.fleet if report else None,
                other_run=self._other_run,
                cancelled=self._stop_reason(report) is StopReason.CANCELLED,
            ),
            environment=describe_environment(),
            spec=self.test.data,
            setup=self._hooks.setup if self._hooks else None,
            teardown=self._hooks.teardown if self._hooks else None,
            strict=strict,
            no_fail=no_fail,
        )

    def _lanes(self, plan: LoadPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the index of the lane of each flow, and of each endpoint, those announced by code included."""
        flows, endpoints = lanes_of(plan)
        return flows, (*endpoints, *(flows[flow] for flow in self.collector.endpoint_scenarios.values()))

    def described(self) -> list[EndpointDescription]:
        """Return name, method and URL of each endpoint as written, secrets masked."""
        return self.collector.described(
            [EndpointDescription(request.name, request.method, request.url) for request in self.test.requests]
        )

    def _stop_reason(self, report: EngineReport | None) -> StopReason:
        """Return why the run ended; without a report the load never started."""
        return report.stop_reason if report else self.control.stop_reason or StopReason.FAILED

    def _run_info(self, report: EngineReport | None, failure: AtmError | None) -> RunInfo:
        from atm.models.run import RunInfo

        plan = self.test.plan
        error: str | None = None
        if failure:
            error = self._mask.text(failure.problems[0].what)
        elif report and report.worker_lost and report.fleet is None:
            error = self._mask.text(f"a load thread died: {report.worker_lost}")
        elif report and report.worker_lost and report.stop_reason is StopReason.FAILED:
            error = self._mask.text(report.worker_lost)
        reason = StopReason.FAILED if error else self._stop_reason(report)
        status = {StopReason.FAILED: RunStatus.FAILED, StopReason.CANCELLED: RunStatus.CANCELLED}
        return RunInfo(
            id=self.run_id,
            name=plan.name,
            status=status.get(reason, RunStatus.COMPLETED),
            stop_reason=reason,
            created_at=self.created_at,
            started_at=report.started_at if report else None,
            completed_at=self._clock.now(),
            engine=self.engine.name,
            engine_version=self.engine.version,
            engine_reason=self.engine_reason,
            seed=plan.seed,
            model=plan.model,
            error=error,
        )


async def _prepared(
    plan: LoadPlan, keeper: CredentialKeeper | None, secrets: dict[str, str], engine: Engine
) -> Resolved:
    """Fetch credentials into `secrets`, resolve the addresses and open the engine. Raises AtmError."""
    if keeper:
        secrets.update(await keeper.fetch())
    resolved = await resolve_origins(plan)
    _require_an_address(resolved.plan)
    if isinstance(engine, Opening):
        await engine.open(resolved.plan)
    return resolved


def _require_an_address(plan: LoadPlan) -> None:
    proxy = plan.connections.proxy
    origins = (proxy.origin,) if proxy else plan.origins
    if any(origin.addresses for origin in origins):
        return
    raise UnreachableError(
        [
            Problem(
                what=origin.resolve_error,
                code="dns_not_found",
                path="proxy" if proxy else _url_of(plan, index),
                hint="Check the spelling, or send it elsewhere: "
                f"`--connect-to {origin.host}:{origin.port}:ADDRESS:PORT`",
            )
            for index, origin in enumerate(origins)
        ]
    )


def _url_of(plan: LoadPlan, origin: int) -> str:
    """Return the path in the spec of the first URL of an origin."""
    if len(plan.flows) == 1 and not plan.flows[0].counts_iterations:
        return "url"
    endpoint = next(step.endpoint for flow in plan.flows for step in flow.steps if step.origin == origin)
    return f"endpoints[{endpoint}].url" if not plan.flows[0].counts_iterations else plan.endpoints[endpoint]


async def _first_failure(
    load: asyncio.Task[EngineReport], renewal: asyncio.Task[None] | None, control: Control
) -> tuple[EngineReport | None, AtmError | None]:
    """Wait for the load; a credential that cannot be renewed ends it, as every later request would be refused."""
    failure: AtmError | None = None
    if renewal:
        await asyncio.wait({load, renewal}, return_when=asyncio.FIRST_COMPLETED)
        if renewal.done() and not load.done():
            try:
                renewal.result()
            except CredentialError as error:
                failure = error
                control.stop(StopReason.FAILED)
    try:
        report = await asyncio.shield(load)
    except AtmError as error:
        return None, failure or error
    return report, failure
