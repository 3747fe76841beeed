"""Where runs are looked for: on a server (`--server`, ATM_API_URL), or in the history of this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from atm.errors import NotFoundError, Problem, SpecError

if TYPE_CHECKING:
    from atm.client import ControlClient
    from atm.config import Settings
    from atm.models.control import RunAccepted, RunList, RunView, StorageStatusView
    from atm.models.events import AnyRunEvent
    from atm.models.run import RunResult

ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="A server instead of this machine; or set ATM_API_URL.")
]
_MOST_SEARCHED = 200


class Door(Protocol):
    """What the commands about runs need, wherever the runs are; `ControlClient` has all of it too."""

    async def runs(self, **filters: Any) -> RunList: ...
    async def run(self, run_id: str) -> RunView: ...
    async def result(self, run_id: str) -> RunResult: ...
    async def cancel(self, run_id: str, *, graceful: bool = False) -> RunAccepted: ...
    async def delete(self, run_id: str) -> None: ...
    def watch(self, run_id: str, after: int = 0) -> AsyncIterator[AnyRunEvent]: ...
    async def storage_status(self) -> StorageStatusView: ...


@asynccontextmanager
async def open_door(server: str | None) -> AsyncIterator[Door]:
    """The server that is named by the flag or the environment, else the storage of this machine."""
    from atm.config import load_settings

    settings = load_settings()
    url = server or settings.api_url
    if url:
        async with client_of(url, settings) as client:
            yield client
        return
    from atm.cli.local import LocalDoor
    from atm.storage import open_storage

    storage = await open_storage(settings)
    try:
        yield LocalDoor(storage, settings)
    finally:
        await storage.close()


def client_of(url: str, settings: Settings) -> ControlClient:
    """A client of that server with the key of the environment."""
    from atm.client import ControlClient

    return ControlClient(url, settings.api_key.get_secret_value() if settings.api_key else None)


def checked_filters(filters: dict[str, Any]) -> dict[str, Any]:
    """The filters of a list, without those that were not given. Raises SpecError for a status that is none."""
    from atm.models.outcome import RunStatus

    given = {name: value for name, value in filters.items() if value is not None}
    known = [status.value for status in RunStatus]
    if "status" in given and given["status"] not in known:
        hint = f"One of {', '.join(known)}"
        raise SpecError(Problem(f'there is no status "{given["status"]}"', "usage", path="--status", hint=hint))
    if not 1 <= given.get("limit", 1) <= _MOST_SEARCHED:
        raise SpecError(Problem(f"--limit must be 1 to {_MOST_SEARCHED}", "usage", path="--limit"))
    return given


async def find_run(door: Door, start: str) -> str:
    """The id that begins with what was typed; `last` is the newest. Raises NotFoundError."""
    page = await door.runs(limit=_MOST_SEARCHED)
    if start == "last" and page.runs:
        return page.runs[0].id
    found = [run.id for run in page.runs if run.id.startswith(start)]
    if len(found) == 1 or start in found:
        return start if start in found else found[0]
    if not found:
        # Older than what was searched: then it takes the whole id.
        return (await door.run(start)).id if start != "last" else _nothing()
    some = ", ".join(found[:4])
    raise NotFoundError(Problem(f"{start} is the start of several runs", "ambiguous_run", hint=f"One of {some}"))


def _nothing() -> str:
    raise NotFoundError(Problem("there is no run yet", "run_not_found", hint="`atm run` makes one"))
