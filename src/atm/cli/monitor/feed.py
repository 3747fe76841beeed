"""The runs of a history, kept current across lost connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from atm.cli.history import Filters, History
from atm.dataclass import dataclass
from atm.errors import AtmError
from atm.models.control.runs import RunSummaryView
from atm.models.outcome import RunOutcome

RETRY_SECONDS = 1.0
LOADED_RUNS = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Filter of the list: all words must be in name, URL, tags or id; a word that is an outcome filters by outcome."""

    text: str = ""
    outcome: RunOutcome | None = None

    @classmethod
    def of(cls, written: str) -> Filter:
        """Parse what the user has typed."""
        words = written.casefold().split()
        outcome = next((RunOutcome(word) for word in words if word in tuple(RunOutcome)), None)
        return cls(" ".join(word for word in words if word != outcome), outcome)

    def accepts(self, run: RunSummaryView) -> bool:
        if self.outcome is not None and run.outcome is not self.outcome:
            return False
        shown = " ".join((run.name, run.url, *run.tags, run.id)).casefold()
        return all(word in shown for word in self.text.split())


class RunFeed:
    """Loads runs and follows their changes; reconnects until it is cancelled."""

    def __init__(self, history: History, changed: Callable[[], None]) -> None:
        self._history = history
        self._changed = changed
        self.runs: dict[str, RunSummaryView] = {}
        self.lost = ""
        """Error of the last attempt to read the history; empty while it can be read."""

    async def follow(self) -> None:
        """Keep `runs` current; calls `changed` after each change."""
        while True:
            try:
                await self._load()
                async for change in self._history.changes():
                    self.lost = ""
                    if change.run is None:
                        self.runs.pop(change.id, None)
                    else:
                        self.runs[change.id] = change.run
                    self._changed()
                self._lose("the server has ended the stream")
            except AtmError as error:
                self._lose(error.problems[0].what)
            await asyncio.sleep(RETRY_SECONDS)

    async def search(self, wanted: Filter) -> None:
        """Load older runs that match, which the newest runs may not include."""
        try:
            page = await self._history.page(
                Filters(limit=LOADED_RUNS, text=wanted.text or None, outcome=wanted.outcome)
            )
        except AtmError as error:
            self._lose(error.problems[0].what)
            return
        self.runs.update({run.id: run for run in page.runs if run.id not in self.runs})
        self._changed()

    async def _load(self) -> None:
        page = await self._history.page(Filters(limit=LOADED_RUNS))
        self.runs = {run.id: run for run in page.runs}
        self.lost = ""
        self._changed()

    def _lose(self, why: str) -> None:
        self.lost = why
        self._changed()
