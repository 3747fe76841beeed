"""`ControlClient.schedules`: the schedules of a server. Methods take a schedule's id or name."""

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
    """Requests about schedules. Methods raise the errors of `ControlClient`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> ScheduleList:
        """Return all schedules by name."""
        return await self._connection.get(ScheduleList, "/schedules")

    async def get(self, named: str) -> ScheduleView:
        """Return one schedule."""
        return await self._connection.get(ScheduleView, _path(named))

    async def create(self, request: ScheduleRequest) -> ScheduleView:
        """Create a schedule. ConflictError if its name is taken."""
        return await self._connection.send(ScheduleView, "POST", "/schedules", _body(request))

    async def replace(self, named: str, request: ScheduleRequest) -> ScheduleView:
        """Replace a schedule except its history; values sent as `***` are unchanged."""
        return await self._connection.send(ScheduleView, "PUT", _path(named), _body(request))

    async def pause(self, named: str) -> ScheduleView:
        """Pause a schedule."""
        return await self._connection.send(ScheduleView, "POST", f"{_path(named)}/pause")

    async def resume(self, named: str) -> ScheduleView:
        """Resume a schedule from now."""
        return await self._connection.send(ScheduleView, "POST", f"{_path(named)}/resume")

    async def delete(self, named: str) -> None:
        """Delete a schedule with its firings and deliveries. Its runs stay."""
        await self._connection.delete(_path(named))

    async def firings(
        self, named: str, *, limit: int = 50, before: datetime | None = None, outcomes: Sequence[FiringOutcome] = ()
    ) -> FiringList:
        """Return the firings of a schedule, newest first; `before` is `next` of the previous page."""
        query = {
            "limit": limit,
            "before": before and before.isoformat(),
            "outcome": [outcome.value for outcome in outcomes] or None,
        }
        return await self._connection.get(FiringList, f"{_path(named)}/firings", query)

    async def deliveries(self, named: str, *, limit: int = 50) -> DeliveryList:
        """Return the notification deliveries of a schedule, newest first."""
        return await self._connection.get(DeliveryList, f"{_path(named)}/deliveries", {"limit": limit})

    async def preview(self, request: PreviewRequest) -> PreviewAnswer:
        """Return the due times of a trigger."""
        body = request.model_dump(mode="json", exclude_none=True)
        return await self._connection.send(PreviewAnswer, "POST", "/schedules/preview", body)


def _path(named: str) -> str:
    return f"/schedules/{quote(named, safe='')}"


def _body(request: ScheduleRequest) -> dict[str, object]:
    return request.model_dump(mode="json", exclude_none=True)
