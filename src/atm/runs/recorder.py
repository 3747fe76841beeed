"""The recorder of one run: copy the spool to storage, renew the lease, forward commands, finish the run."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atm.config import Settings
from atm.errors import NotFoundError, StaleLeaseError, StorageUnavailableError
from atm.models.outcome import RunStatus, StopReason
from atm.runs.spool import NOT_WRITTEN, SpoolReader, files_folder, log_to_stderr
from atm.runs.spool_history import SpoolHistory, finish, finish_of, store
from atm.storage import StorageInterface, open_storage
from atm.storage.records import CancelRequest, Finish, Lease

TICK_SECONDS = 0.05
CONTROL_SECONDS = 0.1
"""How often the recorder checks for a cancel; the documented limit is 250 ms."""
RENEW_SECONDS = 2.0
OUTAGE_PAUSE_SECONDS = 0.5
OUTAGE_AFTER_END_SECONDS = 600.0
"""How long a recorder retries its storage after the run; then it leaves the spool to a supervisor."""
KILL_SECONDS = 5.0
GRACE_SECONDS = 10.0
"""How long a load process may run past its deadline before it is killed."""
START_SECONDS = 60.0
"""How long the start of a load (tokens, name resolution) may take before ATM_MAX_DURATION starts to count anyway."""


class Recorder:
    """Record one run until it has ended and everything is stored."""

    def __init__(
        self,
        *,
        run_id: str,
        token: str,
        spool: str,
        settings: Mapping[str, Any],
        runner: subprocess.Popen[bytes],
        graceful_seconds: float = 0.0,
        teardown_seconds: float = 0.0,
        max_seconds: float | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """`graceful_seconds` is the plan's time for requests in flight, `teardown_seconds` that for `teardown`,
        `max_seconds` the installation's cap.
        """
        self._lease = Lease(run_id, token)
        self._spool = Path(spool)
        self._reader = SpoolReader(self._spool)
        self._history = SpoolHistory()
        self._settings = Settings(**settings)
        self._runner = runner
        self._last_command = ""
        self._renewed = self._checked = self._ended = 0.0
        self._graceful_seconds = graceful_seconds
        self._teardown_seconds = teardown_seconds
        self._grace_seconds = grace_seconds
        self._max_seconds = max_seconds
        self._began = time.monotonic() + START_SECONDS
        """When the load started, or before that the latest assumed start."""
        self._has_begun = False
        self._deadlines: dict[str, float] = {}
        """For each command sent: the deadline for the load process to exit."""
        self._killed: Finish | None = None

    async def record(self) -> int:
        """Record until the run is stored; return 0, 1 when the lease was lost, 2 when storage stayed unavailable."""
        storage = await self._opened()
        if storage is None:
            return 2
        try:
            return await self._follow(storage)
        except StaleLeaseError as error:
            log_to_stderr(str(error))
            await self._end_runner()
            return 1
        finally:
            await storage.close()
            if self._runner.poll() is not None:
                shutil.rmtree(files_folder(self._spool), ignore_errors=True)

    async def _opened(self) -> StorageInterface | None:
        while not self._gave_up():
            try:
                return await open_storage(self._settings)
            except StorageUnavailableError as error:
                log_to_stderr(str(error))
                await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
        return None

    async def _follow(self, storage: StorageInterface) -> int:
        while not self._gave_up():
            # Polled first, so that the read below includes everything written before the exit.
            ended = self._runner.poll() is not None
            self._history.add(self._reader.lines())
            self._kill_when_overdue()
            try:
                await store(storage, self._lease, self._history)
                if ended:
                    await finish(storage, self._lease, self._run_end())
                    self._spool.unlink(missing_ok=True)
                    self._spool.with_suffix(".log").unlink(missing_ok=True)
                    return 0
                await self._renew_or_check(storage)
            except StorageUnavailableError as error:
                log_to_stderr(str(error))
                await asyncio.sleep(OUTAGE_PAUSE_SECONDS)
            await asyncio.sleep(TICK_SECONDS)
        return 2

    async def _renew_or_check(self, storage: StorageInterface) -> None:
        now = time.monotonic()
        if now - self._renewed >= RENEW_SECONDS:
            control = await storage.leases.renew(self._lease)
            self._renewed = now
        elif now - self._checked >= CONTROL_SECONDS:
            try:
                control = await storage.leases.control(self._lease.run_id)
            except NotFoundError as error:
                raise StaleLeaseError(error.problems) from error
            if control.token != self._lease.token:
                raise StaleLeaseError(_taken_over(self._lease.run_id))
        else:
            return
        self._checked = now
        if control.cancel is not None:
            self._command("cancel" if control.cancel is CancelRequest.NOW else "stop")

    def _command(self, command: str) -> None:
        if command == self._last_command or self._runner.stdin is None:
            return
        self._last_command = command
        patience = self._grace_seconds + self._teardown_seconds
        patience += 0 if command == "cancel" else self._graceful_seconds
        self._deadlines.setdefault(command, time.monotonic() + patience)
        with suppress(BrokenPipeError):  # the runner has exited
            self._runner.stdin.write(f"{command}\n".encode())
            self._runner.stdin.flush()

    def _kill_when_overdue(self) -> None:
        """Kill a load process that missed the deadline of a command or of the installation's limit."""
        now = time.monotonic()
        if self._history.started_at is not None and not self._has_begun:
            self._has_begun, self._began = True, now
        if self._killed is not None or self._runner.poll() is not None:
            return
        late = next((command for command, deadline in self._deadlines.items() if now > deadline), None)
        limit = (
            None
            if self._max_seconds is None
            else self._began + self._max_seconds + self._graceful_seconds + self._teardown_seconds + self._grace_seconds
        )
        if late is not None:
            what = f"the load process did not react to {late} within {self._grace_seconds:g} s and was killed"
            reason = StopReason.CANCELLED if late == "cancel" else StopReason.STOPPED
            status = RunStatus.CANCELLED if late == "cancel" else RunStatus.FAILED
        elif limit is not None and now > limit:
            what = f"the load process ran longer than ATM_MAX_DURATION ({self._max_seconds:g} s) and was killed"
            status, reason = RunStatus.FAILED, StopReason.FAILED
        else:
            return
        log_to_stderr(what)
        self._killed = Finish(status, datetime.now(UTC), error_message=what, stop_reason=reason)
        self._runner.kill()

    def _run_end(self) -> Finish:
        if self._history.end is not None:
            return finish_of(self._history.end)
        if self._killed is not None:
            return self._killed
        code = self._runner.returncode
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        disk_full = "no disk space was left for the data of the load process"
        error = disk_full if code == NOT_WRITTEN else f"the load process died {how}"
        return Finish(RunStatus.FAILED, datetime.now(UTC), error_message=error, stop_reason=StopReason.FAILED)

    async def _end_runner(self) -> None:
        self._command("cancel")
        deadline = time.monotonic() + KILL_SECONDS
        while self._runner.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 (a process is no event)
            await asyncio.sleep(TICK_SECONDS)
        if self._runner.poll() is None:
            self._runner.kill()
            self._runner.wait()

    def _gave_up(self) -> bool:
        if self._runner.poll() is None:
            return False
        now = time.monotonic()
        self._ended = self._ended or now
        return now - self._ended > OUTAGE_AFTER_END_SECONDS


def _taken_over(run_id: str) -> Any:
    from atm.storage.errors import stale_lease

    return stale_lease(run_id).problems
