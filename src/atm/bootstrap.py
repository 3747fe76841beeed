"""The composition root: builds storage, services, supervisor, watcher and agent from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from atm import data_directory
from atm.config import Settings
from atm.dataclass import dataclass
from atm.notifications.apprise_channel import AppriseChannel
from atm.notifications.channel import Channel
from atm.notifications.deliverer import Deliverer
from atm.notifications.webhook import WebhookChannel
from atm.runs.live_figures import LiveFigures
from atm.runs.local_recovery import recover_local_runs
from atm.runs.policy import Policy
from atm.runs.retention import background_retention
from atm.runs.service import RunService
from atm.runs.supervisor import Supervisor
from atm.runs.trials import Trials
from atm.runs.watcher import Watcher
from atm.schedules.scheduler import Scheduler
from atm.schedules.service import ScheduleService
from atm.storage import StorageInterface, open_storage
from atm.storage.json_files.files import translated
from atm.storage.seal import Sealer


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The services behind the API and the MCP server, on one event loop."""

    settings: Settings
    storage: StorageInterface
    sealer: Sealer
    runs: RunService
    watcher: Watcher
    schedules: ScheduleService
    trials: Trials
    live_figures: LiveFigures


class Agent:
    """Fires schedules and sends notifications, on one event loop."""

    def __init__(
        self, storage: StorageInterface, settings: Settings, sealer: Sealer, runs: RunService, supervisor: Supervisor
    ) -> None:
        rules = Policy.of(settings).targets
        self._scheduler = Scheduler(storage, sealer, runs, on_pending=supervisor.notify)
        apprise = AppriseChannel(rules, settings.data_dir)
        channels: dict[str, Channel] = {"webhook": WebhookChannel(rules), "apprise": apprise}
        self._deliverer = Deliverer(storage, sealer, channels)

    def start(self) -> None:
        """Start scheduler and deliverer."""
        self._scheduler.start()
        self._deliverer.start()

    async def stop(self) -> None:
        """Stop both; work in progress completes as a whole or is left to other processes."""
        await self._scheduler.stop()
        await self._deliverer.stop()


@asynccontextmanager
async def control_plane(settings: Settings) -> AsyncIterator[ControlPlane]:
    """Open the storage, and claim and watch runs until the block ends; runs then continue or are cancelled, by setting.

    Also fires schedules if `settings.agent` is set. Raises SettingsError, SchemaError, StorageUnavailableError.
    """
    with translated():
        data_directory.prepare(settings.data_dir)
    storage = await open_storage(settings)
    try:
        await recover_local_runs(storage, settings.data_dir / "spool")
        sealer = Sealer(settings)
        supervisor = Supervisor(storage, settings, sealer)
        runs = RunService(storage, settings, sealer, on_pending=supervisor.notify)
        watcher = Watcher(storage)
        schedules = ScheduleService(storage, sealer, runs, targets=Policy.of(settings).targets)
        agent = Agent(storage, settings, sealer, runs, supervisor) if settings.agent else None
        supervisor.start()
        if agent is not None:
            agent.start()
        try:
            async with background_retention(storage, settings):
                trials = Trials(settings.data_dir)
                figures = LiveFigures(storage)
                yield ControlPlane(settings, storage, sealer, runs, watcher, schedules, trials, figures)
        finally:
            await watcher.close()
            if agent is not None:
                await agent.stop()
            await supervisor.stop(cancel_runs=settings.cancel_runs_on_shutdown)
    finally:
        await storage.close()
