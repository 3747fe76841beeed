"""Watching runs: one reader of storage per process and run, however many watch it.

A reader asks storage for what is new a few times a second and keeps the last events; those who watch read from there at
their own pace. Who comes late, comes back, or is slow, reads what it missed from storage. So nothing is lost, and
nobody's slowness costs memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from functools import partial

from atm.errors import AtmError, NotFoundError, StorageError, StorageUnavailableError
from atm.models.events import AnyRunEvent, ProgressEvent, event_json
from atm.models.outcome import RunStatus
from atm.runs import events
from atm.storage import StorageInterface
from atm.storage.records import FINAL, Order, Run, RunQuery, RunSummary

log = logging.getLogger("atm.runs")

POLL_SECONDS = 0.2
LIST_POLL_SECONDS = 0.5
KEPT_EVENTS = 300
"""Events of a run that stay in memory while somebody watches it."""
PAGE = 500
LIST_LENGTH = 100
"""How many of the newest runs the list watches."""


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event with its JSON text, written once for all who watch."""

    sequence: int | None
    kind: str
    json: str

    @classmethod
    def of(cls, event: AnyRunEvent) -> EncodedEvent:
        """The event as it is sent."""
        sequence = None if isinstance(event, ProgressEvent) else event.sequence
        return cls(sequence, event.kind, event_json(event))


class _Reader:
    """The one reader of one run in this process."""

    def __init__(self, storage: StorageInterface, run_id: str) -> None:
        self._storage = storage
        self.run_id = run_id
        self.watching = 0
        self.buffer: deque[EncodedEvent] = deque(maxlen=KEPT_EVENTS)
        self.last = 0
        """The number of the last event that was read."""
        self.progress: EncodedEvent | None = None
        self.ended = False
        """Finished, or gone."""
        self.released = False
        """Nobody is to watch any longer, whatever is still to come."""
        self._changed = asyncio.Condition()
        self._before: ProgressEvent | None = None
        self.ready = asyncio.Event()
        self.task = asyncio.create_task(self._read_forever())

    async def wait(self, seen: int, progress: EncodedEvent | None) -> None:
        """Until there is something new."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.last > seen or self.progress is not progress or self.ended or self.released
            )

    async def _read_forever(self) -> None:
        self.last = await self._first()
        self.ready.set()
        while not self.ended:
            try:
                told = await self._read()
            except StorageUnavailableError as error:
                log.warning("run %s cannot be read: %s", self.run_id, error, extra={"run_id": self.run_id})
                told = False
            except NotFoundError:
                self.ended = told = True
            except (AtmError, ValueError) as error:
                log.error("run %s cannot be watched: %s", self.run_id, error, extra={"run_id": self.run_id})
                self.ended = told = True
            if told:
                await self._tell()
            await asyncio.sleep(0 if self.ended else POLL_SECONDS)

    async def end(self) -> None:
        """Read no more, and let those who watch go."""
        self.task.cancel()
        self.ended = True
        self.ready.set()
        await self._tell()

    async def release(self) -> None:
        """Let those who watch go in the middle."""
        self.released = True
        self.ready.set()
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _first(self) -> int:
        """Where to begin: what was before is read by those who ask for it."""
        while True:
            try:
                return (await self._storage.series.written(self.run_id)).last_event
            except StorageUnavailableError:
                await asyncio.sleep(POLL_SECONDS)
            except AtmError as error:
                if not isinstance(error, NotFoundError):
                    log.error("run %s cannot be watched: %s", self.run_id, error, extra={"run_id": self.run_id})
                self.ended = True
                return 0

    async def _read(self) -> bool:
        """Read what is new; whether there was anything."""
        # The state first: once it is final, no event comes after those that are read next.
        run = await self._storage.runs.get(self.run_id)
        found = await self._storage.series.events(self.run_id, self.last, PAGE)
        for stored in found:
            self.buffer.append(EncodedEvent.of(events.from_stored(stored)))
            self.last = stored.sequence
        if run.status in FINAL and len(found) < PAGE:
            self.buffer.append(EncodedEvent.of(events.finished(run, self.last + 1)))
            self.last += 1
            self.ended = True
            return True
        return await self._note_progress(run) or bool(found)

    async def _note_progress(self, run: Run) -> bool:
        progress = ProgressEvent(
            status=run.status,
            requests_completed=run.summary.requests_completed,
            queue_position=await self._position(run.summary) if run.status is RunStatus.PENDING else None,
            cancelling=run.cancel is not None,
        )
        if progress == self._before:
            return False
        self._before = progress
        self.progress = EncodedEvent.of(progress)
        return True

    async def _position(self, run: RunSummary) -> int:
        query = RunQuery(status=RunStatus.PENDING, until=run.created_at, order=Order.OLDEST, limit=1, with_total=True)
        return (await self._storage.runs.page(query)).total or 0


class Watcher:
    """Hands out the events of runs to everybody in this process who watches one."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self._readers: dict[str, _Reader] = {}
        self._list: RunListReader | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether those who watch were let go before there was nothing more to tell."""
        return self._ending is not None

    @property
    def readers(self) -> int:
        """How many runs are being read now."""
        return len(self._readers)

    def end(self) -> None:
        """Let everybody who watches go at once, and whoever comes from now on.

        Who goes on elsewhere, after the last number that it was told, misses nothing.
        """
        if self._ending is None:
            self._ending = asyncio.create_task(self._release_all())

    async def _release_all(self) -> None:
        for reader in list(self._readers.values()):
            await reader.release()
        if self._list is not None:
            await self._list.release()

    async def close(self) -> None:
        """Stop reading; those who watch are told nothing more."""
        self.end()
        readers = list(self._readers.values())
        for reader in readers:
            await reader.end()
        if self._list is not None:
            self._list.task.cancel()
        tasks = [each.task for each in readers] + ([self._list.task] if self._list else [])
        assert self._ending is not None
        await asyncio.gather(*tasks, self._ending, return_exceptions=True)

    async def watch(self, run_id: str, after: int = 0) -> AsyncGenerator[EncodedEvent, None]:
        """Every event after that number, in order and without a gap, and where the run stands.

        Ends with the run, or without its last event where the watcher ends. Raises NotFoundError.
        """
        await self._storage.leases.control(run_id)
        if self.has_ended:
            return
        reader = self._enter(run_id)
        try:
            await reader.ready.wait()
            async for told in self._events(reader, after):
                yield told
        finally:
            self._leave(reader)

    async def _events(self, reader: _Reader, after: int) -> AsyncIterator[EncodedEvent]:
        seen, progress = after, None
        while True:
            async for told in self._missed(reader, seen):
                yield told
                seen = told.sequence or seen
            if reader.released:
                # What was missed may not have been told to its end, and nothing comes after a gap.
                return
            for told in [each for each in reader.buffer if (each.sequence or 0) > seen]:
                yield told
                seen = told.sequence or seen
            if reader.ended and seen >= reader.last:
                return
            if reader.progress is not progress and reader.progress is not None:
                progress = reader.progress
                yield progress
            if seen >= reader.last:
                await reader.wait(seen, progress)

    async def _missed(self, reader: _Reader, seen: int) -> AsyncIterator[EncodedEvent]:
        """What lies between the last one seen and the first one that is still in memory."""
        while not reader.released:
            first = reader.buffer[0].sequence if reader.buffer else reader.last + 1
            if first is None or seen + 1 >= first:
                return
            found = await self._storage.series.events(reader.run_id, seen, min(PAGE, first - 1 - seen))
            if not found:
                return
            for stored in found:
                yield EncodedEvent.of(events.from_stored(stored))
                seen = stored.sequence

    def _enter(self, run_id: str) -> _Reader:
        reader = self._readers.get(run_id)
        if reader is None or reader.task.done():
            reader = self._readers[run_id] = _Reader(self._storage, run_id)
        reader.watching += 1
        return reader

    def _leave(self, reader: _Reader) -> None:
        reader.watching -= 1
        if reader.watching == 0:
            reader.task.cancel()
            if self._readers.get(reader.run_id) is reader:
                del self._readers[reader.run_id]

    async def watch_list(self) -> AsyncIterator[list[RunSummary | str]]:
        """The newest runs at first, then those that are new or changed; of those that are gone, the id."""
        if self.has_ended:
            return
        if self._list is None or self._list.task.done():
            self._list = RunListReader(self._storage)
        reader = self._list
        reader.watching += 1
        try:
            async for changes in reader.changes():
                yield changes
        finally:
            reader.watching -= 1
            if reader.watching == 0:
                reader.task.cancel()


class RunListReader:
    """The one reader of the list of runs in this process."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self.watching = 0
        self._released = False
        self._known: dict[str, RunSummary] = {}
        self._version = 0
        self._changed = asyncio.Condition()
        self.task = asyncio.create_task(self._read_forever())

    async def changes(self) -> AsyncIterator[list[RunSummary | str]]:
        """What is different from what this reader's caller was told before."""
        told: dict[str, RunSummary] = {}
        version = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(partial(self._goes_on, version))
            if self._released:
                return
            version, known = self._version, self._known
            changed = [run for run_id, run in reversed(known.items()) if told.get(run_id) != run]
            # Who falls off the end of the list is not gone: it is only no longer among the newest.
            oldest = min((run.created_at for run in known.values()), default=None)
            gone = [
                run_id
                for run_id, run in told.items()
                if run_id not in known and (len(known) < LIST_LENGTH or (oldest and run.created_at > oldest))
            ]
            told = known
            if changed or gone:
                yield [*changed, *gone]

    def _goes_on(self, seen: int) -> bool:
        return self._version > seen or self._released

    async def release(self) -> None:
        """Let those who watch go."""
        self._released = True
        async with self._changed:
            self._changed.notify_all()

    async def _read_forever(self) -> None:
        while True:
            try:
                page = await self._storage.runs.page(RunQuery(limit=LIST_LENGTH, with_total=False))
            except StorageError as error:
                log.warning("the list of runs cannot be read: %s", error)
            else:
                known = {run.id: run for run in page.runs}
                if known != self._known or not self._version:
                    async with self._changed:
                        self._known, self._version = known, self._version + 1
                        self._changed.notify_all()
            await asyncio.sleep(LIST_POLL_SECONDS)
