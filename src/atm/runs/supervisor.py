"""The supervisor: claims pending runs in order, starts a recorder for each, and ends runs whose processes died.

Each API process has one; they coordinate only through storage. Lease expiry is measured with this process's monotonic
clock: a runner whose heartbeat has not changed for 15 s is dead, whatever the clocks of other hosts say.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from atm.clock import Clock, SystemClock
from atm.config import Settings
from atm.dataclass import dataclass
from atm.errors import AtmError, NotFoundError, StorageError
from atm.models.outcome import RunStatus, StopReason
from atm.off_loop import off_loop
from atm.private_files import make_directory
from atm.runs import launcher
from atm.runs.job import Job
from atm.runs.policy import Policy
from atm.runs.recovery import DIED, NEVER_STARTED, recover
from atm.runs.spec_compiler import SpecCompiler
from atm.runs.spool import SpoolReader, files_folder, spool_path
from atm.runs.test_files import TestFiles
from atm.storage import StorageInterface
from atm.storage.records import CancelRequest, Finish, Lease, LeaseState, Run
from atm.storage.seal import Sealer

log = logging.getLogger("atm.runs")

CLAIM_SECONDS = 0.25
OBSERVE_SECONDS = 1.0
EXPIRY_SECONDS = 15.0
LOGS_SECONDS = 30 * 86_400.0
"""How long the logs of failed recorders are kept."""
LEFT_SECONDS = 86_400.0
"""Age of hidden files and folders beside the spools that no process can need any more."""
CANCEL_POLL_SECONDS = 0.1
"""How often a run is checked for a cancel while its recorder is starting."""
CANCEL_SECONDS = 10.0
"""Time for cancelled runs to end at shutdown."""
RUNNER_END_SECONDS = 5.0
"""How long the runner may take to write its end after its recorder has died."""


@dataclass(slots=True)
class _Watched:
    """The last seen state of a lease, and since when it is unchanged (our monotonic clock)."""

    state: LeaseState
    since_ns: int


class LeaseWatch:
    """Decide which leases have expired. Pure: observations and their times are arguments."""

    def __init__(self, expiry_seconds: float = EXPIRY_SECONDS) -> None:
        self._expiry_ns = int(expiry_seconds * 1e9)
        self._seen: dict[str, _Watched] = {}

    def expired(self, states: tuple[LeaseState, ...], now_ns: int) -> list[LeaseState]:
        """Return the stored leases that have been unchanged for the expiry time."""
        self._seen = {state.run_id: self._updated(state, now_ns) for state in states}
        return [lease.state for lease in self._seen.values() if now_ns - lease.since_ns >= self._expiry_ns]

    def forget(self) -> None:
        """Restart the expiry of all leases: during a storage outage no lease could be renewed."""
        self._seen.clear()

    def _updated(self, state: LeaseState, now_ns: int) -> _Watched:
        before = self._seen.get(state.run_id)
        return before if before is not None and before.state == state else _Watched(state, now_ns)


class Supervisor:
    """Claim runs and watch leases on the event loop of an API process."""

    def __init__(
        self,
        storage: StorageInterface,
        settings: Settings,
        sealer: Sealer,
        *,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        expiry_seconds: float = EXPIRY_SECONDS,
    ) -> None:
        """`environment` holds the variables for `{{env:…}}` in specs, as far as the policy allows them."""
        self._storage = storage
        self._settings = settings
        self._sealer = sealer
        self._policy = Policy.of(settings)
        self._compiler = SpecCompiler(settings, os.environ if environment is None else environment)
        self._clock = clock or SystemClock()
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._watch = LeaseWatch(expiry_seconds)
        self._wake = asyncio.Event()
        self._wait_tasks: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._tokens: dict[str, str] = {}
        """Lease token by run id, for the runs whose recorders are children of this process."""
        self._recorders: dict[str, launcher.RecorderHandle] = {}
        """Recorder by lease token, for the runs in `_tokens`."""
        self._listening: set[str] = set()
        """Tokens of the recorders that have sent a heartbeat: these check for a cancel themselves."""
        self._storage_is_down = False

    @property
    def spool_directory(self) -> Path:
        """The directory of this installation's spools."""
        return self._settings.data_dir / "spool"

    def start(self) -> None:
        """Start claiming runs and watching leases."""
        make_directory(self.spool_directory)
        self._sweep()
        self._tasks = [asyncio.create_task(self._claim_forever()), asyncio.create_task(self._observe_forever())]

    def _sweep(self) -> None:
        """Remove old logs of failed recorders, and what a killed process left of checks and uploads of files."""
        until = self._clock.now().timestamp() - LOGS_SECONDS
        for path in self.spool_directory.glob("*.log"):
            with suppress(FileNotFoundError):  # removed by another process of this installation
                if path.stat().st_mtime < until:
                    path.unlink()
        until = self._clock.now().timestamp() - LEFT_SECONDS
        for path in self.spool_directory.glob(".*"):
            with suppress(FileNotFoundError):  # as above
                if path.stat().st_mtime < until:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def notify(self) -> None:
        """Try to claim now instead of at the next poll, as a run may be pending."""
        self._wake.set()

    async def stop(self, *, cancel_runs: bool = False) -> None:
        """Stop claiming and watching. Runs continue in their own processes unless `cancel_runs`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if cancel_runs and self._tokens:
            for run_id in list(self._tokens):
                try:
                    await self._storage.leases.request_cancel(run_id, CancelRequest.NOW, self._clock.now())
                except StorageError as error:
                    log.warning("run %s could not be cancelled at shutdown: %s", run_id, error)
            if self._wait_tasks:  # otherwise the runs have ended meanwhile
                await asyncio.wait(self._wait_tasks, timeout=CANCEL_SECONDS)
        for task in self._wait_tasks:
            task.cancel()
        await asyncio.gather(*self._wait_tasks, return_exceptions=True)

    async def _claim_forever(self) -> None:
        last_message = ""
        while True:
            self._wake.clear()
            try:
                while await self._claim():
                    pass
                last_message = ""
            except StorageError as error:
                # Possibly temporary: retried below, and each error is logged only once.
                if str(error) != last_message:
                    log.warning("no run can be claimed: %s", error)
                last_message = str(error)
            try:
                async with asyncio.timeout(CLAIM_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _claim(self) -> bool:
        token = secrets.token_hex(16)
        run = await self._storage.leases.claim(self._owner, token, self._settings.max_concurrent_runs)
        if run is None:
            return False
        log.info("run %s claimed", run.id, extra={"run_id": run.id})
        try:
            job = await self._job(run, token)
            if await self._is_cancelled(run.id):
                await self._cancelled_before_start(run, token)
                return True
            process = await launcher.launch(job, self.spool_directory)
        except (AtmError, OSError) as error:
            await self._could_not_start(run, token, error)
            return True
        self._tokens[run.id] = token
        self._recorders[token] = process
        task = asyncio.create_task(self._wait(run.id, token, process))
        self._wait_tasks.add(task)
        task.add_done_callback(self._wait_tasks.discard)
        return True

    async def _job(self, run: Run, token: str) -> Job:
        from atm.runs.credentials import unseal

        spec = unseal(self._sealer, run.spec, run.sealed)
        files = TestFiles(run.files, self._storage.files.read, asyncio.get_running_loop()) if run.files else None
        spool = spool_path(self.spool_directory, run.id, token).resolve()
        test = await off_loop(self._compiler.compile_to_run, spec, files, files_folder(spool))
        other_run = ""
        if self._settings.max_concurrent_runs > 1:
            other_run = next(
                (state.run_id for state in await self._storage.leases.states() if state.run_id != run.id), ""
            )
        return Job(
            run_id=run.id,
            token=token,
            spool=str(spool),
            test=test,
            settings=launcher.settings_document(self._settings),
            other_run=other_run,
            max_seconds=self._policy.max_seconds,
        )

    async def _could_not_start(self, run: Run, token: str, error: AtmError | OSError) -> None:
        self._remove_files(run.id, token)
        message = "; ".join(problem.what for problem in error.problems) if isinstance(error, AtmError) else str(error)
        log.warning("run %s could not be started: %s", run.id, message, extra={"run_id": run.id})
        how = Finish(
            RunStatus.FAILED,
            self._clock.now(),
            error_message=f"the run could not be started: {message}",
            stop_reason=StopReason.FAILED,
        )
        await self._storage.leases.finish(Lease(run.id, token), how)

    def _remove_files(self, run_id: str, token: str) -> None:
        shutil.rmtree(files_folder(spool_path(self.spool_directory, run_id, token)), ignore_errors=True)

    async def _is_cancelled(self, run_id: str) -> bool:
        try:
            return (await self._storage.leases.control(run_id)).cancel is not None
        except StorageError:
            # Start it anyway: its recorder waits for the storage, and checks again.
            return False

    async def _cancelled_before_start(self, run: Run, token: str) -> None:
        self._remove_files(run.id, token)
        log.info("run %s was cancelled before it started", run.id, extra={"run_id": run.id})
        how = Finish(RunStatus.CANCELLED, self._clock.now(), stop_reason=StopReason.CANCELLED)
        await self._storage.leases.finish(Lease(run.id, token), how)

    async def _wait(self, run_id: str, token: str, process: launcher.RecorderHandle) -> None:
        """Wait for the recorder; if it died before the end of the run, end the run without waiting for lease expiry."""
        forwarding = asyncio.create_task(self._forward_cancel(run_id, token, process))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.detach()
            raise
        finally:
            forwarding.cancel()
            [forwarded] = await asyncio.gather(forwarding, return_exceptions=True)
            if isinstance(forwarded, Exception):
                log.error("run %s: a cancel could not be forwarded: %s", run_id, forwarded, extra={"run_id": run_id})
            process.close_pipe()
        log.info("run %s: recorder ended with %s", run_id, code, extra={"run_id": run_id})
        self._wake.set()
        if process.was_killed:
            # Killed by us after the runner had written its end: recover from the spool at once.
            await self._end_at_once(run_id, token, code)
            spool_path(self.spool_directory, run_id, token).with_suffix(".log").unlink(missing_ok=True)
            await process.group_gone(RUNNER_END_SECONDS)
        elif code != 0:
            await process.group_gone(RUNNER_END_SECONDS)
            await self._end_at_once(run_id, token, code)
        self._tokens.pop(run_id, None)
        self._recorders.pop(token, None)
        self._wake.set()

    async def _forward_cancel(self, run_id: str, token: str, process: launcher.RecorderHandle) -> None:
        """Forward a cancel to a recorder that is still starting, which passes it to the runner at once.

        When the load then ends before the recorder is up, the recorder is killed: the spool has all data.
        """
        sent = None
        reader = SpoolReader(spool_path(self.spool_directory, run_id, token))
        while token not in self._listening:
            try:
                control = await self._storage.leases.control(run_id)
            except NotFoundError:
                break
            except StorageError:
                pass  # read again at the next poll
            else:
                if control.token != token:
                    break
                if control.cancel is not None and control.cancel is not sent:
                    sent = control.cancel
                    await process.send("cancel" if sent is CancelRequest.NOW else "stop")
            if sent is not None and any(line["kind"] == "finished" for line in reader.lines()):
                process.kill()
                break
            await asyncio.sleep(CANCEL_POLL_SECONDS)
        process.close_pipe()

    async def _end_at_once(self, run_id: str, token: str, code: int) -> None:
        try:
            states = await self._storage.leases.states()
            lease_state = next((state for state in states if state.run_id == run_id and state.token == token), None)
            if lease_state is not None:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                reason = f"the process that recorded the run died ({how})"
                await recover(self._storage, self.spool_directory, lease_state, reason, self._clock.now())
        except StorageError as error:
            # Its lease expires once storage is back.
            log.warning("run %s could not be ended now: %s", run_id, error, extra={"run_id": run_id})

    async def _observe_forever(self) -> None:
        while True:
            try:
                await self._observe()
                self._storage_is_down = False
            except StorageError as error:
                self._watch.forget()
                if not self._storage_is_down:
                    log.warning("running runs cannot be watched: %s", error)
                self._storage_is_down = True
            await asyncio.sleep(OBSERVE_SECONDS)

    async def _observe(self) -> None:
        states = await self._storage.leases.states()
        self._listening = {state.token for state in states if state.beat}
        for state in self._watch.expired(states, self._clock.monotonic_ns()):
            reason = DIED.format(seconds=EXPIRY_SECONDS) if state.beat else NEVER_STARTED
            if await recover(self._storage, self.spool_directory, state, reason, self._clock.now()):
                log.warning("run %s: %s", state.run_id, reason, extra={"run_id": state.run_id})
                if (process := self._recorders.get(state.token)) is not None:
                    # The recorder may be stopped or stuck, and its runner may still send load.
                    process.kill_all()
                self._wake.set()
