"""Several workers as one engine: split the plan, run it on all of them, merge their seconds, report once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from atm.engine.base import Capability, Control, Engine, EngineReport, LaneReport
from atm.errors import EngineError, Problem
from atm.fleet.check import describe
from atm.fleet.driver import Driver
from atm.fleet.messages import Description
from atm.fleet.records import OnLoss
from atm.fleet.split import split, strengths_of
from atm.fleet.state import FleetRun
from atm.fleet.transport import FleetError, Link, LinkLostError, Transport
from atm.fleet.versions import mismatch
from atm.fleet.worker import boot_id, description
from atm.fleet.workers import Workers
from atm.metrics.interval import Interval
from atm.models.outcome import StopReason
from atm.plan.load_plan import LoadPlan
from atm.plan.pacer import SECOND

DESCRIBE_SECONDS = 60.0
_PULL_HERE_NS = SECOND // 4


class FleetEngine:
    """Runs plans on several workers, each with the same engine; see `Engine` for the contract.

    `open` starts and compares the workers before a run, `close` ends them.
    """

    def __init__(
        self,
        engine: Engine,
        transport: Transport,
        workers: int,
        *,
        on_loss: OnLoss = OnLoss.ABORT,
        min_workers: int | None = None,
    ) -> None:
        """`engine` is the one that each worker runs, as this process would choose it.

        If not all workers are ready, the run starts with `min_workers` or more; None demands all.
        """
        self._engine = engine
        self._transport = transport
        self._count = workers
        self._on_loss = on_loss
        self._least = workers if min_workers is None else min(min_workers, workers)
        self._missing: list[str] = []
        """Why each worker is missing that could not be started."""
        self._strengths: Sequence[int] = [1] * workers
        self._links: list[Link] = []
        self._descriptions: list[Description] = []

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def version(self) -> str:
        return self._engine.version

    @property
    def capabilities(self) -> frozenset[Capability]:
        return self._engine.capabilities

    async def open(self, plan: LoadPlan) -> None:
        """Start the workers and compare them with this process.

        Raises FleetError, naming every difference, or for a plan that cannot be split.
        """
        split(plan, self._strengths)
        links = await self._transport.open(self._count, self._least)
        self._missing = ["it could not be started"] * (self._count - len(links))
        self._links, self._descriptions = [], []
        for link, described in zip(links, await asyncio.gather(*map(_described, links)), strict=True):
            if isinstance(described, Description):
                self._links.append(link)
                self._descriptions.append(described)
            else:
                self._missing.append(str(described))
        if len(self._links) < self._least:
            raise FleetError([Problem(f"a worker did not start: {why}", "worker_not_started") for why in self._missing])
        here = description()
        problems = [
            problem
            for link, there in zip(self._links, self._descriptions, strict=True)
            if (problem := mismatch(here, link.name, there)) is not None
        ]
        if problems:
            raise FleetError(problems)
        # The asyncio engine uses one core wherever it runs.
        is_native = self._engine.name == "native"
        cores = [there.cores if is_native else 1 for there in self._descriptions]
        self._strengths = strengths_of(cores)
        split(plan, self._strengths)

    async def close(self) -> None:
        """End every worker. Idempotent."""
        await self._transport.close()

    async def run(
        self,
        plan: LoadPlan,
        secrets: Mapping[str, str],
        on_interval: Callable[[Interval], None],
        control: Control,
        starts_at_ns: int | None = None,
    ) -> EngineReport:
        here = boot_id()
        shares_clock = [bool(here) and description.boot_id == here for description in self._descriptions]
        run = FleetRun(
            plan,
            self._strengths,
            secrets,
            shares_clock=shares_clock,
            on_loss=self._on_loss,
            least=self._least,
            pull_ns=_PULL_HERE_NS if all(shares_clock) else SECOND,
            starts_at_ns=starts_at_ns,
        )
        workers = Workers(plan, [link.name for link in self._links], self._descriptions, run, on_interval, self.name)
        await Driver(run, self._links, workers.take).to_the_end(control)
        workers.close()
        return self._report(run, workers, control)

    def _report(self, run: FleetRun, workers: Workers, control: Control) -> EngineReport:
        loads = [load for record in run.workers for load in record.loads]
        reports = [load.report for load in loads if load.report is not None]
        if run.refusal:
            if control.stop_reason is not None:
                return _nothing_sent(control.stop_reason)
            raise EngineError(run.refusal.problem)
        lost = workers.loss()
        if not reports:
            raise EngineError(Problem(f"all workers were lost: {lost}", "workers_lost"))
        report = _merged(reports, control, workers.started_at())
        reason = StopReason.FAILED if run.is_aborted else report.stop_reason
        return EngineReport(
            started_at=report.started_at,
            stop_reason=reason,
            window_start_ns=report.window_start_ns,
            window_end_ns=report.window_end_ns,
            last_finish_ns=report.last_finish_ns,
            lanes=report.lanes,
            worker_lost="; ".join(filter(None, (lost, report.worker_lost))),
            fleet=workers.figures(report, self._on_loss, self._missing),
        )


async def _described(link: Link) -> Description | LinkLostError:
    try:
        return await describe(link, DESCRIBE_SECONDS)
    except LinkLostError as error:
        return error


def _nothing_sent(reason: StopReason) -> EngineReport:
    """Return the report of a run that was ended before any worker started."""
    return EngineReport(datetime.now(UTC), reason, 0, 0, 0, ())


def _merged(reports: Sequence[EngineReport], control: Control, started_at: datetime | None) -> EngineReport:
    """Return one report for all workers: the earliest start of a window, the latest end."""
    last = max(reports, key=lambda report: (_weight(report.stop_reason), report.window_end_ns))
    return EngineReport(
        started_at=started_at or min(report.started_at for report in reports),
        stop_reason=_reason(last.stop_reason, control),
        window_start_ns=min(report.window_start_ns for report in reports),
        window_end_ns=max(report.window_end_ns for report in reports),
        last_finish_ns=max(report.last_finish_ns for report in reports),
        lanes=tuple(_lane(parts, control) for parts in zip(*(report.lanes for report in reports), strict=True)),
        worker_lost="; ".join(report.worker_lost for report in reports if report.worker_lost),
    )


def _lane(parts: Sequence[LaneReport], control: Control) -> LaneReport:
    last = max(parts, key=lambda lane: (_weight(lane.stop_reason), lane.window_end_ns))
    return LaneReport(
        last.name,
        min(lane.window_start_ns for lane in parts),
        last.window_end_ns if len(parts) == 1 else max(lane.window_end_ns for lane in parts),
        _reason(last.stop_reason, control),
    )


def _weight(reason: StopReason) -> int:
    """Return the order in which reasons decide: one that was ended early before one that came to its end."""
    return {StopReason.FAILED: 3, StopReason.CANCELLED: 2, StopReason.STOPPED: 1}.get(reason, 0)


def _reason(reason: StopReason, control: Control) -> StopReason:
    # A worker knows that it was stopped, the control knows why.
    return control.stop_reason or reason if reason is StopReason.STOPPED else reason
