"""The screens of `atm top` with a real server and real runs, without a terminal."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from atm.cli.history import History, open_history
from atm.cli.history.server import ServerHistory
from atm.cli.monitor.app import MonitorApp
from atm.cli.monitor.list_screen import RunListScreen
from atm.cli.monitor.run_screen import RunScreen
from atm.cli.text import Paper
from atm.client import ControlClient
from atm.models.events import FinishedEvent
from atm.models.outcome import RunOutcome
from atm.testing import TargetServer
from tests.api.server import PATIENCE_SECONDS, ApiServer
from tests.cli.program import started

pytestmark = pytest.mark.anyio

HOSTILE = "[red]no[/red] [@click=app.bell]x[/] \x1b[2J\t\n\u202e漢字" + "🧪" * 40


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    started = ApiServer(tmp_path_factory.mktemp("top") / "data", ATM_MAX_CONCURRENT_RUNS="4")
    yield started.ready()
    started.stop()


@pytest.fixture(scope="module")
def target() -> Iterator[TargetServer]:
    with TargetServer() as running:
        yield running


@pytest.fixture
async def control(server: ApiServer) -> AsyncIterator[ControlClient]:
    async with ControlClient(server.url) as client:
        yield client


@asynccontextmanager
async def monitor(source: ControlClient | History, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Pilot[None]]:
    history = ServerHistory(source) if isinstance(source, ControlClient) else source
    app = MonitorApp(history, Paper(size[0], True))
    async with app.run_test(size=size, notifications=True) as pilot:
        yield pilot


def shown(pilot: Pilot[None]) -> str:
    """The screen as text."""
    return "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, shown(pilot)
        await pilot.pause(0.05)


async def sees(pilot: Pilot[None], *texts: str) -> str:
    """Wait until the screen shows all texts."""
    await until(pilot, lambda: all(text in shown(pilot) for text in texts))
    return shown(pilot)


def steady(target: TargetServer, name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "url": f"{target.url}/users", "requests_per_second": 20, "duration": "10m", **fields}


async def outcome_of(control: ControlClient, run_id: str) -> RunOutcome:
    async with asyncio.timeout(PATIENCE_SECONDS):
        async for event in control.watch(run_id):
            if isinstance(event, FinishedEvent):
                return event.outcome
    raise AssertionError("the stream has ended before the run")


async def test_a_run_is_listed_opened_stopped_and_run_again(control: ControlClient, target: TargetServer) -> None:
    async with monitor(control) as pilot:
        accepted = await control.create_run(steady(target, "checkout", thresholds=["p95 < 30s"]))
        await sees(pilot, "checkout", "running", "so far", " · 1 running")
        await pilot.press("enter")
        first = await sees(pilot, "rate /s", "20 /s of 20", "1 holds")
        assert "█ p50 ░ p95" in first
        screen = pilot.app.screen
        assert isinstance(screen, RunScreen)
        seconds = len(screen.state.points)
        await until(pilot, lambda: len(screen.state.points) > seconds)
        assert "GET /users" in shown(pilot)

        await pilot.press("s")
        assert "Requests in flight finish first" in await sees(pilot, "Stop checkout?")
        await pilot.press("n")
        assert (await control.run(accepted.id)).cancel_requested is None
        await pilot.press("s")
        await sees(pilot, "Stop checkout?")
        await pilot.press("y")
        assert await outcome_of(control, accepted.id) is RunOutcome.STOPPED
        await sees(pilot, "■ stopped", "STOPPED", "on request")

        await pilot.press("r")
        await sees(pilot, "again?")
        await pilot.press("y")
        await until(pilot, lambda: pilot.app.screen is not screen and isinstance(pilot.app.screen, RunScreen))
        again = pilot.app.screen
        assert isinstance(again, RunScreen)
        await sees(pilot, "running", "20 /s of 20")
        await pilot.press("escape")
        await sees(pilot, " · 1 running")
        await pilot.press("home", "c")
        await sees(pilot, "cut off")
        await pilot.press("y")
        assert await outcome_of(control, again.run_id) is RunOutcome.CANCELLED
        await sees(pilot, "cancelled")


async def test_hostile_names_are_shown_as_text_and_filtered(control: ControlClient, target: TargetServer) -> None:
    spec = {"name": HOSTILE, "url": f"{target.url}/users", "total_requests": 3}
    accepted = await control.create_run(spec)
    plain = await control.create_run({**spec, "name": "plain"})
    assert await outcome_of(control, accepted.id) is await outcome_of(control, plain.id) is RunOutcome.PASSED
    async with monitor(control, (100, 30)) as pilot:
        text = await sees(pilot, "[red]no", "plain")
        assert not set(text) & set("\x1b\t\u202e")
        await pilot.press("slash", *"[RED]", "enter")
        await until(pilot, lambda: "plain" not in shown(pilot))
        await pilot.press("enter")
        text = await sees(pilot, "[red]no[/red] [@click=app.bell]x[/]", "p95")
        assert not set(text) & set("\x1b\t\u202e")
        await pilot.press("escape", "escape")
        await sees(pilot, "plain", "[red]no")
        await pilot.press("slash", *"plain passed")
        await until(pilot, lambda: "[red]" not in shown(pilot))
        await pilot.press("escape", "slash", *"nothing like it")
        await sees(pilot, "no run matches the filter")


@pytest.mark.parametrize("size", [(40, 10), (200, 60)])
async def test_every_size_is_usable(control: ControlClient, target: TargetServer, size: tuple[int, int]) -> None:
    runs = (await control.runs(name="plain", limit=1)).runs
    if not runs:
        accepted = await control.create_run({"name": "plain", "url": f"{target.url}/users", "total_requests": 3})
        await outcome_of(control, accepted.id)
    async with monitor(control, size) as pilot:
        await sees(pilot, "plain"[:4])
        await pilot.press("slash", *"plain", "enter", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunScreen))
        await sees(pilot, "passed")
        await pilot.resize_terminal(20, 5)
        await sees(pilot, "needs 40 x 8")
        await pilot.resize_terminal(60, 15)
        await sees(pilot, "passed")
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, RunListScreen)


async def test_a_server_that_goes_and_returns_is_shown(tmp_path: Path, target: TargetServer) -> None:
    first = ApiServer(tmp_path / "data").ready()
    async with ControlClient(first.url) as control:
        accepted = await control.create_run(steady(target, "kept"))
        async with monitor(control) as pilot:
            await sees(pilot, "kept", "running")
            await pilot.press("enter")
            await sees(pilot, "20 /s of 20")
            first.kill()
            await sees(pilot, "reconnecting")
            await pilot.press("escape")
            await sees(pilot, "reconnecting", "kept")
            second = ApiServer(tmp_path / "data", options=[f"--port={first.port}"])
            second.url = first.url
            try:
                second.ready()
                await until(pilot, lambda: "reconnecting" not in shown(pilot))
                await control.cancel(accepted.id)
                await outcome_of(control, accepted.id)
            finally:
                second.stop()


async def test_without_a_server_it_shows_the_history_of_this_machine(
    tmp_path: Path, target: TargetServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_once() -> None:
        with started(tmp_path, "run", f"{target.url}/users", "-n", "3", "--quiet") as process:
            process.communicate()

    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path))
    await asyncio.to_thread(run_once)
    async with open_history(None) as history, monitor(history) as pilot:
        await sees(pilot, "the local history", "1 run ")
        await asyncio.to_thread(run_once)
        await sees(pilot, "2 runs")
        await pilot.press("home", "enter")
        await sees(pilot, "p95", "THRESHOLDS")
        await pilot.press("s")
        await sees(pilot, "already")
        await pilot.press("r")
        await sees(pilot, "again?")
        await pilot.press("y")
        await sees(pilot, "without a server", "atm serve")


async def test_a_run_of_another_terminal_is_followed_to_its_report(
    tmp_path: Path, target: TargetServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATM_DATA_DIR", str(tmp_path))
    (tmp_path / "endless.yaml").write_text(
        f"name: elsewhere\nurl: {target.url}/users\nrequests_per_second: 20\nduration: 1h\n"
    )
    with started(tmp_path, "run", str(tmp_path / "endless.yaml"), "--quiet") as process:
        async with open_history(None) as history, monitor(history) as pilot:
            await sees(pilot, "the local history", "elsewhere", "running", "requests so far")
            await pilot.press("enter")
            await sees(pilot, "20 /s of 20")
            await pilot.press("c")
            await sees(pilot, "cut off")
            await pilot.press("y")
            await sees(pilot, "another terminal", "Ctrl-C")
            process.send_signal(signal.SIGINT)
            await sees(pilot, "stopped", "p95")
            await pilot.press("escape")
            await sees(pilot, "elsewhere", "stopped", "1 run ")
        await asyncio.to_thread(process.communicate)
