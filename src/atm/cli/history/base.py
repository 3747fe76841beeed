"""The `History` protocol of commands, local or remote."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from atm.dataclass import dataclass
from atm.errors import NotFoundError, Problem

if TYPE_CHECKING:
    from atm.models.control.runs import ListChange, RunList, RunSummaryView, RunView
    from atm.models.control.storage import StorageStatusView
    from atm.models.events import AnyRunEvent
    from atm.models.outcome import RunOutcome, RunStatus
    from atm.models.run import Measurement, RunResult

LAST = "last"
"""Reference to the newest run."""
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Filters:
    """Filters of a run list, combined with AND."""

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
    """Runs and the operations on them.

    Methods raise NotFoundError for an unknown run, ConflictError if its state does not allow the operation, and
    StorageUnavailableError or ServerUnreachableError if the storage or server is unavailable.
    """

    @property
    def place(self) -> str:
        """The location for messages: a description without credentials, or a server address."""
        ...

    async def page(self, filters: Filters) -> RunList:
        """Return the newest runs."""
        ...

    async def beginning(self, prefix: str) -> Sequence[RunSummaryView]:
        """Return runs whose ids start with `prefix`, at most `MOST_NAMED` + 1."""
        ...

    async def run(self, run_id: str) -> RunView:
        """Return a run without its intervals."""
        ...

    async def result(self, run_id: str) -> RunResult | None:
        """Return the result; None before the run has ended, or if nothing was measured."""
        ...

    def watch(self, run_id: str) -> AsyncIterator[AnyRunEvent]:
        """Yield the events from the first one, each once and in order, until the run ends."""
        ...

    def changes(self) -> AsyncIterator[ListChange]:
        """Yield the newest runs, then runs that are new, changed or deleted."""
        ...

    async def rerun(self, run_id: str) -> str:
        """Start a run with the spec of an earlier one and return its id. Raises ConflictError without a server."""
        ...

    async def cancel(self, run_id: str, *, graceful: bool) -> RunStatus:
        """Cancel the run, or stop it with `graceful`; return its status after the request."""
        ...

    async def delete(self, run_id: str) -> None:
        """Delete the run with its intervals and samples."""
        ...

    async def export_to(self, run_id: str, file: BinaryIO) -> None:
        """Write the run's bundle."""
        ...

    async def import_from(self, file: BinaryIO, place: str, new_id: str | None) -> RunView:
        """Store the run of a bundle; `place` is the file name for messages."""
        ...

    async def status(self) -> StorageStatusView:
        """Return kind, location, size and number of runs."""
        ...


async def resolve_run(history: History, reference: str) -> str:
    """Resolve `last`, a run id or a unique prefix of one to the run id. Raises NotFoundError."""
    if reference == LAST:
        newest = (await history.page(Filters(limit=1))).runs
        if not newest:
            hint = "`atm demo` creates one"
            raise NotFoundError(Problem(f"there is no run in {history.place} yet", "run_not_found", hint=hint))
        return newest[0].id
    matches = await history.beginning(reference)
    exact = next((run.id for run in matches if run.id == reference), None)
    if exact is not None or len(matches) == 1:
        return exact or matches[0].id
    if not matches:
        what = f"no run in {history.place} has an id that starts with {reference[:64]!r}"
        raise NotFoundError(Problem(what, "run_not_found", path="RUN", hint="`atm list` lists the runs"))
    named = ", ".join(f"{run.id} ({run.name})" for run in matches[:MOST_NAMED])
    more = ", …" if len(matches) > MOST_NAMED else ""
    what = f"several run ids start with {reference!r}: {named}{more}"
    raise NotFoundError(Problem(what, "ambiguous_run", path="RUN", hint="Give more of the id"))
