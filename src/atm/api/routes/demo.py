"""The demo run: the quickstart test against the bundled target server, which this process starts."""

from __future__ import annotations

import asyncio
from importlib.resources import files

from fastapi import Request

from atm.api.deps import Plane
from atm.api.late_route import Routes
from atm.api.views import accepted
from atm.models.control.runs import RunAccepted
from atm.runs.service import Request as RunRequest
from atm.testing import TargetServer

router = Routes("runs")


class DemoTarget:
    """The target server of this process: started at first use, stopped with the app."""

    def __init__(self) -> None:
        self._target: TargetServer | None = None
        self._starting = asyncio.Lock()

    async def url(self) -> str:
        """Return its loopback URL, starting it if needed."""
        async with self._starting:
            if self._target is None:
                self._target = await asyncio.to_thread(TargetServer().start)
            return self._target.url

    async def close(self) -> None:
        """Stop the target if it was started."""
        target, self._target = self._target, None
        if target is not None:
            await asyncio.to_thread(target.stop)


@router.post("/demo", status_code=202)
async def run_demo(plane: Plane, request: Request) -> RunAccepted:
    """Run the quickstart test against the bundled target server on this machine, as `atm demo` does."""
    import yaml

    demo: DemoTarget = request.app.state.demo
    url = await demo.url()
    spec = yaml.safe_load((files("atm.testing") / "quickstart.yaml").read_text(encoding="utf-8"))
    spec["variables"] = {**spec["variables"], "base": url}
    created = await plane.runs.create(spec, RunRequest(tags=("demo",)))
    return accepted(created.run, is_new=created.is_new)
