"""What commands can ask a history, wherever it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from atm.errors import NotFoundError, Problem

if TYPE_CHECKING:
    from atm.models.control.runs import RunList, RunSummaryView, RunView
    from atm.models.control.storage import StorageStatusView
    from atm.models.events import AnyRunEvent
    from atm.models.outcome import RunOutcome, RunStatus
    from atm.models.run import Measurement, RunResult

LAST = "last"
"""Names the newest run."""
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs a list shows; all conditions hold together."""

    limit: int = 20
    name: str | None = None
    tag: str | None = None
    status: str | None = None
    passed: bool | None = None
    outcome: RunOutcome | None = None
    measurement: Measurement | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


class History(Protocol):
    """Runs, and what can be done with them.

    Raises NotFoundError for a run that is not there, ConflictError where its state does not allow this, and
    StorageUnavailableError or ServerUnreachableError where nothing could be asked.
    """

    @property
    def place(self) -> str:
        """Where it is, for people: a path without credentials, or an address."""
        ...

    async def page(self, filters: Filters) -> RunList:
        """The newest runs."""
        ...

    async def beginning(self, prefix: str) -> Sequence[RunSummaryView]:
        """Some runs whose ids begin like this, more than `MOST_NAMED` where there are more."""
        ...

    async def run(self, run_id: str) -> RunView:
        """A run, with everything but its seconds."""
        ...

    async def result(self, run_id: str) -> RunResult | None:
        """What it left behind; None while it has not ended, or where nothing could be measured."""
        ...

    def watch(self, run_id: str) -> AsyncIterator[AnyRunEvent]:
        """Its events from the first one on, each once and in order; ends with the run."""
        ...

    async def cancel(self, run_id: str, *, graceful: bool) -> RunStatus:
        """Ask it to end; gives its status after that."""
        ...

    async def delete(self, run_id: str) -> None:
        """Delete it and all its seconds."""
        ...

    async def export_to(self, run_id: str, file: BinaryIO) -> None:
        """Write its bundle."""
        ...

    async def import_from(self, file: BinaryIO, place: str, new_id: str | None) -> RunView:
        """Store the run of a bundle; `place` names the file in messages."""
        ...

    async def status(self) -> StorageStatusView:
        """Kind, place, size and number of runs."""
        ...


async def resolved(history: History, written: str) -> str:
    """The id of the run that a person means by `last` or by the beginning of an id. Raises NotFoundError."""
    if written == LAST:
        newest = (await history.page(Filters(limit=1))).runs
        if not newest:
            hint = "`atm demo` makes one"
            raise NotFoundError(Problem(f"there is no run in {history.place} yet", "run_not_found", hint=hint))
        return newest[0].id
    found = await history.beginning(written)
    exact = next((run.id for run in found if run.id == written), None)
    if exact is not None or len(found) == 1:
        return exact or found[0].id
    if not found:
        what = f"no run of {history.place} begins with {written[:64]!r}"
        raise NotFoundError(Problem(what, "run_not_found", path="RUN", hint="`atm list` shows what is there"))
    named = ", ".join(f"{run.id} ({run.name})" for run in found[:MOST_NAMED])
    more = ", …" if len(found) > MOST_NAMED else ""
    what = f"several runs begin with {written!r}: {named}{more}"
    raise NotFoundError(Problem(what, "ambiguous_run", path="RUN", hint="Write more of the id"))
