"""What every tool has at hand: the server, the gate, and the runs of this session."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field

from atm.client import ControlClient
from atm.config import Settings
from atm.errors import ApiRefusedError, NotFoundError, Problem, SpecError
from atm.mcp_server.backend import Backend
from atm.mcp_server.gate import Gate
from atm.mcp_server.limits import Limits
from atm.mcp_server.untrusted import quoted

CANCEL_SECONDS = 1.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True)
class ToolServices:
    """One per MCP server, on one event loop."""

    settings: Settings
    backend: Backend
    gate: Gate
    started: dict[str, None] = field(default_factory=dict)
    """Runs that were started here and of whose end nobody has been told yet."""

    @classmethod
    def of(cls, settings: Settings) -> ToolServices:
        """A services with the limits and the server that the settings name; nothing is started."""
        return cls(settings, Backend(settings), Gate(Limits.of(settings)))

    @property
    def limits(self) -> Limits:
        """What agents may do here."""
        return self.gate.limits

    async def control(self) -> ControlClient:
        """A client of the server. Raises ServerUnreachableError."""
        return await self.backend.control()

    async def run_id(self, control: ControlClient, given: str) -> str:
        """The whole id of a run: agents cut them, or say `last`. Raises NotFoundError, ApiRefusedError."""
        text = given.strip()
        if text == "last":
            page = await control.runs(limit=1)
            if not page.runs:
                hint = "start one with run_api_test"
                raise NotFoundError(Problem("nothing has run yet", "run_not_found", path="run_id", hint=hint))
            return page.runs[0].id
        hint = "list_recent_tests has the ids"
        if not _ID.fullmatch(text):
            raise NotFoundError(Problem(f"{text[:64]!r} is no id of a run", "bad_run_id", path="run_id", hint=hint))
        found = [run.id for run in (await control.runs(begins=text, limit=3)).runs]
        if text in found:
            return text
        if not found:
            raise NotFoundError(Problem(f"there is no run {text}", "run_not_found", path="run_id", hint=hint))
        if len(found) > 1:
            what = f"several runs begin with {text}: {', '.join(found)}"
            raise ApiRefusedError(Problem(what, "ambiguous_run_id", path="run_id", hint="send more of the id"))
        return found[0]

    async def earlier_run(self, control: ControlClient, run_id: str | None, test_name: str | None) -> str:
        """The run that `run_id` names, or the newest of a test. Raises NotFoundError, ApiRefusedError, SpecError."""
        if (run_id is None) == (test_name is None):
            what = "give either run_id or test_name"
            raise SpecError(Problem(what, "missing_argument", path="run_id", hint='run_id="last"'))
        if run_id is not None:
            return await self.run_id(control, run_id)
        newest = (await control.runs(limit=1, name=test_name)).runs
        if not newest:
            what = f"no run is called {quoted(test_name or '', 80)}"
            hint = "list_recent_tests has the names; run_api_test(test=…) runs a kept test"
            raise NotFoundError(Problem(what, "run_not_found", path="test_name", hint=hint))
        return newest[0].id

    async def close(self) -> None:
        """End what belongs to this session: its runs, where the server is our own, and that server."""
        control = self.backend.open_client
        if self.backend.is_ours and self.started and control is not None:
            # The client that started us waits two seconds, and nobody is left to tell of an error.
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await asyncio.gather(*(control.cancel(run_id) for run_id in self.started), return_exceptions=True)
        await self.backend.close()
