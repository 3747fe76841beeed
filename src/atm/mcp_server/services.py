"""The services shared by all tools: backend, gate, and the runs of this session."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import field

from atm.client import ControlClient
from atm.config import Settings
from atm.dataclass import dataclass
from atm.errors import ApiRefusedError, NotFoundError, Problem, SpecError
from atm.mcp_server.backend import Backend
from atm.mcp_server.gate import Gate
from atm.mcp_server.limits import Limits
from atm.mcp_server.untrusted_text import quoted

CANCEL_SECONDS = 1.0
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(slots=True)
class ToolServices:
    """One per MCP server, bound to one event loop."""

    settings: Settings
    backend: Backend
    gate: Gate
    started: dict[str, None] = field(default_factory=dict)
    """Ids of runs started in this session whose end has not been reported yet."""

    @classmethod
    def of(cls, settings: Settings) -> ToolServices:
        """Build the services from settings, without starting a server."""
        return cls(settings, Backend(settings), Gate(Limits.of(settings)))

    @property
    def limits(self) -> Limits:
        """The limits for agents."""
        return self.gate.limits

    async def control(self) -> ControlClient:
        """Return a client of the API server. Raises ServerUnreachableError."""
        return await self.backend.control()

    async def run_id(self, control: ControlClient, given: str) -> str:
        """Resolve a run id, a prefix of one, or `last`. Raises NotFoundError, ApiRefusedError."""
        text = given.strip()
        if text == "last":
            page = await control.runs(limit=1)
            if not page.runs:
                hint = "start one with run_api_test"
                raise NotFoundError(Problem("no runs yet", "run_not_found", path="run_id", hint=hint))
            return page.runs[0].id
        hint = "list_recent_tests has the ids"
        if not _ID.fullmatch(text):
            raise NotFoundError(Problem(f"{text[:64]!r} is not a run id", "bad_run_id", path="run_id", hint=hint))
        matches = [run.id for run in (await control.runs(begins=text, limit=3)).runs]
        if text in matches:
            return text
        if not matches:
            raise NotFoundError(Problem(f"there is no run {text}", "run_not_found", path="run_id", hint=hint))
        if len(matches) > 1:
            what = f"several run ids start with {text}: {', '.join(matches)}"
            raise ApiRefusedError(Problem(what, "ambiguous_run_id", path="run_id", hint="give more of the id"))
        return matches[0]

    async def earlier_run(self, control: ControlClient, run_id: str | None, test_name: str | None) -> str:
        """Resolve `run_id`, or the newest run of a test. Raises NotFoundError, ApiRefusedError, SpecError."""
        if (run_id is None) == (test_name is None):
            what = "give either run_id or test_name"
            raise SpecError(Problem(what, "missing_argument", path="run_id", hint='run_id="last"'))
        if run_id is not None:
            return await self.run_id(control, run_id)
        newest = (await control.runs(limit=1, name=test_name)).runs
        if not newest:
            what = f"no run has the name {quoted(test_name or '', 80)}"
            hint = "list_recent_tests has the names; run_api_test(test=…) runs a stored test"
            raise NotFoundError(Problem(what, "run_not_found", path="test_name", hint=hint))
        return newest[0].id

    async def close(self) -> None:
        """Close the backend; if it is a child process, cancel the runs of this session first."""
        control = self.backend.open_client
        if self.backend.is_child and self.started and control is not None:
            # The client waits only two seconds for us to end, and errors can no longer be reported.
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await asyncio.gather(*(control.cancel(run_id) for run_id in self.started), return_exceptions=True)
        await self.backend.close()
