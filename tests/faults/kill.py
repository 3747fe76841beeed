"""An installation whose parts are killed at chosen states of a run, and what was hit.

Before the kill the processes of the run are frozen (SIGSTOP), so that the state that is noted is the one that is hit.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import httpx

from atm.config import Settings
from atm.errors import StorageUnavailableError
from atm.models.outcome import RunStatus
from atm.storage import StorageInterface
from atm.storage.records import FINAL, Run, RunQuery
from atm.testing import TargetServer
from tests.api.server import ApiServer
from tests.contract.postgresql import PostgresqlServer
from tests.examples import PROFILE
from tests.runs.installation import processes_of

RATE = 40
SECONDS = 1.5
DUE = round(RATE * SECONDS)
DRAIN_MILLISECONDS = 400
"""Response time of the target, and of the drain at the end of the run."""
AT_ONCE = 6 if PROFILE == "prove" else 3
PAUSE_SECONDS, SHORT_PAUSE_SECONDS = 0.05, 0.003
"""How often it is looked where a run stands; more often where the next state lasts for milliseconds."""
_Found = TypeVar("_Found")


class State(StrEnum):
    """Where a run stands when something is killed."""

    PENDING = "pending"
    CLAIMING = "claiming"
    RUNNING = "running"
    DRAINING = "draining"
    SUMMARY = "writing the summary"
    ENDED = "ended"


class Victim(StrEnum):
    """What is killed."""

    RUNNER = "runner"
    RECORDER = "recorder"
    WORKER = "worker of the API"
    SERVER = "whole server"
    EVERYTHING = "server, recorder and runner"
    DATABASE = "database"


OF_THE_RUN = frozenset({Victim.RUNNER, Victim.RECORDER, Victim.EVERYTHING})
"""Those that a run does not have before it is claimed."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One that was carried out."""

    run_id: str
    number: int
    state: State
    victim: Victim
    acknowledged: int
    """Seconds that storage had acknowledged when it happened."""
    last_event: int


class Installation:
    """A server of two workers, its storage and a target that records its requests."""

    def __init__(
        self, settings: Settings, storage: StorageInterface, target: TargetServer, database: PostgresqlServer | None
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.target = target
        self._database = database
        self._lock = asyncio.Lock()
        self.kills: list[Kill] = []
        self._statuses: dict[str, RunStatus] = {}
        self._looked_at = 0.0
        self.server = self._start()

    def _start(self) -> ApiServer:
        url = self.settings.database_url
        return ApiServer(
            self.settings.data_dir,
            workers=2,
            ATM_MAX_CONCURRENT_RUNS=str(AT_ONCE),
            ATM_STORAGE_TYPE=self.settings.storage_type.value,
            ATM_DATABASE_URL=url.get_secret_value() if url else "",
        )

    async def ready(self) -> None:
        await asyncio.to_thread(self.server.ready)

    def spec(self, number: int) -> dict[str, Any]:
        address = f"{self.target.url}/delay/{DRAIN_MILLISECONDS}?run={number}."
        return {"name": f"fault {number}", "url": address, "requests_per_second": RATE, "duration": SECONDS}

    async def submit(self, number: int) -> str:
        """Have a run accepted, as a client does that tries again under the same key until it is answered."""
        headers = {"Idempotency-Key": f"fault-{number}"}
        async with asyncio.timeout(300), httpx.AsyncClient(trust_env=False, verify=False, timeout=10) as client:
            while True:
                try:
                    answer = await client.post(
                        f"{self.server.url}/api/v1/runs", json={"spec": self.spec(number)}, headers=headers
                    )
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == 202:
                    return str(answer.json()["id"])
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.1)

    async def run(self, run_id: str) -> Run:
        """Its document; waits while storage is away."""
        return await self._patiently(lambda: self.storage.runs.get(run_id))

    async def _patiently(self, read: Callable[[], Awaitable[_Found]]) -> _Found:
        while True:
            try:
                return await read()
            except StorageUnavailableError:
                await asyncio.sleep(0.05)

    async def kill(self, run_id: str, number: int, aim: State, victim: Victim, generator: random.Random) -> None:
        """Wait until the run is in that state, for a random while of it, and kill. What was hit goes into `kills`."""
        pids: dict[str, int] = {}
        while (state := await self._seen_state(run_id, aim)) is not aim and state is not State.ENDED:
            if state is State.RUNNING and len(pids) < 2:
                pids = processes_of(run_id)
            await asyncio.sleep(SHORT_PAUSE_SECONDS if state is State.DRAINING else PAUSE_SECONDS)
        share = {State.CLAIMING: 0.5, State.RUNNING: SECONDS, State.DRAINING: DRAIN_MILLISECONDS / 1e3}.get(aim, 0.0)
        await asyncio.sleep(generator.uniform(0, share * 0.8))
        if len(pids) < 2:
            pids = processes_of(run_id)
        _send(pids, signal.SIGSTOP)
        hit = await self.state(run_id)
        written = await self._patiently(lambda: self.storage.series.written(run_id))
        kill = Kill(run_id, number, hit, victim, written.next_interval, written.last_event)
        await self._carry_out(victim, pids)
        _send(pids, signal.SIGCONT)
        self.kills.append(kill)

    async def _carry_out(self, victim: Victim, pids: dict[str, int]) -> None:
        if victim in (Victim.RUNNER, Victim.EVERYTHING):
            _send({"runner": pids.get("runner", 0)}, signal.SIGKILL)
        if victim in (Victim.RECORDER, Victim.EVERYTHING):
            _send({"recorder": pids.get("recorder", 0)}, signal.SIGKILL)
        if victim in (Victim.SERVER, Victim.EVERYTHING):
            # At once; the first caller starts it again.
            before = self.server
            await asyncio.to_thread(before.kill)
            async with self._lock:
                if self.server is before:
                    self.server = self._start()
        if victim is Victim.WORKER:
            workers = children_of(self.server.process.pid)
            if workers:
                _send({"worker": workers[0]}, signal.SIGKILL)
        if victim is Victim.DATABASE:
            assert self._database is not None
            async with self._lock:
                await asyncio.to_thread(self._database.kill)
                await asyncio.to_thread(self._database.start)

    async def _seen_state(self, run_id: str, aim: State) -> State:
        """The same for who waits, from one look at storage for all; looked at again before it counts as the aim."""
        seen = self._state(run_id, await self._seen_status(run_id))
        return await self.state(run_id) if seen is aim else seen

    async def _seen_status(self, run_id: str) -> RunStatus:
        now = time.monotonic()
        if run_id not in self._statuses or now - self._looked_at >= PAUSE_SECONDS:
            self._looked_at = now
            page = await self._patiently(lambda: self.storage.runs.page(RunQuery(limit=100, with_total=False)))
            self._statuses = {run.id: run.status for run in page.runs}
        return self._statuses[run_id]

    async def state(self, run_id: str) -> State:
        """Where the run stands, by its spool and by storage."""
        return self._state(run_id, (await self.run(run_id)).status)

    def _state(self, run_id: str, status: RunStatus) -> State:
        lines = spooled(self.settings.data_dir / "spool", run_id)
        if status in FINAL:
            return State.ENDED
        if status is RunStatus.PENDING:
            return State.PENDING
        if not lines:
            return State.CLAIMING
        if lines[-1]["kind"] == "finished":
            return State.SUMMARY
        sent_for = time.time() - datetime.fromisoformat(lines[0]["at"]).timestamp()
        return State.DRAINING if sent_for > SECONDS else State.RUNNING

    async def ended(self, run_id: str, seconds: float = 800) -> Run:
        async with asyncio.timeout(seconds):
            while (run := await self.run(run_id)).status not in FINAL:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        return run

    def received(self) -> dict[int, int]:
        """Requests that the target got, by the number of the run."""
        found: dict[int, int] = {}
        for request in self.target.captured():
            if request.raw is not None:
                number = int(request.raw.split(b"?run=", 1)[1].split(b".", 1)[0])
                found[number] = found.get(number, 0) + 1
        return found

    def close(self) -> None:
        self.server.stop()


def spooled(directory: Path, run_id: str) -> list[Any]:
    """The first and the last line of the spool of a run; none where it has not begun."""
    for path in directory.glob(f"{run_id}.*.jsonl"):
        with suppress(FileNotFoundError):
            lines = path.read_bytes().split(b"\n")[:-1]
            return [json.loads(line) for line in (lines[0], lines[-1])] if lines else []
    return []


def children_of(pid: int) -> list[int]:
    """Workers of a server: those of its children that were started to answer."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


def _send(pids: dict[str, int], number: signal.Signals) -> None:
    for pid in pids.values():
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, number)
