"""Claims pending runs in order, starts a recorder for each, and sees that every run ends, whoever dies.

There is one in each API process; they agree through storage alone. Leases are judged by this process's own monotonic
clock: a beat that stands still for 15 s of it is a dead runner, whatever the clocks of others say.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from atm.clock import Clock, SystemClock
from atm.config import Settings
from atm.errors import AtmError, NotFoundError, StorageError
from atm.models.outcome import RunStatus, StopReason
from atm.off_loop import off_loop
from atm.private_files import make_directory
from atm.runs import launcher
from atm.runs.job import Job
from atm.runs.policy import Policy
from atm.runs.recovery import DIED, NEVER_STARTED, recover
from atm.runs.spool import SpoolReader, spool_path
from atm.storage import StorageInterface
from atm.storage.records import CancelRequest, Finish, Lease, LeaseState, Run
from atm.storage.seal import Sealer

log = logging.getLogger("atm.runs")

CLAIM_SECONDS = 0.25
OBSERVE_SECONDS = 1.0
EXPIRY_SECONDS = 15.0
LOGS_SECONDS = 30 * 86_400.0
"""So long the log of a recorder that failed is kept."""
PASS_ON_SECONDS = 0.1
"""How often it is asked whether a run was cancelled whose recorder is still starting."""
LAST_WORDS_SECONDS = 5.0
"""How long the runner of a recorder that died may take to write its end."""


@dataclass(slots=True)
class _Watched:
    """A lease as it was last seen, and since when it has looked like that (our monotonic clock)."""

    state: LeaseState
    since_ns: int


class LeaseWatch:
    """Judges which leases have stood still for too long. Pure: observations and their times are arguments."""

    def __init__(self, expiry_seconds: float = EXPIRY_SECONDS) -> None:
        self._expiry_ns = int(expiry_seconds * 1e9)
        self._seen: dict[str, _Watched] = {}

    def expired(self, states: tuple[LeaseState, ...], now_ns: int) -> list[LeaseState]:
        """Of the leases that are now in storage, those that have not changed since long enough ago."""
        self._seen = {state.run_id: self._looked_at(state, now_ns) for state in states}
        return [each.state for each in self._seen.values() if now_ns - each.since_ns >= self._expiry_ns]

    def forget(self) -> None:
        """Begin anew: while storage could not be read, nobody could renew either."""
        self._seen.clear()

    def _looked_at(self, state: LeaseState, now_ns: int) -> _Watched:
        before = self._seen.get(state.run_id)
        return before if before is not None and before.state == state else _Watched(state, now_ns)


class Supervisor:
    """One per API process, on its event loop."""

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
        """`environment` is what `{{env:…}}` of a spec may read (as far as the policy lets it)."""
        self._storage = storage
        self._settings = settings
        self._sealer = sealer
        self._policy = Policy.of(settings)
        self._environment = os.environ if environment is None else environment
        self._clock = clock or SystemClock()
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._watch = LeaseWatch(expiry_seconds)
        self._wake = asyncio.Event()
        self._waiting: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._mine: dict[str, str] = {}
        """Run id to token, of the runs whose recorders are children of this process."""
        self._launched: dict[str, launcher.Launched] = {}
        """By token, the recorders of `_mine`."""
        self._listening: set[str] = set()
        """Tokens of the recorders that have shown a sign of life: they see for themselves when they are cancelled."""
        self._away = False

    @property
    def spool_directory(self) -> Path:
        """Where the spools of this installation lie."""
        return self._settings.data_dir / "spool"

    def start(self) -> None:
        """Begin to claim and to watch."""
        make_directory(self.spool_directory)
        self._sweep()
        self._tasks = [asyncio.create_task(self._claim_forever()), asyncio.create_task(self._observe_forever())]

    def _sweep(self) -> None:
        """Remove logs of recorders that failed, long after anybody may have looked at them."""
        until = self._clock.now().timestamp() - LOGS_SECONDS
        for path in self.spool_directory.glob("*.log"):
            with suppress(FileNotFoundError):  # another process of this installation sweeps too
                if path.stat().st_mtime < until:
                    path.unlink()

    def notify(self) -> None:
        """A run may be pending: look at once, not in a quarter of a second."""
        self._wake.set()

    async def stop(self, *, cancel_runs: bool = False, patience_seconds: float = 10.0) -> None:
        """Claim and watch no more. Runs go on in their own processes, unless they are to be cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if cancel_runs and self._mine:
            for run_id in list(self._mine):
                try:
                    await self._storage.leases.request_cancel(run_id, CancelRequest.NOW, self._clock.now())
                except StorageError as error:
                    log.warning("run %s could not be cancelled at shutdown: %s", run_id, error)
            await asyncio.wait(self._waiting, timeout=patience_seconds)
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _claim_forever(self) -> None:
        said = ""
        while True:
            self._wake.clear()
            try:
                while await self._claim():
                    pass
                said = ""
            except StorageError as error:
                # It may be there, or be mended, the next time; until then once is enough.
                if str(error) != said:
                    log.warning("no run can be claimed: %s", error)
                said = str(error)
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
        self._mine[run.id] = token
        self._launched[token] = process
        task = asyncio.create_task(self._wait(run.id, token, process))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)
        return True

    async def _job(self, run: Run, token: str) -> Job:
        from atm.runs.credentials import unseal

        spec = unseal(self._sealer, run.spec, run.sealed)
        test = await off_loop(self._policy.compile, spec, self._environment, secrets.randbits(32))
        other = ""
        if self._settings.max_concurrent_runs > 1:
            other = next((each.run_id for each in await self._storage.leases.states() if each.run_id != run.id), "")
        return Job(
            run_id=run.id,
            token=token,
            spool=str(spool_path(self.spool_directory, run.id, token).resolve()),
            test=test,
            settings=launcher.settings_document(self._settings),
            other_run=other,
            max_seconds=self._policy.max_seconds,
        )

    async def _could_not_start(self, run: Run, token: str, error: AtmError | OSError) -> None:
        said = "; ".join(each.what for each in error.problems) if isinstance(error, AtmError) else str(error)
        log.warning("run %s could not be started: %s", run.id, said, extra={"run_id": run.id})
        how = Finish(
            RunStatus.FAILED,
            self._clock.now(),
            error_message=f"the run could not be started: {said}",
            stop_reason=StopReason.FAILED,
        )
        await self._storage.leases.finish(Lease(run.id, token), how)

    async def _is_cancelled(self, run_id: str) -> bool:
        try:
            return (await self._storage.leases.control(run_id)).cancel is not None
        except StorageError:
            # No reason not to start it: its recorder waits for the storage, and asks again.
            return False

    async def _cancelled_before_start(self, run: Run, token: str) -> None:
        log.info("run %s was cancelled before it started", run.id, extra={"run_id": run.id})
        how = Finish(RunStatus.CANCELLED, self._clock.now(), stop_reason=StopReason.CANCELLED)
        await self._storage.leases.finish(Lease(run.id, token), how)

    async def _wait(self, run_id: str, token: str, process: launcher.Launched) -> None:
        """Wait for the recorder; when it died before the end, end the run without waiting for its lease."""
        passing = asyncio.create_task(self._pass_on(run_id, token, process))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            process.leave()
            raise
        finally:
            passing.cancel()
            [ended] = await asyncio.gather(passing, return_exceptions=True)
            if isinstance(ended, Exception):
                log.error("run %s: a cancel could not be passed on: %s", run_id, ended, extra={"run_id": run_id})
            process.hang_up()
        log.info("run %s: recorder ended with %s", run_id, code, extra={"run_id": run_id})
        self._wake.set()
        if process.was_killed:
            # The runner has said its last words, and there is nothing to find out about the end of either.
            await self._end_at_once(run_id, token, code)
            spool_path(self.spool_directory, run_id, token).with_suffix(".log").unlink(missing_ok=True)
            await process.group_gone(LAST_WORDS_SECONDS)
        elif code != 0:
            await process.group_gone(LAST_WORDS_SECONDS)
            await self._end_at_once(run_id, token, code)
        self._mine.pop(run_id, None)
        self._launched.pop(token, None)
        self._wake.set()

    async def _pass_on(self, run_id: str, token: str, process: launcher.Launched) -> None:
        """Tell a recorder that is still starting when its run is cancelled; its runner hears of it at once.

        Where the load is over before the recorder has come up, it is not waited for: the spool has everything.
        """
        said = None
        reader = SpoolReader(spool_path(self.spool_directory, run_id, token))
        while token not in self._listening:
            try:
                control = await self._storage.leases.control(run_id)
            except NotFoundError:
                break
            except StorageError:
                pass  # what cannot be read now is read the next time
            else:
                if control.token != token:
                    break
                if control.cancel is not None and control.cancel is not said:
                    said = control.cancel
                    await process.tell("cancel" if said is CancelRequest.NOW else "stop")
            if said is not None and any(line["kind"] == "finished" for line in reader.lines()):
                process.kill()
                break
            await asyncio.sleep(PASS_ON_SECONDS)
        process.hang_up()

    async def _end_at_once(self, run_id: str, token: str, code: int) -> None:
        try:
            states = await self._storage.leases.states()
            seen = next((each for each in states if each.run_id == run_id and each.token == token), None)
            if seen is not None:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                reason = f"the process that recorded the run died ({how})"
                await recover(self._storage, self.spool_directory, seen, reason, self._clock.now())
        except StorageError as error:
            # Its lease will be found standing still when storage is back.
            log.warning("run %s could not be ended now: %s", run_id, error, extra={"run_id": run_id})

    async def _observe_forever(self) -> None:
        while True:
            try:
                await self._observe()
                self._away = False
            except StorageError as error:
                self._watch.forget()
                if not self._away:
                    log.warning("running runs cannot be watched: %s", error)
                self._away = True
            await asyncio.sleep(OBSERVE_SECONDS)

    async def _observe(self) -> None:
        states = await self._storage.leases.states()
        self._listening = {state.token for state in states if state.beat}
        for state in self._watch.expired(states, self._clock.monotonic_ns()):
            reason = DIED.format(seconds=EXPIRY_SECONDS) if state.beat else NEVER_STARTED
            if await recover(self._storage, self.spool_directory, state, reason, self._clock.now()):
                log.warning("run %s: %s", state.run_id, reason, extra={"run_id": state.run_id})
                if (process := self._launched.get(state.token)) is not None:
                    # It may be stopped or stuck, and its runner may still send load.
                    process.kill_all()
                self._wake.set()
