"""Fan out a run's events to any number of subscribers from a single storage reader.

The reader polls storage a few times a second and buffers the last events; subscribers read from the buffer at their own
pace. A subscriber that joins late, reconnects or is slow reads older events from storage, so that no event is lost and
slow subscribers cost no memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from functools import partial

from atm.dataclass import dataclass
from atm.errors import AtmError, NotFoundError, StorageError, StorageUnavailableError
from atm.models.events import AnyRunEvent, ProgressEvent, event_json
from atm.models.outcome import RunStatus
from atm.runs import events
from atm.storage import StorageInterface
from atm.storage.records import FINAL, Order, Run, RunQuery, RunSummary

log = logging.getLogger("atm.runs")

POLL_SECONDS = 0.2
LIST_POLL_SECONDS = 0.5
BUFFERED_EVENTS = 300
"""Events of a run buffered in memory while it has subscribers."""
PAGE = 500
LIST_LENGTH = 100
"""How many of the newest runs the list covers."""


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event with its JSON text, encoded once for all subscribers."""

    sequence: int | None
    kind: str
    json: str
    event: AnyRunEvent

    @classmethod
    def of(cls, event: AnyRunEvent) -> EncodedEvent:
        """Encode an event."""
        sequence = None if isinstance(event, ProgressEvent) else event.sequence
        return cls(sequence, event.kind, event_json(event), event)


class _Reader:
    """The only reader of one run in this process."""

    def __init__(self, storage: StorageInterface, run_id: str) -> None:
        self._storage = storage
        self.run_id = run_id
        self.subscribers = 0
        self.buffer: deque[EncodedEvent] = deque(maxlen=BUFFERED_EVENTS)
        self.last = 0
        """The sequence number of the last event read."""
        self.progress: EncodedEvent | None = None
        self.ended = False
        """The run has ended or was deleted."""
        self.released = False
        """All subscriptions are to close, whatever events are still to come."""
        self._changed = asyncio.Condition()
        self._last_progress: ProgressEvent | None = None
        self.ready = asyncio.Event()
        self.task = asyncio.create_task(self._read_forever())

    async def wait(self, last: int, progress: EncodedEvent | None) -> None:
        """Wait for an event after `last`, a change of progress, or the end."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: self.last > last or self.progress is not progress or self.ended or self.released
            )

    async def _read_forever(self) -> None:
        self.last = await self._start()
        self.ready.set()
        while not self.ended:
            try:
                has_news = await self._read()
            except StorageUnavailableError as error:
                log.warning("run %s cannot be read: %s", self.run_id, error, extra={"run_id": self.run_id})
                has_news = False
            except NotFoundError:
                self.ended = has_news = True
            except (AtmError, ValueError) as error:
                log.error("run %s cannot be watched: %s", self.run_id, error, extra={"run_id": self.run_id})
                self.ended = has_news = True
            if has_news:
                await self._notify()
            await asyncio.sleep(0 if self.ended else POLL_SECONDS)

    async def end(self) -> None:
        """Stop reading and close all subscriptions."""
        self.task.cancel()
        self.ended = True
        self.ready.set()
        await self._notify()

    async def release(self) -> None:
        """Close all subscriptions before the end of the run."""
        self.released = True
        self.ready.set()
        await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _start(self) -> int:
        """Return the last stored sequence number; subscribers read earlier events themselves."""
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
        """Read new events and progress; return whether there were any."""
        # The state first: once it is final, the events read next are complete.
        run = await self._storage.runs.get(self.run_id)
        stored_events = await self._storage.series.events(self.run_id, self.last, PAGE)
        for stored in stored_events:
            self.buffer.append(EncodedEvent.of(events.from_stored(stored)))
            self.last = stored.sequence
        if run.status in FINAL and len(stored_events) < PAGE:
            self.buffer.append(EncodedEvent.of(events.finished(run, self.last + 1)))
            self.last += 1
            self.ended = True
            return True
        return await self._note_progress(run) or bool(stored_events)

    async def _note_progress(self, run: Run) -> bool:
        progress = ProgressEvent(
            status=run.status,
            requests_completed=run.summary.requests_completed,
            queue_position=await self._queue_position(run.summary) if run.status is RunStatus.PENDING else None,
            cancelling=run.cancel is not None,
        )
        if progress == self._last_progress:
            return False
        self._last_progress = progress
        self.progress = EncodedEvent.of(progress)
        return True

    async def _queue_position(self, run: RunSummary) -> int:
        query = RunQuery(status=RunStatus.PENDING, until=run.created_at, order=Order.OLDEST, limit=1, with_total=True)
        return (await self._storage.runs.page(query)).total or 0


class Watcher:
    """Provide event streams of runs, and of the list of runs, to the subscribers in this process."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self._readers: dict[str, _Reader] = {}
        self._list: RunListReader | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def has_ended(self) -> bool:
        """Whether `end` closed the subscriptions."""
        return self._ending is not None

    @property
    def readers(self) -> int:
        """The number of runs being read."""
        return len(self._readers)

    def end(self) -> None:
        """Close all current and future subscriptions.

        A client that resumes on another server, after its last sequence number, misses nothing.
        """
        if self._ending is None:
            self._ending = asyncio.create_task(self._release_all())

    async def _release_all(self) -> None:
        for reader in list(self._readers.values()):
            await reader.release()
        if self._list is not None:
            await self._list.release()

    async def close(self) -> None:
        """Close all subscriptions and stop reading."""
        self.end()
        readers = list(self._readers.values())
        for reader in readers:
            await reader.end()
        if self._list is not None:
            self._list.task.cancel()
        tasks = [reader.task for reader in readers] + ([self._list.task] if self._list else [])
        assert self._ending is not None
        await asyncio.gather(*tasks, self._ending, return_exceptions=True)

    async def watch(self, run_id: str, after: int = 0) -> AsyncGenerator[EncodedEvent, None]:
        """Yield each event after sequence number `after`, in order without gaps, and changes of the run's progress.

        Ends with the run, or earlier when the watcher ends. Raises NotFoundError.
        """
        await self._storage.leases.control(run_id)
        if self.has_ended:
            return
        reader = self._subscribe(run_id)
        try:
            await reader.ready.wait()
            async for event in self._events(reader, after):
                yield event
        finally:
            self._unsubscribe(reader)

    async def _events(self, reader: _Reader, after: int) -> AsyncIterator[EncodedEvent]:
        last, progress = after, None
        while True:
            async for event in self._missed(reader, last):
                yield event
                last = event.sequence or last
            if reader.released:
                # The missed events may be incomplete; stop rather than leave a gap.
                return
            for event in [event for event in reader.buffer if (event.sequence or 0) > last]:
                yield event
                last = event.sequence or last
            if reader.ended and last >= reader.last:
                return
            if reader.progress is not progress and reader.progress is not None:
                progress = reader.progress
                yield progress
            if last >= reader.last:
                await reader.wait(last, progress)

    async def _missed(self, reader: _Reader, last: int) -> AsyncIterator[EncodedEvent]:
        """Yield the events after `last` that are no longer in the buffer."""
        while not reader.released:
            first = reader.buffer[0].sequence if reader.buffer else reader.last + 1
            if first is None or last + 1 >= first:
                return
            stored_events = await self._storage.series.events(reader.run_id, last, min(PAGE, first - 1 - last))
            if not stored_events:
                return
            for stored in stored_events:
                yield EncodedEvent.of(events.from_stored(stored))
                last = stored.sequence

    def _subscribe(self, run_id: str) -> _Reader:
        reader = self._readers.get(run_id)
        if reader is None or reader.task.done():
            reader = self._readers[run_id] = _Reader(self._storage, run_id)
        reader.subscribers += 1
        return reader

    def _unsubscribe(self, reader: _Reader) -> None:
        reader.subscribers -= 1
        if reader.subscribers == 0:
            reader.task.cancel()
            if self._readers.get(reader.run_id) is reader:
                del self._readers[reader.run_id]

    async def watch_list(self) -> AsyncIterator[list[RunSummary | str]]:
        """Yield the newest runs first, then new and changed runs, and the ids of deleted ones."""
        if self.has_ended:
            return
        if self._list is None or self._list.task.done():
            self._list = RunListReader(self._storage)
        reader = self._list
        reader.subscribers += 1
        try:
            async for changes in reader.changes():
                yield changes
        finally:
            reader.subscribers -= 1
            if reader.subscribers == 0:
                reader.task.cancel()


class RunListReader:
    """The only reader of the list of runs in this process."""

    def __init__(self, storage: StorageInterface) -> None:
        self._storage = storage
        self.subscribers = 0
        self._released = False
        self._runs: dict[str, RunSummary] = {}
        self._version = 0
        self._changed = asyncio.Condition()
        self.task = asyncio.create_task(self._read_forever())

    async def changes(self) -> AsyncIterator[list[RunSummary | str]]:
        """Yield the differences to the list that this subscriber received before."""
        sent: dict[str, RunSummary] = {}
        version = 0
        while True:
            async with self._changed:
                await self._changed.wait_for(partial(self._has_changes, version))
            if self._released:
                return
            version, runs = self._version, self._runs
            changed = [run for run_id, run in reversed(runs.items()) if sent.get(run_id) != run]
            # A run that drops off the end of the list is not deleted, only no longer among the newest.
            oldest = min((run.created_at for run in runs.values()), default=None)
            deleted = [
                run_id
                for run_id, run in sent.items()
                if run_id not in runs and (len(runs) < LIST_LENGTH or (oldest and run.created_at > oldest))
            ]
            sent = runs
            if changed or deleted:
                yield [*changed, *deleted]

    def _has_changes(self, seen: int) -> bool:
        return self._version > seen or self._released

    async def release(self) -> None:
        """Close all subscriptions."""
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
                runs = {run.id: run for run in page.runs}
                if runs != self._runs or not self._version:
                    async with self._changed:
                        self._runs, self._version = runs, self._version + 1
                        self._changed.notify_all()
            await asyncio.sleep(LIST_POLL_SECONDS)
