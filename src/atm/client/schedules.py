"""Schedules of a server: `ControlClient.schedules`. A schedule is named by its id or its name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from atm.client.connection import Connection
from atm.models.schedule import (
    DeliveryList,
    FiringList,
    FiringOutcome,
    PreviewAnswer,
    PreviewRequest,
    ScheduleList,
    ScheduleRequest,
    ScheduleView,
)


class ScheduleCalls:
    """What can be asked about schedules. Every method raises as those of `ControlClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> ScheduleList:
        """All, by name."""
        return await self._connection.get(ScheduleList, "/schedules")

    async def get(self, named: str) -> ScheduleView:
        """One of them."""
        return await self._connection.get(ScheduleView, _path(named))

    async def create(self, request: ScheduleRequest) -> ScheduleView:
        """Make one. ConflictError where its name is taken."""
        return await self._connection.send(ScheduleView, "POST", "/schedules", _body(request))

    async def replace(self, named: str, request: ScheduleRequest) -> ScheduleView:
        """Replace all of it but its history; what is sent as `***` stays as it was."""
        return await self._connection.send(ScheduleView, "PUT", _path(named), _body(request))

    async def pause(self, named: str) -> ScheduleView:
        """Fire it no more, until it is resumed."""
        return await self._connection.send(ScheduleView, "POST", f"{_path(named)}/pause")

    async def resume(self, named: str) -> ScheduleView:
        """Fire it again from now on."""
        return await self._connection.send(ScheduleView, "POST", f"{_path(named)}/resume")

    async def delete(self, named: str) -> None:
        """With its firings and deliveries; its runs stay."""
        await self._connection.delete(_path(named))

    async def firings(
        self, named: str, *, limit: int = 50, before: datetime | None = None, outcomes: Sequence[FiringOutcome] = ()
    ) -> FiringList:
        """What became of its due times, newest first; `before` is `next` of the page before."""
        query = {
            "limit": limit,
            "before": before and before.isoformat(),
            "outcome": [each.value for each in outcomes] or None,
        }
        return await self._connection.get(FiringList, f"{_path(named)}/firings", query)

    async def deliveries(self, named: str, *, limit: int = 50) -> DeliveryList:
        """What became of its notifications, newest first."""
        return await self._connection.get(DeliveryList, f"{_path(named)}/deliveries", {"limit": limit})

    async def preview(self, request: PreviewRequest) -> PreviewAnswer:
        """When a trigger would be due."""
        body = request.model_dump(mode="json", exclude_none=True)
        return await self._connection.send(PreviewAnswer, "POST", "/schedules/preview", body)


def _path(named: str) -> str:
    return f"/schedules/{quote(named, safe='')}"


def _body(request: ScheduleRequest) -> dict[str, object]:
    return request.model_dump(mode="json", exclude_none=True)
